"""Tensors read from a safetensors file into memory that is there already, in any number format.

The usual readers map the file or make new tensors: both count twice against a machine's memory
while a large model is loaded.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import torch
from torch import Tensor

from itda.errors import WeightsError
from itda.language import Message

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NUMBERS_AT_ONCE = 1 << 18
"""Stay in the processor's cache while their format is changed."""


@dataclass(frozen=True)
class _Place:
    dtype: torch.dtype
    shape: tuple[int, ...]
    first: int


class TensorFile:
    """A safetensors file of floating-point numbers.

    Args:
        path: The file.

    Raises:
        WeightsError: It is no safetensors file, or holds other numbers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                header = json.loads(stream.read(min(length, path.stat().st_size)))
            header.pop("__metadata__", None)
            self._places = {
                name: _Place(
                    _DTYPES[entry["dtype"]],
                    tuple(entry["shape"]),
                    8 + length + entry["data_offsets"][0],
                )
                for name, entry in header.items()
            }
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                Message(
                    "{path} is no safetensors file of floating-point numbers: {error}",
                    path=path,
                    error=error,
                ),
                hint=Message("`itda weights verify` says what is there"),
            ) from error

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor by its name, in the order of the file."""
        return {name: place.shape for name, place in self._places.items()}

    def read_into(self, targets: Mapping[str, Tensor]) -> None:
        """Fill tensors, which may be of another number format and on another device.

        Args:
            targets: By name; contiguous, of the shapes in the file.

        Raises:
            WeightsError: The file ends before a tensor does.
        """
        with self.path.open("rb", buffering=0) as stream, torch.no_grad():
            for name, target in targets.items():
                place = self._places[name]
                assert place.shape == tuple(target.shape), name
                stream.seek(place.first)
                flat = target.view(-1)
                if place.dtype == target.dtype and target.device.type == "cpu":
                    _read(stream, flat)
                else:
                    _read_converted(stream, flat, place.dtype)


def _read_converted(stream: FileIO, flat: Tensor, dtype: torch.dtype) -> None:
    raw = torch.empty(min(_NUMBERS_AT_ONCE, flat.numel()), dtype=dtype)
    for first in range(0, flat.numel(), _NUMBERS_AT_ONCE):
        part = flat[first : first + _NUMBERS_AT_ONCE]
        _read(stream, raw[: part.numel()])
        # By way of float32, for which there are fast conversions from and to each half precision.
        part.copy_(raw[: part.numel()].float())


def _read(stream: FileIO, flat: Tensor) -> None:
    view = memoryview(flat.view(torch.uint8).numpy())  # type: ignore[arg-type]
    while view:
        read = stream.readinto(view)
        if not read:
            raise WeightsError(
                Message("{stream} ends before its last tensor", stream=stream.name),
                hint=Message("the file was changed while it was read: `itda weights verify`"),
            )
        view = view[read:]
