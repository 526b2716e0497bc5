"""Memory that is given back: what is taken is then what is counted, and no more.

The allocator of glibc keeps arrays of up to 32 MB that were freed, in between others, and what it
keeps depends on the order in which they came: the same fold took 520 to 800 MB. A fixed threshold
maps each large array by itself. That would cost time for pages that are cleared again and again;
huge pages save more than that (docs/planning.md).
"""

from __future__ import annotations

import ctypes
import os
import sys

LARGE_BYTES = 4 * 2**20
"""Arrays from this size on are mapped by themselves; a huge page has half of it."""

_M_MMAP_THRESHOLD = -3
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""PyTorch asks for huge pages where it is 1, and looks at it when it first makes an array."""


def settle_allocator() -> bool:
    """Let large arrays be mapped by themselves, in huge pages, from now on in this process.

    Returns:
        Whether that could be done: elsewhere than with glibc on Linux nothing is changed.
    """
    if sys.platform != "linux":
        return False
    os.environ.setdefault(_HUGE_PAGES, "1")
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(set_option(_M_MMAP_THRESHOLD, LARGE_BYTES))
