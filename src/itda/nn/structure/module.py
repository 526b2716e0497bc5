"""The structure module: from representations to frames and torsions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from itda.chem.geometry import TORSION_COUNT
from itda.nn.linear import linear
from itda.nn.structure.chain import build_chain, hang_chain
from itda.nn.structure.invariant_point import InvariantPointAttention
from itda.nn.structure.rigid import Rigid
from itda.nn.structure.torsions import TorsionHead
from itda.ops.arithmetic import widened

Drop = Callable[[Float[Tensor, "batch token channel"]], Float[Tensor, "batch token channel"]]

NANOMETRE = 10.0
"""Angstroms in the unit of length inside the module (AlphaFold 2 SI, algorithm 20)."""


@dataclass(frozen=True)
class Anchors:
    """Residues whose place is known from a template, before anything is folded.

    Attributes:
        frames: Backbone frames, angstrom; without meaning where `mask` is False.
        mask: Which residues are known.
        identity: How alike template and chain are, 0..1.
    """

    frames: Rigid
    mask: Bool[Tensor, "batch token"]
    identity: Float[Tensor, "batch"]


@dataclass(frozen=True)
class StructureOutput:
    """What the structure module gives.

    Attributes:
        frames: Backbone frames after the last step, angstrom.
        trajectory: Backbone frames after each step, with gradients, angstrom.
        torsions: Unit vectors (sin, cos) of N-CA-C-O and chi1 to chi4.
        unnormalised_torsions: The same before they are brought to length one.
        backbone_torsions: Unnormalised (sin, cos) of phi and psi that the start was built from;
            None where the start is the origin.
        single: The single representation after the last step.
    """

    frames: Rigid
    trajectory: tuple[Rigid, ...]
    torsions: Float[Tensor, "batch token 5 2"]
    unnormalised_torsions: Float[Tensor, "batch token 5 2"]
    backbone_torsions: Float[Tensor, "batch token 2 2"] | None
    single: Float[Tensor, "batch token channel"]


class StructureModule(nn.Module):
    """Refine one frame a residue (AlphaFold 2 SI, algorithm 20).

    Args:
        single_channels: Width of the single representation.
        pair_channels: Width of the pair representation.
        channels: Width inside.
        heads: Of invariant point attention.
        steps: That share weights.
        start: `origin` begins with all residues at one point, as AlphaFold 2 does; `torsions`
            begins with a chain built from predicted phi and psi, whose local structure is right
            long before a fold is learned.
        anchored: Whether the chain can be hung on a template, as RoseTTAFold starts from one
            (Baek et al. 2021); needs the start `torsions`.
        dropout: Rate in training.
        attention: Another attention than that of mini's sizes.
        torsions: Another head than mini's five torsions; takes the last and the first state.
    """

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        *,
        channels: int,
        heads: int,
        steps: int,
        start: Literal["origin", "torsions"] = "origin",
        anchored: bool = False,
        dropout: float = 0.1,
        attention: InvariantPointAttention | None = None,
        torsions: TorsionHead | None = None,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.anchored = linear(2, channels, bias=False, start="zero") if anchored else None
        # A template is better than a first guess: at first an anchored residue moves an eighth.
        self.release = linear(channels, 1, start="shut") if anchored else None
        self.chain_start = (
            TorsionHead(single_channels, channels, 2) if start == "torsions" else None
        )
        self.norm_single = nn.LayerNorm(single_channels)
        self.norm_pair = nn.LayerNorm(pair_channels)
        self.project = linear(single_channels, channels)
        self.attention = attention or InvariantPointAttention(channels, pair_channels, heads)
        self.norm_attention = nn.LayerNorm(channels)
        self.transition = nn.Sequential(
            linear(channels, channels, start="relu"),
            nn.ReLU(),
            linear(channels, channels, start="relu"),
            nn.ReLU(),
            linear(channels, channels, start="zero"),
        )
        self.norm_transition = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.update = linear(channels, 6, start="zero")
        self.torsions = torsions or TorsionHead(single_channels, channels, TORSION_COUNT)

    def forward(
        self,
        single: Float[Tensor, "batch token single_channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
        anchors: Anchors | None = None,
        drop: Drop | None = None,
    ) -> StructureOutput:
        """Fold in float32 or more and without autocast, since bf16 distorts structures.

        `drop` takes the place of the module's own dropout, so that a sample can be drawn without
        changing the module, which others may be using.
        """
        drop = drop or self.dropout
        with torch.autocast(single.device.type, enabled=False):
            start = self.norm_single(widened(single))
            pair = self.norm_pair(widened(pair))
            x = self.project(start)
            if self.chain_start is None:
                backbone_torsions = None
                frames = Rigid.identity(tuple(x.shape[:2]), x)
            else:
                backbone_torsions = self.chain_start(x, start)
                frames = build_chain(self.chain_start.unit(backbone_torsions.detach()), mask)
                if anchors is not None:
                    frames = hang_chain(frames, anchors.frames, anchors.mask)
                frames = frames.scale_translation(1 / NANOMETRE)
            if anchors is not None:
                x = x + self._mark(anchors)
            trajectory = []
            for step in range(self.steps):
                x = self.norm_attention(drop(x + self.attention(x, pair, frames, mask)))
                x = self.norm_transition(drop(x + self.transition(x)))
                frames = frames.compose(Rigid.from_update(self._move(x, anchors)))
                trajectory.append(frames.scale_translation(NANOMETRE))
                if step < self.steps - 1:
                    frames = frames.detach_rotation()
            raw = self.torsions(x, start)
            return StructureOutput(
                frames=trajectory[-1],
                trajectory=tuple(trajectory),
                torsions=self.torsions.unit(raw),
                unnormalised_torsions=raw,
                backbone_torsions=backbone_torsions,
                single=x,
            )

    def _mark(self, anchors: Anchors) -> Float[Tensor, "batch token channel"]:
        assert self.anchored is not None, "these weights know no templates"
        mask = anchors.mask.to(self.project.weight.dtype)
        marked: Tensor = self.anchored(torch.stack([mask, mask * anchors.identity[:, None]], -1))
        return marked

    def _move(
        self, x: Float[Tensor, "batch token channel"], anchors: Anchors | None
    ) -> Float[Tensor, "batch token 6"]:
        update: Tensor = self.update(x)
        if anchors is None or self.release is None:
            return update
        released = torch.sigmoid(self.release(x))
        return update * torch.where(anchors.mask[..., None], released, 1.0)
