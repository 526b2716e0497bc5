"""The mini network: sequence, profile and templates in, all heavy atoms and confidence out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import DSSP_LETTERS
from itda.features import Features, TemplateFeatures
from itda.models.mini.config import MiniConfig
from itda.nn.linear import linear
from itda.nn.pair_stack import PairStackBlock
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.module import Anchors, Drop, StructureModule, StructureOutput
from itda.nn.structure.rigid import Rigid, pairwise_distance
from itda.nn.template_embedding import TemplateEmbedding, backbone_frames

RELATIVE_POSITION_CLIP = 32
DISTOGRAM_EDGES_ANGSTROM = (2.3125, 21.6875)
DISTOGRAM_BINS = 64
RECYCLED_EDGES_ANGSTROM = (3.25, 20.75)
RECYCLED_BINS = 15
LDDT_BINS = 50
PAE_BINS = 64
PAE_BIN_ANGSTROM = 0.5


@dataclass(frozen=True)
class MiniOutput:
    """What one pass gives; logits are float32.

    Attributes:
        structure: Frames, torsions and the trajectory of the structure module.
        atoms: Heavy atoms in atom14 order, angstrom.
        lddt_logits: CA-lDDT in 50 bins of 0.02.
        pae_logits: Error of column j when row i's frames are aligned, 64 bins of 0.5 angstrom.
        distogram_logits: Distance of (ideal) CB atoms in 64 bins, symmetric.
        profile_logits: Residue frequencies that the trunk expects (auxiliary target).
        dssp_logits: Secondary structure in `DSSP_LETTERS` order (auxiliary target).
    """

    structure: StructureOutput
    atoms: Float[Tensor, "batch token 14 3"]
    lddt_logits: Float[Tensor, "batch token 50"]
    pae_logits: Float[Tensor, "batch token token 64"]
    distogram_logits: Float[Tensor, "batch token token 64"]
    profile_logits: Float[Tensor, "batch token 20"]
    dssp_logits: Float[Tensor, "batch token 8"]


@dataclass(frozen=True)
class Representation:
    """What the trunk has found, before atoms are placed."""

    single: Float[Tensor, "batch token channel"]
    pair: Float[Tensor, "batch token token pair_channel"]
    mask: Bool[Tensor, "batch token"]
    anchors: Anchors | None


class InputEmbedding(nn.Module):
    """Residue types, profile and relative positions as first single and pair representations."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        channels = config.single_channels
        self.restype = linear(21, channels)
        self.profile = linear(21, channels, bias=False)
        self.stem = nn.Conv1d(42, channels, config.stem_kernel, padding=config.stem_kernel // 2)
        self.left = linear(channels, config.pair_channels, bias=False)
        self.right = linear(channels, config.pair_channels, bias=False)
        self.relative_position = nn.Embedding(2 * RELATIVE_POSITION_CLIP + 1, config.pair_channels)

    def forward(
        self, features: Features
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Embed; the profile enters with a flag that says whether there is one."""
        tokens, profile = features.tokens, features.profile
        kept = tokens.mask[..., None]
        restype = functional.one_hot(tokens.restype, 21).float() * kept
        present = profile.present[:, None, None].float().expand(*tokens.mask.shape, 1)
        frequency = torch.cat([profile.frequency.float() * present, present], dim=-1) * kept
        window = torch.cat([restype, frequency], dim=-1).transpose(1, 2)
        single = self.restype(restype) + self.profile(frequency) + self.stem(window).transpose(1, 2)
        offset = tokens.residue_index[:, None, :] - tokens.residue_index[:, :, None]
        offset = offset.clamp(-RELATIVE_POSITION_CLIP, RELATIVE_POSITION_CLIP)
        pair = self.relative_position(offset + RELATIVE_POSITION_CLIP)
        pair = pair + self.left(single)[:, :, None] + self.right(single)[:, None, :]
        return single, pair


class Recycling(nn.Module):
    """What the pass before found, as an addition to the inputs (AlphaFold 2 SI, algorithm 32)."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.norm_single = nn.LayerNorm(config.single_channels)
        self.norm_pair = nn.LayerNorm(config.pair_channels)
        self.distance = nn.Embedding(RECYCLED_BINS + 1, config.pair_channels)

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        ca: Float[Tensor, "batch token 3"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the additions to the first single and pair."""
        edges = torch.linspace(*RECYCLED_EDGES_ANGSTROM, RECYCLED_BINS, device=ca.device)
        binned = torch.bucketize(pairwise_distance(ca.float(), ca.float()), edges)
        return self.norm_single(single), self.norm_pair(pair) + self.distance(binned)


class Mini(nn.Module):
    """The whole network."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = InputEmbedding(config)
        self.templates = (
            TemplateEmbedding(
                config.single_channels, config.pair_channels, config.template_channels
            )
            if config.template_channels
            else None
        )
        self.recycling = Recycling(config)
        self.blocks = nn.ModuleList(
            PairStackBlock(
                config.single_channels,
                config.pair_channels,
                config.single_heads,
                pair_heads=config.pair_heads,
                dropout=config.dropout,
            )
            for _ in range(config.blocks)
        )
        self.structure = StructureModule(
            config.single_channels,
            config.pair_channels,
            channels=config.structure_channels,
            heads=config.structure_heads,
            steps=config.structure_steps,
            start=config.structure_start,
            anchored=config.template_channels > 0,
        )
        self.build_atoms = AtomBuilder()
        self.norm_pair = nn.LayerNorm(config.pair_channels)
        self.norm_single = nn.LayerNorm(config.single_channels)
        self.distogram = linear(config.pair_channels, DISTOGRAM_BINS, start="zero")
        self.pae = linear(config.pair_channels, PAE_BINS, start="zero")
        self.profile = linear(config.single_channels, 20, start="zero")
        self.dssp = linear(config.single_channels, len(DSSP_LETTERS), start="zero")
        self.lddt = nn.Sequential(
            nn.LayerNorm(config.structure_channels),
            linear(config.structure_channels, config.confidence_channels, start="relu"),
            nn.ReLU(),
            linear(config.confidence_channels, config.confidence_channels, start="relu"),
            nn.ReLU(),
            linear(config.confidence_channels, LDDT_BINS, start="zero"),
        )

    def forward(self, features: Features, *, recycles: int = 0) -> MiniOutput:
        """Run `recycles + 1` passes and all heads; gradients flow through the last pass only."""
        representation = self.represent(features, recycles=recycles)
        structure = self.place(representation)
        single, pair = representation.single, representation.pair
        return self.heads(single, pair, structure, features.tokens.restype)

    def represent(
        self,
        features: Features,
        *,
        recycles: int = 0,
        drop: Drop | None = None,
        report: Callable[[float], None] = lambda _fraction: None,
    ) -> Representation:
        """Run `recycles + 1` passes up to the last structure; gradients flow through the last only.

        Args:
            features: Of one chain, or of several that are padded to one length.
            recycles: Passes beyond the first.
            drop: Dropout of the structures between passes; see `StructureModule`.
            report: Called with the fraction done.
        """
        mask = features.tokens.mask
        first_single, first_pair = self.embedding(features)
        anchors = None
        if features.templates.mask.shape[1] and self.templates is not None:
            from_single, from_pair = self.templates(features.templates)
            first_single, first_pair = first_single + from_single, first_pair + from_pair
            anchors = _anchors(features.templates)
        single, pair = first_single, first_pair
        passes = (recycles + 1) * len(self.blocks)
        ca = torch.zeros(*mask.shape, 3, device=mask.device)
        for recycle in range(recycles + 1):
            last = recycle == recycles
            with torch.set_grad_enabled(last and torch.is_grad_enabled()):
                if recycle:
                    added_single, added_pair = self.recycling(single, pair, ca)
                    single, pair = first_single + added_single, first_pair + added_pair
                for number, block in enumerate(self.blocks):
                    report((recycle * len(self.blocks) + number) / passes)
                    single, pair = block(single, pair, mask)
                if not last:
                    structure = self.structure(single, pair, mask, anchors, drop)
                    ca = structure.frames.translation.detach()
        return Representation(single, pair, mask, anchors)

    def place(self, representation: Representation, *, drop: Drop | None = None) -> StructureOutput:
        """Run the structure module; see `StructureModule` for `drop`."""
        structure: StructureOutput = self.structure(
            representation.single,
            representation.pair,
            representation.mask,
            representation.anchors,
            drop,
        )
        return structure

    def heads(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        structure: StructureOutput,
        restype: Int[Tensor, "batch token"],
    ) -> MiniOutput:
        """Read atoms, confidence and auxiliary predictions."""
        normed_pair, normed_single = self.norm_pair(pair), self.norm_single(single)
        half = self.distogram(normed_pair)
        return MiniOutput(
            structure=structure,
            atoms=self.build_atoms(restype, structure.frames, structure.torsions),
            lddt_logits=self.lddt(structure.single).float(),
            pae_logits=self.pae(normed_pair).float(),
            distogram_logits=(half + half.transpose(1, 2)).float(),
            profile_logits=self.profile(normed_single).float(),
            dssp_logits=self.dssp(normed_single).float(),
        )


def _anchors(templates: TemplateFeatures) -> Anchors:
    """Give the places that the first template has for its residues, centred on the origin."""
    frames, mask = backbone_frames(templates.backbone[:, 0]), templates.mask[:, 0]
    kept = mask[..., None]
    centre = (frames.translation * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp_min(
        1
    )
    centred = Rigid(frames.rotation, frames.translation - centre)
    return Anchors(centred, mask, templates.identity[:, 0])


def atom_mask(restype: Int[Tensor, "batch token"]) -> Bool[Tensor, "batch token 14"]:
    """True where a residue type has that atom."""
    table = torch.from_numpy(rigid_group_tables().atom14_mask).to(restype.device)
    return table[restype]
