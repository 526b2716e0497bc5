"""Which device to fold on."""

from __future__ import annotations

import gc
import sys

from itda.errors import CapabilityError, DependencyError
from itda.language import Message

ENGINE_HINT = Message("install it with: pip install 'itda[engine]'")


def available_devices() -> tuple[str, ...]:
    """Return the devices of this machine, the fastest first; `cpu` is always the last.

    Raises:
        DependencyError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise DependencyError(
            Message("PyTorch cannot be imported: {error}", error=error), hint=ENGINE_HINT
        ) from error

    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return (*devices, "cpu")


def resolve_device(name: str) -> str:
    """Return the device that a user's word stands for.

    Args:
        name: `auto` for the fastest there is, else `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        CapabilityError: This machine has no such device.
        DependencyError: PyTorch is not installed.
    """
    devices = available_devices()
    if name == "auto":
        return devices[0]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        raise CapabilityError(
            Message("device {name!r}: this machine has no such device", name=name),
            hint=Message("use auto, or one of: {devices:,}", devices=devices),
        )
    return wanted


def release_memory() -> None:
    """Give memory that PyTorch keeps for itself back to the devices."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
