"""Telling how far a search is."""

from __future__ import annotations

from itda.search.sources.source import Progress


def ignore_progress(fraction: float, step: str) -> None:
    """Take progress and tell nobody."""


def part_of(progress: Progress, number: int, count: int) -> Progress:
    """Return what tells the progress of one of several equal parts.

    Args:
        progress: Told the progress of the whole.
        number: The part, 0-based.
        count: How many parts there are.
    """
    return lambda fraction, step: progress((number + fraction) / count, step)
