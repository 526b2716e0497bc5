"""Signals that stop a command."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Let SIGTERM, which schedulers send, stop a run as Ctrl-C does; gives the signals taken."""
    taken: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        taken.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield taken
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield taken
    finally:
        signal.signal(signal.SIGTERM, before)
