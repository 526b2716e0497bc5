"""Templates as additions to the single and pair representations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from itda.chem.geometry import ideal_positions
from itda.features.template import TemplateFeatures
from itda.nn.linear import linear
from itda.nn.structure.rigid import Rigid, pairwise_distance
from itda.ops.arithmetic import widened

DISTANCE_EDGES_ANGSTROM = (3.25, 50.75)
DISTANCE_BINS = 39
"""Distances of (ideal) CB atoms, as AlphaFold 2 bins them (SI, table 1)."""

_RESTYPES = 21


@dataclass(frozen=True)
class _Template:
    """One template of each chain of a batch."""

    restype: Int[Tensor, "batch token"]
    backbone: Float[Tensor, "batch token 3 3"]
    mask: Bool[Tensor, "batch token"]
    identity: Float[Tensor, "batch"]

    @property
    def frames(self) -> Rigid:
        return backbone_frames(self.backbone)


class TemplateEmbedding(nn.Module):
    """Distances, directions, residue types and identity of each template, gated and averaged.

    In the line of the template stack of AlphaFold 2 (SI, algorithms 16 and 17) without triangle
    updates of its own: each template is one pass over the pairs, a gate says how much of it is
    believed, and the gated mean enters the pair representation.

    Args:
        single_channels: Width of the single representation.
        pair_channels: Width of the pair representation.
        channels: Width inside.
    """

    def __init__(self, single_channels: int, pair_channels: int, channels: int) -> None:
        super().__init__()
        self.distance = nn.Embedding(DISTANCE_BINS, channels)
        self.direction = linear(3, channels)
        self.left = linear(_RESTYPES, channels, bias=False)
        self.right = linear(_RESTYPES, channels, bias=False)
        self.identity = linear(1, channels, bias=False)
        self.norm = nn.LayerNorm(channels)
        self.transition = nn.Sequential(
            linear(channels, 2 * channels, start="relu"),
            nn.ReLU(),
            linear(2 * channels, channels, start="zero"),
        )
        self.gate = linear(channels, 1, start="gate")
        self.norm_out = nn.LayerNorm(channels)
        self.to_pair = linear(channels, pair_channels, bias=False, start="zero")
        self.to_single = linear(_RESTYPES + 1, single_channels, bias=False, start="zero")

    def forward(
        self, templates: TemplateFeatures
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the additions to single and pair; 0 where no template covers a residue or pair.

        Args:
            templates: At least one on the axis `template`; padding has no partners.
        """
        batch, count, tokens = templates.mask.shape
        zeros = templates.identity.new_zeros
        gathered = zeros(batch, tokens, tokens, self.distance.embedding_dim)
        weight = zeros(batch, tokens, tokens, 1)
        single = zeros(batch, tokens, _RESTYPES + 1)
        for row in range(count):
            template = _Template(
                templates.restype[:, row],
                templates.backbone[:, row],
                templates.mask[:, row],
                templates.identity[:, row],
            )
            embedded = self._embed(template)
            both = template.mask[:, :, None, None] & template.mask[:, None, :, None]
            believed = torch.sigmoid(self.gate(embedded)) * both
            gathered = gathered + believed * embedded
            weight = weight + believed
            single = single + self._residues(template)
        pair = self.norm_out(gathered / weight.clamp_min(1e-4)) * (weight > 0)
        covered = templates.mask.sum(1).clamp_min(1)[..., None]
        return self.to_single(single / covered), self.to_pair(pair)

    def _embed(self, template: _Template) -> Float[Tensor, "batch token token channel"]:
        frames = template.frames
        ideal_cb = template.backbone.new_tensor(ideal_positions()["ALA"]["CB"])
        cb = frames.apply(ideal_cb.expand_as(frames.translation))
        edges = torch.linspace(*DISTANCE_EDGES_ANGSTROM, DISTANCE_BINS - 1).to(cb)
        binned = torch.bucketize(pairwise_distance(cb, cb), edges)
        offset = frames.unsqueeze(-1).invert_apply(frames.translation[:, None, :])
        direction = offset / (offset.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        restype = functional.one_hot(template.restype, _RESTYPES).to(template.identity)
        embedded = (
            self.distance(binned)
            + self.direction(direction)
            + self.left(restype)[:, :, None]
            + self.right(restype)[:, None, :]
            + self.identity(template.identity[:, None])[:, None, None]
        )
        normed = self.norm(embedded)
        out: Tensor = normed + self.transition(normed)
        return out

    def _residues(self, template: _Template) -> Float[Tensor, "batch token feature"]:
        restype = functional.one_hot(template.restype, _RESTYPES).to(template.identity)
        identity = template.identity[:, None, None].expand(-1, restype.shape[1], 1)
        return torch.cat([restype, identity], dim=-1) * template.mask[..., None]


def backbone_frames(backbone: Float[Tensor, "*shape 3 3"]) -> Rigid:
    """Give frames from N, CA and C; without meaning where atoms are missing, but finite."""
    n, ca, c = widened(backbone).unbind(-2)
    return Rigid.from_three_points(ca, c, n)
