"""One computation in a thread of its own, its progress as an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

from itda.progress import Progress

Value = TypeVar("Value")

_POLL_SECONDS = 0.2
_STOP_SECONDS = 3.0


class _Stopped(BaseException):
    """Ends the computation from inside its own progress report."""


def with_progress(
    compute: Callable[[Progress], Value], check: Callable[[], None] = lambda: None
) -> Generator[tuple[float, str], None, Value]:
    """Run `compute` in a thread; yield what it reports, return what it returns.

    The caller's thread stays free to take Ctrl-C at once. When the caller stops early, the
    computation ends at its next report of progress.

    Args:
        compute: Gets a function to report progress with: a fraction from 0 to 1 and what it does.
        check: Called several times a second while there is nothing to report; may raise to stop.

    Yields:
        Fraction and message, as reported.

    Raises:
        Exception: Whatever `compute` raises.
    """
    reports: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
    stopping = threading.Event()
    values: list[Value] = []
    errors: list[BaseException] = []

    def report(fraction: float, message: str) -> None:
        if stopping.is_set():
            raise _Stopped
        reports.put((min(max(fraction, 0.0), 1.0), message))

    def work() -> None:
        try:
            values.append(compute(report))
        except _Stopped:
            pass
        except BaseException as error:
            errors.append(error)
        finally:
            reports.put(None)

    thread = threading.Thread(target=work, name="itda-stage", daemon=True)
    thread.start()
    try:
        while True:
            try:
                # With a time limit, so that Ctrl-C is seen on every platform.
                received = reports.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                check()
                continue
            if received is None:
                break
            yield received
    finally:
        stopping.set()
        thread.join(_STOP_SECONDS)
    if errors:
        raise errors[0]
    return values[0]
