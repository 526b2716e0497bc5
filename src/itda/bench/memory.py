"""How much memory this process takes; needs nothing but Python, so that any process can load it."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMeter:
    """The most memory that this process takes above what it had at the start.

    On Linux the peak is set back first. Elsewhere the peak of the whole life of the process is all
    there is, and `exact` says so: then only a new record shows.
    """

    def __init__(self) -> None:
        gc.collect()
        _give_back_free_memory()
        self.exact = _reset_peak()
        self._start = resident_bytes() if self.exact else peak_bytes()

    def growth_bytes(self) -> int:
        """Return the peak since the start, above what was in use then."""
        return max(0, peak_bytes() - self._start)


def peak_bytes() -> int:
    """Return the most resident memory that this process had, since the last reset if there was one.

    Raises:
        OSError: The system does not say.
    """
    found = _status("VmHWM")
    if found is not None:
        return found
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes() -> int:
    """Return the resident memory of this process now; the peak where the system does not say."""
    return _status("VmRSS") or peak_bytes()


def _status(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return None


def _reset_peak() -> bool:
    try:
        # 5 sets the peak to what is resident now (man 5 proc).
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _give_back_free_memory() -> None:
    """Return what was freed to the system, or it would be taken again without being seen."""
    if os.name == "posix" and sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
