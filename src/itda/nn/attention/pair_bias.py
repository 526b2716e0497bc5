"""Attention over tokens with a bias from the pair representation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from itda.nn.linear import linear, normed
from itda.nn.rows import map_rows
from itda.ops.attention import attention


class AttentionPairBias(nn.Module):
    """Attention over residues with a bias read from the pair (AlphaFold 3 SI, algorithm 24).

    Args:
        single_channels: Of the single representation, and inside.
        pair_channels: Of the pair representation.
        heads: That share the single channels.
        biased: Whether the output has a bias.
        gate_biased: Whether the gate has a bias; in AlphaFold 3 it has none.
        query_biased: Whether the queries have a bias, as in AlphaFold 3.
    """

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        heads: int,
        *,
        biased: bool = False,
        gate_biased: bool = True,
        query_biased: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(single_channels)
        self.norm_pair = nn.LayerNorm(pair_channels)
        self.bias = linear(pair_channels, heads, bias=False)
        self.project = linear(single_channels, 3 * single_channels, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(single_channels)) if query_biased else None
        self.gate = linear(single_channels, single_channels, bias=gate_biased, start="gate")
        self.project_out = linear(single_channels, single_channels, bias=biased, start="zero")

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token channel"]:
        """Give the update to add to `single`."""
        x = normed(self.norm, single, self.project)
        query, key, value = self.project(x).chunk(3, dim=-1)
        if self.query_bias is not None:
            query = query + self.query_bias.to(query.dtype)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        bias = map_rows(pair, lambda rows: self.bias(normed(self.norm_pair, rows, self.bias)))
        bias = bias.permute(0, 3, 1, 2)
        mixed = attention(query, key, value, bias=bias, key_mask=mask)
        mixed = mixed.transpose(1, 2).flatten(-2)
        out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
        return out
