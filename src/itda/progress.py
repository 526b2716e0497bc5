"""How a long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told the fraction done, 0 to 1, and what is being done; raises where the user stops the work."""


def ignore_progress(fraction: float, message: str) -> None:
    """Take progress and tell nobody."""


def part_of(progress: Progress | None, first: float, last: float) -> Progress:
    """Return what reports a part of a longer work, from one fraction of it to another.

    >>> part_of(lambda fraction, message: print(fraction, message), 0.5, 1.0)(0.5, "reading")
    0.75 reading
    """

    def report(fraction: float, message: str) -> None:
        if progress is not None:
            progress(first + (last - first) * fraction, message)

    return report
