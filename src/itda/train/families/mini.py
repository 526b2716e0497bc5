"""How mini is trained (AlphaFold 2 SI, 1.11, at a small scale)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from itda.chem.residues import sequence_to_indices
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.models.family import Family
from itda.models.mini.config import MiniConfig
from itda.models.mini.family import FAMILY
from itda.models.mini.modeling import Mini
from itda.train.batch import Batch, Crop, stack_padded, token_mask
from itda.train.families.mini_losses import LOSS_NAMES, compute_losses
from itda.train.targets import ChainTargets, profile_of
from itda.train.trainable import AnyTrainable, matrices_decay

if TYPE_CHECKING:
    from itda.train.stage import Stage

FEWEST_TEMPLATE_RESIDUES = 10
"""Partners that a template must have in a crop to be of use there (AlphaFold 3 SI 2.4)."""


class MiniTraining:
    """See `itda.train.trainable.Trainable`."""

    family: Family = FAMILY
    sizes = MiniConfig
    loss_names = LOSS_NAMES
    loss_weights: Mapping[str, float] = MappingProxyType(
        {
            **{"backbone": 1.0, "all_atom": 0.5, "distogram": 0.5, "torsion": 0.3},
            **{"backbone_torsion": 0.5, "plddt": 0.05, "pae": 0.02, "profile": 0.2, "dssp": 0.2},
        }
    )
    """As `mini.yaml` and `mini-cpu.yaml` have them in their first stage."""

    def network(self, sizes: MiniConfig) -> Mini:
        """Make a network that knows nothing yet."""
        return Mini(sizes)

    def features(self, crops: Sequence[Crop]) -> Features:
        """Make sequence, profile where it is shown, and templates."""
        stacked = stack_padded([_sequence(crop) for crop in crops])
        shown = [crop.show_profile and crop.chain.profile is not None for crop in crops]
        return Features(
            TokenFeatures(stacked["restype"], stacked["residue_index"], token_mask(crops)),
            ProfileFeatures(stacked["profile"], torch.tensor(shown)),
            TemplateFeatures.stack([_templates(crop) for crop in crops]),
        )

    def targets(self, crops: Sequence[Crop]) -> ChainTargets:
        """Make what the experiments show."""
        return ChainTargets.of_crops(crops)

    def losses(
        self, network: Mini, batch: Batch[Features, ChainTargets], stage: Stage, *, recycles: int
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Run the network; errors of some examples are clamped."""
        output = network(batch.features, recycles=recycles)
        mask = batch.features.tokens.mask
        clamped = torch.rand(len(mask), device=mask.device) < stage.clamp_probability
        return compute_losses(output, batch, stage.losses, clamped=clamped)

    def fold(self, network: Mini, features: Features) -> Float[Tensor, "batch token 3"]:
        """Give CA positions, recycled as the weights are used."""
        ca: Tensor = network(
            features, recycles=network.config.recycles
        ).structure.frames.translation
        return ca

    def parameter_groups(self, network: Mini, *, weight_decay: float) -> list[dict[str, Any]]:
        """Let matrices decay."""
        return matrices_decay(network, weight_decay=weight_decay)

    def compiled(self, network: Mini) -> Iterable[nn.Module]:
        """Name the trunk's blocks."""
        return network.blocks


TRAINABLE = MiniTraining()
_CONFORMS: AnyTrainable = TRAINABLE


def _sequence(crop: Crop) -> dict[str, np.ndarray]:
    return {
        "restype": np.array(sequence_to_indices(crop.chain.sequence[crop.rows])),
        "residue_index": crop.chain.residue_index[crop.rows].astype(np.int64),
        "profile": profile_of(crop),
    }


def _templates(crop: Crop) -> TemplateFeatures:
    whole = TemplateFeatures.from_templates(crop.templates, tokens=len(crop.chain))
    return whole.crop(crop.start, crop.stop, fewest=FEWEST_TEMPLATE_RESIDUES)
