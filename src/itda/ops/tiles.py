"""Sizes of tiles, and what every Triton kernel needs around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from itda.errors import CapabilityError
from itda.language import Message

LEAST_DOT = 16
"""The least side of a block that a GPU's matrix units multiply."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""What the kernels take."""


def width_of(channels: int) -> int:
    """Pad a number of channels to the power of two that a block needs, at least `LEAST_DOT`."""
    return max(LEAST_DOT, 1 << (channels - 1).bit_length())


def tile_of(kernel: str, *, width: int, size: int) -> Mapping[str, int]:
    """Look up the sizes of a kernel's tiles.

    Args:
        kernel: Its name in `tiles.json`.
        width: Channels, padded by `width_of`.
        size: Bytes of one number of the input.

    Returns:
        Sizes by name, with `warps` and `stages`.
    """
    for line in _TABLE[kernel]:
        if line.get("bytes", size) == size and width <= line.get("most_channels", width):
            return line
    raise CapabilityError(
        Message(
            "{kernel}: no tile for {width} channels of {size} bytes",
            kernel=kernel,
            width=width,
            size=size,
        )
    )


def check(op: str, *given: Tensor, interpreted: bool) -> None:
    """Refuse inputs that a kernel cannot read.

    Args:
        op: For the message.
        given: Inputs, which have to stand on one device and have one of `DTYPES`, or be
            a mask.
        interpreted: Whether Triton's interpreter runs the kernel, which takes a CPU's memory.

    Raises:
        CapabilityError: An input is on the wrong device, or of another dtype.
    """
    first = given[0]
    if not first.is_cuda and not interpreted:
        raise CapabilityError(
            Message(
                "{op}: Triton's kernels run on a CUDA device, and the input is on {device}",
                op=op,
                device=first.device,
            ),
            hint=Message(
                "leave the choice of backend to 'auto', or set TRITON_INTERPRET=1 to try a "
                "kernel slowly on the CPU"
            ),
        )
    for tensor in given:
        if tensor.dtype not in (*DTYPES, torch.bool):
            raise CapabilityError(
                Message(
                    "{op}: Triton's kernels take float32, bfloat16 and float16, not {dtype}",
                    op=op,
                    dtype=tensor.dtype,
                ),
                hint=Message("convert the input, or use the backend 'reference'"),
            )
        if tensor.device != first.device:
            raise CapabilityError(
                Message(
                    "{op}: one input is on {device} and another on {tensor_device}",
                    op=op,
                    device=first.device,
                    tensor_device=tensor.device,
                ),
                hint=Message("move them to one device"),
            )


def on_device(tensor: Tensor) -> AbstractContextManager[object]:
    """Make a tensor's device the current one, since a kernel starts on the current device."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _read() -> Mapping[str, tuple[Mapping[str, int], ...]]:
    lines = json.loads(Path(__file__).with_name("tiles.json").read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            kernel: tuple(MappingProxyType(line) for line in found)
            for kernel, found in lines.items()
            if kernel != "about"
        }
    )


# Read at once: torch.compile, which follows what an op does, could not follow it into a file.
_TABLE = _read()
