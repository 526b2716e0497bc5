"""The structure module: from representations to frames, torsions and all heavy atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from itda.chem.geometry import (
    TORSION_COUNT,
    rigid_group_tables,
)
from itda.chem.literature import AtomPlacement
from itda.nn.chain import build_chain, hang_chain
from itda.nn.linear import linear
from itda.nn.rigid import Rigid

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
        """Give the update to add to `single`; `frames` in nanometres, float32 throughout."""
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
        """Fold; inputs are taken to float32 and autocast is off, since bf16 distorts structures.

        `drop` takes the place of the module's own dropout, so that a sample can be drawn without
        changing the module, which others may be using.
        """
        drop = drop or self.dropout
        with torch.autocast(single.device.type, enabled=False):
            start = self.norm_single(single.float())
            pair = self.norm_pair(pair.float())
            x = self.project(start)
            if self.chain_start is None:
                backbone_torsions = None
                frames = Rigid.identity(tuple(x.shape[:2]), x.device)
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
        mask = anchors.mask.float()
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


class TorsionHead(nn.Module):
    """Torsion angles as points on the unit circle (AlphaFold 2 SI, algorithm 20, lines 11-14)."""

    def __init__(
        self,
        single_channels: int,
        channels: int,
        torsions: int,
        *,
        hidden: int | None = None,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        hidden = hidden or channels
        self.torsion_count = torsions
        self.from_state = linear(channels, hidden)
        self.from_start = linear(single_channels, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                linear(hidden, hidden, start="relu"),
                nn.ReLU(),
                linear(hidden, hidden, start="zero"),
            )
            for _ in range(blocks)
        )
        self.out = linear(hidden, torsions * 2)

    def forward(
        self,
        state: Float[Tensor, "batch token channel"],
        start: Float[Tensor, "batch token single_channel"],
    ) -> Float[Tensor, "batch token torsion 2"]:
        """Give (sin, cos) before normalisation."""
        x = self.from_state(state) + self.from_start(start)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.out(functional.relu(x)).unflatten(-1, (self.torsion_count, 2))
        return out

    def unit(self, raw: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape 2"]:
        """Bring (sin, cos) to length one."""
        return raw / (raw.square().sum(-1, keepdim=True) + 1e-8).sqrt()


class AngleResnet(TorsionHead):
    """Torsion angles as AlphaFold 2's published network gives them: a ReLU before each input.

    State, each with weight and bias: `from_state` (channels to hidden), `from_start` likewise,
    `blocks.N.1` and `blocks.N.3` (hidden to hidden), `out` (hidden to 2 a torsion, sine first).

    Args:
        channels: Of the state and of the first state.
        hidden: Inside.
        blocks: Residual blocks.
        torsions: Angles.
        least: Smallest squared length that is divided by.
    """

    def __init__(
        self, channels: int, hidden: int, *, blocks: int, torsions: int, least: float = 1e-8
    ) -> None:
        super().__init__(channels, channels, torsions, hidden=hidden, blocks=blocks)
        self.least = least

    def forward(
        self,
        state: Float[Tensor, "batch token channel"],
        start: Float[Tensor, "batch token channel"],
    ) -> Float[Tensor, "batch token torsion 2"]:
        """Give (sin, cos) before normalisation."""
        return super().forward(functional.relu(state), functional.relu(start))

    def unit(self, raw: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape 2"]:
        """Bring (sin, cos) to length one, with the published guard against a length of zero."""
        return raw / raw.square().sum(-1, keepdim=True).clamp_min(self.least).sqrt()


class AtomBuilder(nn.Module):
    """Place all heavy atoms from backbone frames and torsions (AlphaFold 2 SI, algorithm 24).

    Its tables are not part of the state.

    Args:
        placement: Rigid groups of the residues; mini's own unless told.
    """

    atom_group: Tensor
    atom_position: Tensor
    atom_mask: Tensor
    default_rotation: Tensor
    default_translation: Tensor

    def __init__(self, placement: AtomPlacement | None = None) -> None:
        super().__init__()
        tables = placement or rigid_group_tables()
        self.parents = tables.group_parents
        for name, array in {
            "atom_group": tables.atom14_group,
            "atom_position": tables.atom14_position,
            "atom_mask": tables.atom14_mask,
            "default_rotation": tables.default_rotation,
            "default_translation": tables.default_translation,
        }.items():
            self.register_buffer(name, torch.from_numpy(array.copy()), persistent=False)

    def forward(
        self,
        restype: Int[Tensor, "batch token"],
        frames: Rigid,
        torsions: Float[Tensor, "batch token torsion 2"],
    ) -> Float[Tensor, "batch token 14 3"]:
        """Give positions in angstrom; columns outside the residue's atoms lie at its CA."""
        with torch.autocast(restype.device.type, enabled=False):
            return self._place(restype, frames, torsions)

    def _place(
        self,
        restype: Int[Tensor, "batch token"],
        frames: Rigid,
        torsions: Float[Tensor, "batch token torsion 2"],
    ) -> Float[Tensor, "batch token 14 3"]:
        sine, cosine = torsions.float().unbind(-1)
        zero, one = torch.zeros_like(sine), torch.ones_like(sine)
        about_x = torch.stack(
            [one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=-1
        ).unflatten(-1, (3, 3))
        default = Rigid(self.default_rotation[restype], self.default_translation[restype])
        groups = [frames]
        for group, parent in enumerate(self.parents, 1):
            turned = Rigid(
                default.rotation[..., group, :, :] @ about_x[..., group - 1, :, :],
                default.translation[..., group, :],
            )
            groups.append(groups[parent].compose(turned))
        rotation = torch.stack([group.rotation for group in groups], dim=-3)
        translation = torch.stack([group.translation for group in groups], dim=-2)
        chosen = self.atom_group[restype]
        atom_frames = Rigid(
            rotation.gather(-3, chosen[..., None, None].expand(*chosen.shape, 3, 3)),
            translation.gather(-2, chosen[..., None].expand(*chosen.shape, 3)),
        )
        placed = atom_frames.apply(self.atom_position[restype])
        return torch.where(
            self.atom_mask[restype][..., None], placed, frames.translation[..., None, :]
        )
