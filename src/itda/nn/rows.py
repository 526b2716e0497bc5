"""Work on a pair representation a few rows at a time, so that no second one of its size is made."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

PAIRS_AT_ONCE = 1024
CHANNELS = 128
"""Pairs of so many channels that stay in a processor's cache through a small network; of fewer
channels more do."""


_SPARED = threading.local()


@contextmanager
def frugally(wanted: bool = True) -> Iterator[None]:
    """Let this thread take few pairs at once on every device, to spare memory."""
    before = getattr(_SPARED, "memory", False)
    _SPARED.memory = wanted
    try:
        yield
    finally:
        _SPARED.memory = before


def row_slices(pair: Float[Tensor, "batch row col channel"]) -> Iterator[slice]:
    """Cut the axis `row` into stretches of about `PAIRS_AT_ONCE` pairs, on a CPU.

    On another device the whole is one stretch until it has `PAIRS_AT_ONCE` x 256 pairs, since
    there a stretch that is short leaves the device idle.
    """
    batch, rows, columns = pair.shape[:3]
    channels = math.prod(pair.shape[3:])
    few = pair.device.type == "cpu" or getattr(_SPARED, "memory", False)
    at_once = PAIRS_AT_ONCE if few else 256 * PAIRS_AT_ONCE
    step = max(1, at_once * CHANNELS // max(1, batch * columns * channels))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def add_by_rows(
    pair: Float[Tensor, "batch row col channel"],
    update: Callable[
        [Float[Tensor, "batch part col channel"]], Float[Tensor, "batch part col channel"]
    ],
) -> Float[Tensor, "batch row col channel"]:
    """Add an update that looks at one vector at a time; in place where no gradient is wanted."""
    if torch.is_grad_enabled():
        return pair + update(pair)
    for rows in row_slices(pair):
        pair[:, rows] += update(pair[:, rows])
    return pair


def map_rows(
    pair: Float[Tensor, "batch row col channel"],
    function: Callable[
        [Float[Tensor, "batch part col channel"]], Float[Tensor, "batch part col out"]
    ],
) -> Float[Tensor, "batch row col out"]:
    """Apply a function that looks at one vector at a time and gives few channels."""
    if torch.is_grad_enabled():
        return function(pair)
    return torch.cat([function(pair[:, rows]) for rows in row_slices(pair)], dim=1)
