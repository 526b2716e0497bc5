"""The trunk: blocks that update a single and a pair representation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear
from itda.ops.attention import attention
from itda.ops.triangle_multiply import triangle_multiply


class Transition(nn.Module):
    """Two-layer gated update of every vector (AlphaFold 3 SI, algorithm 11)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.up = linear(channels, 2 * factor * channels, bias=False, start="relu")
        self.down = linear(factor * channels, channels, bias=False, start="zero")

    def forward(self, x: Float[Tensor, "*shape channel"]) -> Float[Tensor, "*shape channel"]:
        """Give the update to add to `x`."""
        gate, value = self.up(self.norm(x)).chunk(2, dim=-1)
        out: Tensor = self.down(functional.silu(gate) * value)
        return out


class TriangleMultiplication(nn.Module):
    """Triangle multiplicative update (AlphaFold 3 SI, algorithms 12 and 13)."""

    def __init__(self, channels: int, *, outgoing: bool) -> None:
        super().__init__()
        self.outgoing = outgoing
        self.norm = nn.LayerNorm(channels)
        self.project = linear(channels, 2 * channels, bias=False)
        self.gate = linear(channels, 2 * channels, start="gate")
        self.norm_out = nn.LayerNorm(channels)
        self.gate_out = linear(channels, channels, start="gate")
        self.project_out = linear(channels, channels, bias=False, start="zero")

    def forward(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give the update to add to `pair`; entries outside `pair_mask` contribute nothing."""
        x = self.norm(pair)
        projected = self.project(x) * torch.sigmoid(self.gate(x)) * pair_mask[..., None].to(x.dtype)
        left, right = projected.chunk(2, dim=-1)
        product = triangle_multiply(left, right, outgoing=self.outgoing)
        out: Tensor = self.project_out(self.norm_out(product)) * torch.sigmoid(self.gate_out(x))
        return out


class TriangleAttention(nn.Module):
    """Attention among the edges of one node (AlphaFold 3 SI, algorithms 14 and 15)."""

    def __init__(self, channels: int, heads: int, *, starting: bool) -> None:
        super().__init__()
        self.heads = heads
        self.starting = starting
        self.norm = nn.LayerNorm(channels)
        self.bias = linear(channels, heads, bias=False)
        self.project = linear(channels, 3 * channels, bias=False)
        self.gate = linear(channels, channels, start="gate")
        self.project_out = linear(channels, channels, bias=False, start="zero")

    def forward(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give the update to add to `pair`."""
        if not self.starting:
            pair, pair_mask = pair.transpose(1, 2), pair_mask.transpose(1, 2)
        batch, rows = pair.shape[:2]
        x = self.norm(pair)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(2, 3).flatten(0, 1)
            for part in self.project(x).chunk(3, dim=-1)
        )
        bias = self.bias(x).permute(0, 3, 1, 2).repeat_interleave(rows, dim=0)
        mixed = attention(query, key, value, bias=bias, key_mask=pair_mask.flatten(0, 1))
        mixed = mixed.unflatten(0, (batch, rows)).transpose(2, 3).flatten(-2)
        out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
        return out if self.starting else out.transpose(1, 2)


class AttentionPairBias(nn.Module):
    """Attention over residues with a bias read from the pair (AlphaFold 3 SI, algorithm 24)."""

    def __init__(self, single_channels: int, pair_channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(single_channels)
        self.norm_pair = nn.LayerNorm(pair_channels)
        self.bias = linear(pair_channels, heads, bias=False)
        self.project = linear(single_channels, 3 * single_channels, bias=False)
        self.gate = linear(single_channels, single_channels, start="gate")
        self.project_out = linear(single_channels, single_channels, bias=False, start="zero")

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token channel"]:
        """Give the update to add to `single`."""
        x = self.norm(single)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.project(x).chunk(3, dim=-1)
        )
        bias = self.bias(self.norm_pair(pair)).permute(0, 3, 1, 2)
        mixed = attention(query, key, value, bias=bias, key_mask=mask)
        mixed = mixed.transpose(1, 2).flatten(-2)
        out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
        return out


class SingleToPair(nn.Module):
    """Products and differences of single vectors, to update the pair (ESMFold, Lin et al. 2023)."""

    def __init__(self, single_channels: int, pair_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(single_channels)
        self.project = linear(single_channels, 2 * pair_channels)
        self.project_out = linear(2 * pair_channels, pair_channels, start="zero")

    def forward(
        self, single: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token token pair_channel"]:
        """Give the update to add to the pair."""
        left, right = self.project(self.norm(single)).chunk(2, dim=-1)
        product = left[:, :, None] * right[:, None, :]
        difference = left[:, :, None] - right[:, None, :]
        out: Tensor = self.project_out(torch.cat([product, difference], dim=-1))
        return out


class PairStackBlock(nn.Module):
    """One trunk block: pair from single, triangles, transition, then single from pair.

    Pair updates of Pairformer (AlphaFold 3 SI, algorithm 17) with the single-to-pair step of
    ESMFold, so that sequence alone can write into the pair. Triangle attention is optional
    (Pairmixer, arXiv 2510.18870, does without).
    """

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        single_heads: int,
        *,
        pair_heads: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.single_to_pair = SingleToPair(single_channels, pair_channels)
        self.outgoing = TriangleMultiplication(pair_channels, outgoing=True)
        self.incoming = TriangleMultiplication(pair_channels, outgoing=False)
        self.pair_attention = nn.ModuleList(
            TriangleAttention(pair_channels, pair_heads, starting=starting)
            for starting in ((True, False) if pair_heads else ())
        )
        self.pair_transition = Transition(pair_channels, 2)
        self.single_attention = AttentionPairBias(single_channels, pair_channels, single_heads)
        self.single_transition = Transition(single_channels, 4)
        self.dropout = dropout

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the new single and pair; masked tokens never change the others."""
        pair_mask = mask[:, :, None] & mask[:, None, :]
        pair = pair + self.single_to_pair(single)
        for triangle in (self.outgoing, self.incoming, *self.pair_attention):
            pair = pair + self._drop_rows(triangle(pair, pair_mask))
        pair = pair + self.pair_transition(pair)
        single = single + self.single_attention(single, pair, mask)
        return single + self.single_transition(single), pair

    def _drop_rows(
        self, update: Float[Tensor, "batch row col channel"]
    ) -> Float[Tensor, "batch row col channel"]:
        """Drop whole rows of an update in training (AlphaFold 2 SI, 1.11.6)."""
        if not self.training or not self.dropout:
            return update
        batch, _, columns, channels = update.shape
        keep = torch.ones(batch, 1, columns, channels, dtype=update.dtype, device=update.device)
        return update * functional.dropout(keep, self.dropout)
