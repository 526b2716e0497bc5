"""What this process may use of the machine."""

from __future__ import annotations

import os

_most_cores: int | None = None


def usable_cores() -> int:
    """Return the processor cores that this process may run on, and was told to use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    found = len(affinity(0)) if affinity else os.cpu_count() or 1
    return found if _most_cores is None else min(found, _most_cores)


def use_cores(most: int | None) -> None:
    """Let this process use no more cores than that, where it shares the machine; None for all."""
    global _most_cores
    _most_cores = most
