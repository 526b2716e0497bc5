"""The ESMFold network: language model, trunk, structure module, confidence (Lin et al. 2023).

Without gradients the trunk works in place and in rows. The angles and atoms of the structure
module's earlier steps, which no output reads, are not computed. The language model is frozen, as it
was when the published trunk was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from itda.chem.literature import literature_placement
from itda.chem.residues import RESTYPE_INDEX, UNKNOWN_INDEX
from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.language_model import EsmLanguageModel
from itda.nn.attention.pair_bias import AttentionPairBias
from itda.nn.rows import add_by_rows, collect_rows, map_rows
from itda.nn.single_to_pair import SingleToPair
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.invariant_point import InvariantPointAttention
from itda.nn.structure.module import StructureModule, StructureOutput
from itda.nn.structure.torsions import AngleResnet
from itda.nn.transition import ReluTransition
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication
from itda.progress import Progress, ignore_progress

DISTANCE_EDGES_ANGSTROM = (3.375, 21.375)
DISTANCE_BINS = 15
DISTOGRAM_BINS = 64
LDDT_BINS = 50
ATOMS = 37
PAE_BINS = 64
PAE_BIN_ANGSTROM = 0.5
RESTYPE_EMBEDDINGS = 23
"""20 residue types, X, and the two that training used for masks."""

_CB_FROM_BACKBONE = (-0.58273431, 0.56802827, -0.54067466)
"""Weights of (CA-N) x (C-CA), CA-N and C-CA in an ideal CB."""


@dataclass(frozen=True)
class EsmFoldOutput:
    """What the network gives.

    Attributes:
        atoms: Heavy atoms in atom14 order, angstrom.
        structure: Frames, torsions and states of the structure module.
        single: The trunk's last single representation.
        pair: The trunk's last pair representation.
        lddt: Predicted lDDT of the 37 atoms, 0 to 1.
    """

    atoms: Float[Tensor, "batch token 14 3"]
    structure: StructureOutput
    single: Float[Tensor, "batch token channel"]
    pair: Float[Tensor, "batch token token pair_channel"]
    lddt: Float[Tensor, "batch token 37"]


class FoldingBlock(nn.Module):
    """One trunk block: attention over residues first, then the pair (Lin et al. 2023, SI A.3)."""

    def __init__(self, config: EsmFoldConfig) -> None:
        super().__init__()
        single, pair = config.single_channels, config.pair_channels
        heads = pair // config.pair_head_channels
        self.single_attention = AttentionPairBias(
            single, pair, single // config.single_head_channels, biased=True
        )
        self.single_transition = ReluTransition(single, 4)
        self.single_to_pair = SingleToPair(single, pair, inner=pair // 2)
        self.outgoing = TriangleMultiplication(pair, outgoing=True, biased=True)
        self.incoming = TriangleMultiplication(pair, outgoing=False, biased=True)
        self.starting = TriangleAttention(pair, heads, starting=True, biased=True)
        self.ending = TriangleAttention(pair, heads, starting=False, biased=True)
        self.pair_transition = ReluTransition(pair, 4)

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the new single and pair; without gradients the pair is changed in place."""
        pair_mask = mask[:, :, None] & mask[:, None, :]
        single = single + self.single_attention(single, pair, mask)
        single = single + self.single_transition(single)
        pair = self.single_to_pair.add_to(pair, single)
        for triangle in (self.outgoing, self.incoming, self.starting, self.ending):
            pair = triangle.add_to(pair, pair_mask)
        return single, add_by_rows(pair, self.pair_transition)


