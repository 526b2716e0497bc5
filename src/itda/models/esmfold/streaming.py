"""Layers read from the weights file when their turn comes: a large model on a small machine.

Two layers are in memory at once: one computes while the next is read by a second thread. The
language model of `esmfold_v1` is 5.7 GB; its two layers are 0.3 GB.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from itda.errors import WeightsError

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class _Place:
    dtype: torch.dtype
    shape: tuple[int, ...]
    first: int
    size: int


class StreamedLayers:
    """An iterable of modules whose weights are read anew in each pass.

    Args:
        path: A safetensors file.
        prefix: The tensors of layer i are called `{prefix}{i}.NAME`.
        count: Layers.
        make: Gives a module whose parameters have the names NAME.
        dtype: Number format to compute in.
        device: Where to compute.

    Raises:
        WeightsError: A tensor is missing, or of another shape.
    """

    def __init__(
        self,
        path: Path,
        prefix: str,
        count: int,
        make: Callable[[], nn.Module],
        *,
        dtype: torch.dtype,
        device: str = "cpu",
    ) -> None:
        self.path = path
        self.prefix = prefix
        self.count = count
        self.dtype = dtype
        self._places = _places(path)
        self._make: Callable[[], nn.Module] = lambda: make().to(device=device, dtype=dtype).eval()
        self._modules = [self._make() for _ in range(min(2, count))]
        for layer in range(count):
            for name, parameter in self._modules[0].named_parameters():
                place = self._places.get(f"{prefix}{layer}.{name}")
                if place is None or place.shape != tuple(parameter.shape):
                    found = "missing" if place is None else f"of shape {place.shape}"
                    raise WeightsError(
                        f"{path}: {prefix}{layer}.{name} is {found}, not {tuple(parameter.shape)}",
                        hint="convert the weights again: `itda weights verify` says what is there",
                    )

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[nn.Module]:
        with ThreadPoolExecutor(1, thread_name_prefix="itda-weights") as reader:
            coming: Future[nn.Module] = reader.submit(self._read, 0)
            for layer in range(self.count):
                module = coming.result()
                if layer + 1 < self.count:
                    coming = reader.submit(self._read, layer + 1)
                yield module

    def resident(self) -> nn.ModuleList:
        """Read all layers at once, to keep them."""
        return nn.ModuleList(self._fill(self._make(), layer) for layer in range(self.count))

    def _read(self, layer: int) -> nn.Module:
        return self._fill(self._modules[layer % len(self._modules)], layer)

    def _fill(self, module: nn.Module, layer: int) -> nn.Module:
        with self.path.open("rb", buffering=0) as stream, torch.no_grad():
            for name, parameter in module.named_parameters():
                place = self._places[f"{self.prefix}{layer}.{name}"]
                parameter.copy_(_read_tensor(stream, place))
        return module


def _read_tensor(stream: Any, place: _Place) -> Tensor:
    content = torch.empty(place.size, dtype=torch.uint8)
    stream.seek(place.first)
    view = memoryview(content.numpy())  # type: ignore[arg-type]
    while view:
        read = stream.readinto(view)
        if not read:
            raise WeightsError(
                f"{stream.name} ends before its last tensor",
                hint="the file was changed while it was read: `itda weights verify`",
            )
        view = view[read:]
    return content.view(place.dtype).view(place.shape)


def _places(path: Path) -> dict[str, _Place]:
    """Read the header of a safetensors file: 8 bytes of length, JSON, then the data."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return {
        name: _Place(
            _DTYPES[entry["dtype"]],
            tuple(entry["shape"]),
            8 + length + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
    }
