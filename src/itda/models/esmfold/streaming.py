"""Layers read from the weights file when their turn comes: a large model on a small machine.

Two layers are in memory at once: one computes while the next is read by a second thread. The
language model of `esmfold_v1` is 5.7 GB; its two layers are 0.3 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn

from itda.errors import WeightsError
from itda.hub.tensor_file import TensorFile
from itda.language import Message


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
        self.file = TensorFile(path)
        self.prefix = prefix
        self.count = count
        self._make: Callable[[], nn.Module] = lambda: make().to(device=device, dtype=dtype).eval()
        self._modules = [self._make() for _ in range(min(2, count))]
        for layer in range(count):
            for name, parameter in self._modules[0].named_parameters():
                shape = self.file.shapes.get(f"{prefix}{layer}.{name}")
                if shape != tuple(parameter.shape):
                    found = (
                        Message("missing")
                        if shape is None
                        else Message("of shape {shape}", shape=shape)
                    )
                    raise WeightsError(
                        Message(
                            "{path}: {prefix}{layer}.{name} is {found}, not {shape}",
                            path=path,
                            prefix=prefix,
                            layer=layer,
                            name=name,
                            found=found,
                            shape=tuple(parameter.shape),
                        ),
                        hint=Message(
                            "convert the weights again: `itda weights verify` says what is there"
                        ),
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
        names = {f"{self.prefix}{layer}.{name}": p for name, p in module.named_parameters()}
        self.file.read_into({name: parameter.data for name, parameter in names.items()})
        return module
