"""What work can have on this machine."""

from __future__ import annotations

from itda.cost.memory import room


def device_kind_of(device: str) -> str:
    """Return `cpu` or `gpu` for a device such as `cuda:0`.

    >>> device_kind_of("cpu"), device_kind_of("cuda:1"), device_kind_of("mps")
    ('cpu', 'gpu', 'gpu')
    """
    return "cpu" if device == "cpu" else "gpu"


def memory_of(device: str, limit_bytes: int | None = None) -> int:
    """Return the memory that work on a device may take, in bytes.

    Args:
        device: Such as `cpu` or `cuda:0`.
        limit_bytes: A limit of the user's own.
    """
    return room(device, limit_bytes=limit_bytes).bytes