class EsmFold(nn.Module):
    """The whole network but for the layers of the language model, which are given to each run."""

    def __init__(self, config: EsmFoldConfig) -> None:
        super().__init__()
        self.config = config
        single, pair = config.single_channels, config.pair_channels
        self.language_model = EsmLanguageModel(config)
        self.state_share = nn.Parameter(torch.zeros(config.language_layers + 1))
        self.from_language = nn.Sequential(
            nn.LayerNorm(config.language_channels),
            nn.Linear(config.language_channels, single),
            nn.ReLU(),
            nn.Linear(single, single),
        )
        self.restype = nn.Embedding(RESTYPE_EMBEDDINGS, single)
        self.relative_position = nn.Embedding(2 * config.position_clip + 2, pair)
        self.norm_recycled_single = nn.LayerNorm(single)
        self.norm_recycled_pair = nn.LayerNorm(pair)
        self.recycled_distance = nn.Embedding(DISTANCE_BINS, pair)
        self.blocks = nn.ModuleList(FoldingBlock(config) for _ in range(config.blocks))
        self.to_structure_single = nn.Linear(single, config.structure_channels)
        self.to_structure_pair = nn.Linear(pair, config.structure_pair_channels)
        self.structure = StructureModule(
            config.structure_channels,
            config.structure_pair_channels,
            channels=config.structure_channels,
            heads=config.structure_heads,
            steps=config.structure_steps,
            attention=InvariantPointAttention(
                config.structure_channels,
                config.structure_pair_channels,
                config.structure_heads,
                head_channels=config.structure_head_channels,
                query_points=config.query_points,
                value_points=config.value_points,
                biased=True,
            ),
            torsions=AngleResnet(
                config.structure_channels,
                config.torsion_channels,
                blocks=config.torsion_blocks,
                torsions=7,
            ),
        )
        self.build_atoms = AtomBuilder(literature_placement())
        self.distogram_head = nn.Linear(pair, DISTOGRAM_BINS)
        self.pae_head = nn.Linear(pair, PAE_BINS)
        # No activation stands between these layers in the published model.
        self.lddt_head = nn.Sequential(
            nn.LayerNorm(config.structure_channels),
            nn.Linear(config.structure_channels, config.confidence_channels),
            nn.Linear(config.confidence_channels, config.confidence_channels),
            nn.Linear(config.confidence_channels, ATOMS * LDDT_BINS),
        )

    def forward(
        self,
        restype: Int[Tensor, "batch token"],
        residue_index: Int[Tensor, "batch token"],
        mask: Bool[Tensor, "batch token"],
        layers: Iterable[nn.Module],
        *,
        recycles: int | None = None,
        report: Progress = ignore_progress,
    ) -> EsmFoldOutput:
        """Fold; gradients flow through the last pass only.

        Args:
            restype: Residue types, 0 to 20.
            residue_index: Place along the chain; chains stand far apart.
            mask: True for residues; padding stands at the end.
            layers: Of the language model.
            recycles: Passes of the trunk beyond the first; None for the published number.
            report: Called with the fraction done and what is being done.
        """
        passes = 1 + (self.config.recycles if recycles is None else recycles)
        report(0.0, "language model")
        first_single = self.embed(restype, mask, layers)
        single, pair, backbone = None, None, None
        for number in range(passes):

            def report_pass(fraction: float, number: int = number) -> None:
                done = 0.2 + 0.8 * (number + fraction) / passes
                report(done, f"trunk, pass {number + 1} of {passes}")

            last = number == passes - 1
            with torch.set_grad_enabled(last and torch.is_grad_enabled()):
                single, pair = self._recycle(
                    first_single, single, pair, backbone, residue_index, mask
                )
                single, pair = self.trunk(single, pair, mask, report_pass)
                structure = self.structure(
                    self.to_structure_single(single), map_rows(pair, self.to_structure_pair), mask
                )
                atoms = self.build_atoms(restype, structure.frames, structure.torsions)
                # The published model builds nothing for X, and recycles that.
                known = (restype < UNKNOWN_INDEX)[..., None, None]
                backbone = atoms[:, :, :3] * known
        assert single is not None and pair is not None
        return EsmFoldOutput(atoms, structure, single, pair, self.lddt(structure.single))

    def embed(
        self,
        restype: Int[Tensor, "batch token"],
        mask: Bool[Tensor, "batch token"],
        layers: Iterable[nn.Module],
    ) -> Float[Tensor, "batch token channel"]:
        """Give the trunk's first single representation."""
        share = torch.softmax(self.state_share, dim=0)
        states = self.language_model(self.tokens(restype), mask, layers, share)
        # Padding has type 0, as in the published model; nothing reads it.
        out: Tensor = self.from_language(states) + self.restype(restype)
        return out

    def tokens(self, restype: Int[Tensor, "batch token"]) -> Int[Tensor, "batch token"]:
        """Give the language model's index of each residue type."""
        order = [self.config.vocabulary.index(letter) for letter in RESTYPE_INDEX]
        return torch.tensor(order, device=restype.device)[restype]

    def trunk(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
        report: Callable[[float], None] = lambda _fraction: None,
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Run all blocks; without gradients the pair is changed in place."""
        for number, block in enumerate(self.blocks):
            report(number / len(self.blocks))
            single, pair = block(single, pair, mask)
        return single, pair

    def distogram_logits(
        self, pair: Float[Tensor, "batch token token pair_channel"]
    ) -> Float[Tensor, "batch token token 64"]:
        """Give the distance of CB atoms in 64 bins, symmetric."""
        logits = map_rows(pair, self.distogram_head)
        return (logits + logits.transpose(1, 2)) / 2

    def pae_logits(
        self, pair: Float[Tensor, "batch part token pair_channel"]
    ) -> Float[Tensor, "batch part token 64"]:
        """Give the error of column j when row i's frames are aligned, 64 bins of 0.5 angstrom."""
        out: Tensor = self.pae_head(pair)
        return out

    def lddt(self, states: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch token 37"]:
        """Give the mean of the binned lDDT of each of the 37 atoms, 0 to 1."""
        logits = self.lddt_head(states).unflatten(-1, (ATOMS, LDDT_BINS))
        centres = (torch.arange(LDDT_BINS, device=states.device) + 0.5) / LDDT_BINS
        return torch.softmax(logits, dim=-1) @ centres

    def _recycle(
        self,
        first_single: Float[Tensor, "batch token channel"],
        single: Float[Tensor, "batch token channel"] | None,
        pair: Float[Tensor, "batch token token pair_channel"] | None,
        backbone: Float[Tensor, "batch token 3 3"] | None,
        residue_index: Int[Tensor, "batch token"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Start a pass from what the one before found; the first starts from nothing, normed."""
        if single is None or pair is None or backbone is None:
            batch, tokens = mask.shape
            single = torch.zeros_like(first_single)
            pair = first_single.new_zeros(batch, tokens, tokens, self.config.pair_channels)
            bins = torch.zeros(batch, tokens, tokens, dtype=torch.long, device=mask.device)
        else:
            bins = distance_bins(backbone)
        offset = residue_index[:, None, :] - residue_index[:, :, None]
        clip = self.config.position_clip
        # 0 is for pairs with padding.
        offset = offset.clamp(-clip, clip) + clip + 1
        offset = offset * (mask[:, None, :] & mask[:, :, None])
        before = pair
        pair = collect_rows(
            pair,
            lambda rows: (
                self.norm_recycled_pair(before[:, rows])
                + self.recycled_distance(bins[:, rows])
                + self.relative_position(offset[:, rows])
            ),
        )
        return first_single + self.norm_recycled_single(single), pair


def distance_bins(
    backbone: Float[Tensor, "batch token 3 3"],
) -> Int[Tensor, "batch token token"]:
    """Bin the distances of ideal CB atoms; the lowest and highest bin are open.

    Args:
        backbone: N, CA and C of each residue, angstrom.
    """
    n, ca, c = backbone.unbind(-2)
    first, second = ca - n, c - ca
    normal = torch.linalg.cross(first, second)
    cross, along, onward = _CB_FROM_BACKBONE
    cb = cross * normal + along * first + onward * second + ca
    edges = torch.linspace(*DISTANCE_EDGES_ANGSTROM, DISTANCE_BINS - 1, device=cb.device).square()
    squared = (cb[:, None, :, :] - cb[:, :, None, :]).square().sum(-1)
    return torch.bucketize(squared, edges)
