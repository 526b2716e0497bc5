"""Medians, spread and ratios of measurements that were taken in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def seconds_summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Sum up repeated times.

    Returns:
        `median`; `spread`, the range over the median; and `all`, in the order of measuring.

    Examples:
        >>> seconds_summary([2.0, 1.0, 4.0])
        {'median': 2.0, 'spread': 1.5, 'all': [2.0, 1.0, 4.0]}
    """
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median if median else 0.0
    return {
        "median": rounded(median),
        "spread": rounded(spread, 3),
        "all": [rounded(one) for one in seconds],
    }


def side_summary(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the samples of one side: seconds, and the largest peak."""
    return {
        "seconds": seconds_summary([one["seconds"] for one in samples]),
        "peak_bytes": max(one["bytes"] for one in samples),
    }


def ratio(theirs: float, ours: float) -> float | None:
    """Say how many times as much they take; below 1 they are better; None where ours is 0."""
    return rounded(theirs / ours, 3) if ours else None


def ratios(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Compare two summaries of `side_summary`: theirs over ours."""
    return {
        "seconds": ratio(theirs["seconds"]["median"], ours["seconds"]["median"]),
        "peak_bytes": ratio(theirs["peak_bytes"], ours["peak_bytes"]),
    }


def rounded(value: float, digits: int = 5) -> float:
    """Round to significant digits, so that a file of results can be read.

    Examples:
        >>> rounded(0.0012345678, 3), rounded(123456.0, 2)
        (0.00123, 120000.0)
    """
    return float(f"{value:.{digits}g}")
