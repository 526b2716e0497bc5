"""The FlashABB network: residue types in, all heavy atoms and pLDDT out (Ellmen et al. 2026).

Residues of several antibodies stand in one row: what works on one residue works on the row, and
attention takes each antibody by itself. So nothing is padded, and a result does not depend on what
it was computed with. Angles and atoms of the earlier blocks, which no output reads, are not
computed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from itda.chem.literature import TORSION_COUNT, literature_placement
from itda.models.flashabb.config import FlashAbbConfig
from itda.models.flashabb.features import AntibodyFeatures
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.rigid import Rigid
from itda.nn.structure.torsions import AngleResnet

LDDT_BINS = 50
INPUT_TYPES = 23
"""20 residue types, X, light, heavy."""


@dataclass(frozen=True)
class FlashAbbOutput:
    """What the network gives.

    Attributes:
        atoms: Heavy atoms in atom14 order, angstrom; X is built as glycine.
        frames: Backbone frames, angstrom.
        torsions: (sin, cos) of omega, phi, psi, chi1 to chi4.
        single: The last residue representation.
        lddt_logits: CA-lDDT in 50 bins of 0.02.
    """

    atoms: Float[Tensor, "token 14 3"]
    frames: Rigid
    torsions: Float[Tensor, "token 7 2"]
    single: Float[Tensor, "token channel"]
    lddt_logits: Float[Tensor, "token 50"]


class CorrectedNorm(nn.LayerNorm):
    """A layer norm behind dropout, whose output was smaller in training (arXiv 2609.32062).

    Args:
        channels: Normed over.
        dropout: Rate of the dropout in training.
    """

    def __init__(self, channels: int, *, dropout: float) -> None:
        super().__init__(channels)
        self.dropout = dropout

    def forward(self, x: Float[Tensor, "*shape channel"]) -> Float[Tensor, "*shape channel"]:
        """Norm, and shrink all but the bias by what dropout did to the width."""
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        kept = 1 - self.dropout
        shrunk = (kept / (1 + self.dropout * mean.square() / variance)).sqrt()
        normed = (x - mean) * (variance + self.eps).rsqrt() * shrunk
        return normed * self.weight + self.bias


class FlashpointAttention(nn.Module):
    """Point attention without a pair representation, and a spectrum of relative positions."""

    frequency: Tensor

    def __init__(self, config: FlashAbbConfig) -> None:
        super().__init__()
        self.config = config
        heads = config.heads
        points = 2 * config.query_points + config.value_points
        self.scalars = nn.Linear(config.channels, 3 * heads * config.head_channels)
        self.points = nn.Linear(config.channels, 3 * heads * points)
        self.point_weight = nn.Parameter(torch.zeros(heads))
        self.register_buffer("frequency", torch.zeros(config.head_channels // 2))
        gathered = config.head_channels + 4 * config.value_points + config.position_bins
        self.project_out = nn.Linear(heads * gathered, config.channels)

    def forward(
        self, x: Float[Tensor, "token channel"], frames: Rigid, features: AntibodyFeatures
    ) -> Float[Tensor, "token channel"]:
        """Give the update to add to `x`; `frames` in angstrom."""
        config = self.config
        scalars = self.scalars(x).unflatten(-1, (config.heads, -1))
        query, key, value = scalars.chunk(3, dim=-1)
        points = self.points(x).unflatten(-1, (config.heads * (self._points), 3))
        placed = (
            points @ frames.rotation.transpose(-1, -2) + frames.translation[:, None]
        ).unflatten(1, (config.heads, -1))
        query_points, key_points, value_points = placed.split(
            [config.query_points, config.query_points, config.value_points], dim=2
        )
        weight = functional.softplus(self.point_weight) * (2 / (9 * config.query_points)) ** 0.5
        weight = weight * 3**-0.5
        # A squared distance is |q|^2 - 2 q k + |k|^2, and softmax takes out what only q has.
        far = key_points.square().sum((-1, -2))[..., None] * (-0.5 * weight[:, None])
        left = [
            query * (3 * config.head_channels) ** -0.5,
            query_points.flatten(2) * weight[:, None],
            torch.ones_like(far),
        ]
        right = [key, key_points.flatten(2), far]
        values = torch.cat([value, value_points.flatten(2)], dim=-1)
        mixed, spectrum = [], []
        start = 0
        for length in features.lengths:
            stretch = slice(start, start + length)
            start += length
            attended = self._attend(
                [part[stretch] for part in left], [part[stretch] for part in right]
            )
            mixed.append((attended @ values[stretch].transpose(0, 1)).transpose(0, 1))
            spectrum.append(self._spectrum(attended, features.position[stretch]))
        return self._gather(torch.cat(mixed), torch.cat(spectrum), frames)

    @property
    def _points(self) -> int:
        return 2 * self.config.query_points + self.config.value_points

    def _attend(
        self, left: list[Float[Tensor, "token head _"]], right: list[Float[Tensor, "token head _"]]
    ) -> Float[Tensor, "head token token"]:
        """Give the attention weights among the residues of one antibody."""
        index = torch.arange(left[0].shape[0], device=left[0].device)
        angle = index[:, None] * self.frequency
        cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
        turned = [
            torch.cat([_rotate(side[0], cosine, sine), *side[1:]], dim=-1).transpose(0, 1)
            for side in (left, right)
        ]
        return torch.softmax(turned[0] @ turned[1].transpose(1, 2), dim=-1)

    def _spectrum(
        self, attended: Float[Tensor, "head token token"], position: Int[Tensor, "token"]
    ) -> Float[Tensor, "token head bin"]:
        """Sum attention weights by relative position, modulo the number of bins."""
        bins = self.config.position_bins
        heads, tokens = attended.shape[:2]
        absolute = attended.new_zeros(heads, tokens, bins)
        place = position % bins
        for first, last in _stretches(place.tolist()):
            begin = int(place[first])
            absolute[:, :, begin : begin + last - first] += attended[:, :, first:last]
        shift = (place[:, None] + torch.arange(bins, device=place.device)) % bins
        relative = absolute.gather(2, shift.expand(heads, tokens, bins))
        return relative.transpose(0, 1)

    def _gather(
        self,
        mixed: Float[Tensor, "token head value"],
        spectrum: Float[Tensor, "token head bin"],
        frames: Rigid,
    ) -> Float[Tensor, "token channel"]:
        scalars, points = mixed.split(
            [self.config.head_channels, 3 * self.config.value_points], dim=-1
        )
        offset = points.unflatten(-1, (-1, 3)).flatten(1, 2) - frames.translation[:, None]
        local = (offset @ frames.rotation).unflatten(1, (self.config.heads, -1))
        norms = (local.square().sum(-1) + self.config.epsilon).sqrt()
        parts = [scalars, local.flatten(2), norms, spectrum]
        out: Tensor = self.project_out(torch.cat([part.flatten(1) for part in parts], dim=-1))
        return out


class FlashAbbBlock(nn.Module):
    """Attention, a transition, and a step of each residue's frame."""

    def __init__(self, config: FlashAbbConfig) -> None:
        super().__init__()
        channels = config.channels
        self.attention = FlashpointAttention(config)
        self.norm_attention = CorrectedNorm(channels, dropout=config.dropout)
        self.transition = nn.Sequential(
            nn.Linear(channels, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
        )
        self.norm_transition = CorrectedNorm(channels, dropout=config.dropout)
        self.update = nn.Linear(channels, 6)

    def forward(
        self, x: Float[Tensor, "token channel"], frames: Rigid, features: AntibodyFeatures
    ) -> tuple[Float[Tensor, "token channel"], Rigid]:
        """Give the new representation and the new frames."""
        x = self.norm_attention(x + self.attention(x, frames, features))
        x = self.norm_transition(x + self.transition(x))
        return x, frames.compose(Rigid.from_update(self.update(x)))


class FlashAbb(nn.Module):
    """The whole network.

    State, each with weight and bias unless told: `embedding`; in `blocks.N`, `attention.scalars`
    (head by head query, key, value; rotary pairs are channels i and i + half), `attention.points`
    (head by head query, key, value points, each x, y, z), `attention.point_weight` and
    `attention.frequency` (alone), `attention.project_out` (values, local points as x, y, z, their
    lengths, the spectrum), `norm_attention`, `transition.0`, `.2`, `.4`, `norm_transition`,
    `update` (b, c, d, x, y, z); `torsions` as in `AngleResnet`; `lddt_head.0` (norm), `.1`, `.3`,
    `.5`.
    """

    def __init__(self, config: FlashAbbConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Linear(INPUT_TYPES, config.channels)
        self.blocks = nn.ModuleList(FlashAbbBlock(config) for _ in range(config.blocks))
        self.torsions = AngleResnet(
            config.channels,
            config.torsion_channels,
            blocks=config.torsion_blocks,
            torsions=TORSION_COUNT,
            least=config.epsilon,
        )
        self.build_atoms = AtomBuilder(literature_placement())
        self.lddt_head = nn.Sequential(
            nn.LayerNorm(config.channels),
            nn.Linear(config.channels, config.torsion_channels),
            nn.ReLU(),
            nn.Linear(config.torsion_channels, config.torsion_channels),
            nn.ReLU(),
            nn.Linear(config.torsion_channels, LDDT_BINS),
        )

    def forward(self, features: AntibodyFeatures) -> FlashAbbOutput:
        """Fold the antibodies, each by itself."""
        first = x = self.embed(features)
        frames = Rigid.identity(tuple(x.shape[:1]), x)
        for block in self.blocks:
            x, frames = block(x, frames, features)
        torsions = self.torsions.unit(self.torsions(x[None], first[None]))[0]
        batched = Rigid(frames.rotation[None], frames.translation[None])
        atoms = self.build_atoms(features.restype[None], batched, torsions[None])[0]
        return FlashAbbOutput(atoms, frames, torsions, x, self.lddt_head(x))

    def embed(self, features: AntibodyFeatures) -> Float[Tensor, "token channel"]:
        """Give the first representation: residue type and kind of chain."""
        table = self.embedding.weight.t()
        of_chain = table[INPUT_TYPES - 2 :][features.heavy.long()]
        out: Tensor = table[features.restype] + of_chain + self.embedding.bias
        return out


def _rotate(
    x: Float[Tensor, "token head channel"],
    cosine: Float[Tensor, "token 1 half"],
    sine: Float[Tensor, "token 1 half"],
) -> Float[Tensor, "token head channel"]:
    """Turn channel pairs (i, i + half) by an angle of the position (RoFormer, Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def _stretches(places: list[int]) -> list[tuple[int, int]]:
    """Cut a list where it does not go up by one; give (first, last + 1) of each stretch.

    >>> _stretches([126, 127, 0, 1, 116])
    [(0, 2), (2, 4), (4, 5)]
    """
    cuts = [i for i in range(1, len(places)) if places[i] != places[i - 1] + 1]
    edges = [0, *cuts, len(places)]
    return [(first, last) for first, last in itertools.pairwise(edges) if first < last]
