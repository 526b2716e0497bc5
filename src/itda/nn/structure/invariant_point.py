"""Attention over residues that sees where they are."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear
from itda.nn.structure.rigid import Rigid


class InvariantPointAttention(nn.Module):
    """Attention that also measures distances between points (AlphaFold 2 SI, algorithm 22)."""

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        heads: int,
        *,
        head_channels: int = 16,
        query_points: int = 4,
        value_points: int = 8,
        biased: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_channels = head_channels
        self.query_points = query_points
        self.value_points = value_points
        self.scalars = linear(single_channels, 3 * heads * head_channels, bias=biased)
        self.points = linear(single_channels, heads * (2 * query_points + value_points) * 3)
        self.pair_bias = linear(pair_channels, heads, bias=False)
        # softplus(0.5413) = 1
        self.point_weight = nn.Parameter(torch.full((heads,), 0.5413))
        gathered = heads * (head_channels + 4 * value_points + pair_channels)
        self.project_out = linear(gathered, single_channels, start="zero")

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        frames: Rigid,
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token channel"]:
        """Give the update to add to `single`; `frames` in nanometres, not under autocast."""
        heads = self.heads
        query, key, value = self.scalars(single).unflatten(-1, (heads, -1)).chunk(3, dim=-1)
        points = self.points(single).unflatten(-1, (heads, -1, 3))
        placed = frames.unsqueeze(-1).unsqueeze(-1).apply(points)
        query_points, key_points, value_points = placed.split(
            [self.query_points, self.query_points, self.value_points], dim=-2
        )
        scores = torch.einsum("bihc,bjhc->bhij", query, key) * self.head_channels**-0.5
        scores = scores + self.pair_bias(pair).permute(0, 3, 1, 2)
        query_flat = query_points.flatten(-2).transpose(1, 2)
        key_flat = key_points.flatten(-2).transpose(1, 2)
        squared = (
            query_flat.square().sum(-1)[..., :, None]
            + key_flat.square().sum(-1)[..., None, :]
            - 2 * query_flat @ key_flat.transpose(-1, -2)
        )
        weight = functional.softplus(self.point_weight) * (2 / (9 * self.query_points)) ** 0.5 / 2
        scores = (scores - weight[:, None, None] * squared) * 3**-0.5
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        attended = torch.softmax(scores, dim=-1)
        from_scalars = torch.einsum("bhij,bjhc->bihc", attended, value)
        from_pair = torch.einsum("bhij,bijc->bihc", attended, pair)
        gathered = torch.einsum("bhij,bjhx->bihx", attended, value_points.flatten(-2))
        local = frames.unsqueeze(-1).unsqueeze(-1).invert_apply(gathered.unflatten(-1, (-1, 3)))
        norms = (local.square().sum(-1) + 1e-8).sqrt()
        out: Tensor = self.project_out(
            torch.cat([from_scalars, from_pair, local.flatten(-2), norms], dim=-1).flatten(-2)
        )
        return out
