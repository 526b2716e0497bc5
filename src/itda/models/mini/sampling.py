"""Dropout that is drawn for each chain alone, so that what is beside it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class DrawnDropout:
    """Drops units as `torch.nn.Dropout` does, with random numbers of each chain's own.

    Args:
        seeds: Seed and number of the sample, of each chain.
        lengths: Tokens of each chain; the rest is padding.
        rate: Of units that are dropped.
    """

    def __init__(
        self, seeds: Sequence[tuple[int, int]], lengths: Sequence[int], rate: float
    ) -> None:
        self.lengths = lengths
        self.rate = rate
        self.draws = [
            torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
            for seed in seeds
        ]

    def __call__(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        """Drop units and make up for them."""
        kept = torch.ones(x.shape)
        for row, draw, tokens in zip(kept, self.draws, self.lengths, strict=True):
            row[:tokens] = torch.rand(tokens, x.shape[2], generator=draw) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.device)
