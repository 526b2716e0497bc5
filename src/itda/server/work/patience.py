"""Trying again what a database or a disk cannot do just now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import exc

from itda.errors import OutputError

Value = TypeVar("Value")

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 10.0

PASSING = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.TimeoutError,
    OutputError,
    OSError,
)
"""Errors that pass: no connection, a locked file, a full disk."""

log = logging.getLogger("itda.worker")


def insist(
    call: Callable[[], Value],
    what: str,
    *,
    give_up: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
) -> Value:
    """Call until it succeeds.

    Args:
        call: What is to succeed.
        what: What it does, for the log.
        give_up: Asked after each failure; where it says so, the error is raised.
        sleep: Waits.

    Raises:
        Exception: An error that does not pass, or any where it is given up.
    """
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return call()
        except PASSING as error:
            if give_up():
                raise
            log.warning("%s: %s; trying again in %.1f s", what, first_line(error), wait)
            sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def first_line(error: BaseException) -> str:
    """Return the first line of an error, which names its cause."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class Pause:
    """A wait that grows with each failure and ends with a success.

    Args:
        first_seconds: The first wait.
        longest_seconds: No wait is longer.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        first_seconds: float = 1.0,
        longest_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first = self._next = first_seconds
        self._longest = longest_seconds
        self._clock = clock
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether to go on."""
        return self._clock() >= self._until

    def lengthen(self) -> float:
        """Wait from now on, twice as long as the last time; return how long, in seconds."""
        wait = self._next
        self._until = self._clock() + wait
        self._next = min(2 * wait, self._longest)
        return wait

    def end(self) -> None:
        """Begin anew: the next wait is the first."""
        self._next, self._until = self._first, 0.0
