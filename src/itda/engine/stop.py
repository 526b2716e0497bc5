"""Asking work to stop: at the end of a stage, or after a while in the middle of one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Stop:
    """Whether work is to stop, asked by the work and told from other threads.

    Args:
        clock: Seconds that pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._at_end_of_stage = False

    def ask(self, grace_seconds: float = 0.0) -> None:
        """Ask for an end at the next end of a stage, and after so many seconds in any case."""
        with self._lock:
            self._deadline = min(self._deadline, self._clock() + grace_seconds)

    @property
    def asked(self) -> bool:
        """Whether an end was asked for."""
        return self._deadline < math.inf

    def stage_ended(self) -> None:
        """Say that a stage has ended."""
        self._at_end_of_stage = self._at_end_of_stage or self.asked

    def __call__(self) -> bool:
        """Whether to stop now."""
        return self._at_end_of_stage or self._clock() >= self._deadline
