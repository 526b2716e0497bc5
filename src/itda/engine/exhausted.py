"""Memory that ran out, which PyTorch and Python tell in several ways."""

from __future__ import annotations


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    Example:
        >>> is_exhausted(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
        >>> is_exhausted(ValueError("no"))
        False
    """
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in said or "can't allocate memory" in said)
    )
