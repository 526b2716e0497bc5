"""The largest sum of bytes that arrays of PyTorch held at once, whatever the allocator does."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveArrays(TorchDispatchMode):
    """Counts the storages that operations make, until nothing holds them any more."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: dict[int, int] = {}
        self._foreign: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # What was there before, such as weights, of which views may be made.
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in self._known:
                self._foreign.add(leaf.untyped_storage()._cdata)
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self._take(leaf.untyped_storage())
        return out

    def _take(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._foreign:
            return
        size = storage.nbytes()
        if key in self._known:
            # Memory that is grown in place.
            self.now += size - self._known[key]
            self._known[key] = size
        else:
            self._known[key] = size
            self.now += size
            weakref.finalize(storage, self._release, key)
        self.peak = max(self.peak, self.now)

    def _release(self, key: int) -> None:
        self.now -= self._known.pop(key, 0)


def live_peak(work: Callable[[], Any]) -> int:
    """Run something and give the largest sum of bytes."""
    with LiveArrays() as arrays:
        work()
    return arrays.peak
