"""Work on a pair representation a few rows at a time, so that no second one of its size is made.

Where gradients are recorded all rows are one stretch, since every pair is kept for them anyway, and
nothing is changed in place. What is computed is the same.
"""

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

OfRows = Callable[[slice], Float[Tensor, "..."]]
"""What belongs to a stretch of rows."""

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


def row_slices(pair: Float[Tensor, "batch row col *channel"]) -> Iterator[slice]:
    """Cut the axis `row` into stretches of about `PAIRS_AT_ONCE` pairs, on a CPU.

    On another device the whole is one stretch until it has `PAIRS_AT_ONCE` x 256 pairs, since
    there a stretch that is short leaves the device idle. Where gradients are recorded it is one.
    """
    batch, rows, columns = pair.shape[:3]
    if torch.is_grad_enabled():
        yield slice(0, rows)
        return
    channels = math.prod(pair.shape[3:])
    few = pair.device.type == "cpu" or getattr(_SPARED, "memory", False)
    at_once = PAIRS_AT_ONCE if few else 256 * PAIRS_AT_ONCE
    step = max(1, at_once * CHANNELS // max(1, batch * columns * channels))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def collect_rows(
    pair: Float[Tensor, "batch row col channel"], part: OfRows, *, axis: int = 1
) -> Float[Tensor, "..."]:
    """Make a whole of what belongs to each stretch of rows.

    Args:
        pair: Whose rows are meant.
        part: Gives what belongs to a stretch.
        axis: Where the rows are in what it gives.
    """
    stretches = list(row_slices(pair))
    first = part(stretches[0])
    if len(stretches) == 1:
        return first
    whole = first.new_empty(*first.shape[:axis], pair.shape[1], *first.shape[axis + 1 :])
    by_rows = whole.movedim(axis, 0)
    by_rows[stretches[0]] = first.movedim(axis, 0)
    for rows in stretches[1:]:
        by_rows[rows] = part(rows).movedim(axis, 0)
    return whole


def map_rows(
    pair: Float[Tensor, "batch row col channel"],
    function: Callable[
        [Float[Tensor, "batch part col channel"]], Float[Tensor, "batch part col out"]
    ],
) -> Float[Tensor, "batch row col out"]:
    """Apply a function that looks at one vector at a time."""
    return collect_rows(pair, lambda rows: function(pair[:, rows]))


def add_rows(
    pair: Float[Tensor, "batch row col channel"], update: OfRows
) -> Float[Tensor, "batch row col channel"]:
    """Add the update of each stretch of rows; in place where no gradient is recorded.

    A pair that itself wants a gradient is left alone in any case: what is checkpointed may run
    without gradients first, and once more on the same pair with them.
    """
    if torch.is_grad_enabled():
        return pair + update(slice(None))
    changed = pair.clone() if pair.requires_grad else pair
    for rows in row_slices(pair):
        changed[:, rows] += update(rows)
    return changed


def add_by_rows(
    pair: Float[Tensor, "batch row col channel"],
    update: Callable[
        [Float[Tensor, "batch part col channel"]], Float[Tensor, "batch part col channel"]
    ],
) -> Float[Tensor, "batch row col channel"]:
    """Add an update that looks at one vector at a time; in place where no gradient is recorded."""
    return add_rows(pair, lambda rows: update(pair[:, rows]))
