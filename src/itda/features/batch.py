"""Features of several jobs as one batch: each padded to the longest, and with what is said here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from itda.chem.residues import UNKNOWN_INDEX
from itda.features.features import Features
from itda.features.profile import ProfileFeatures
from itda.features.template import TemplateFeatures
from itda.features.token import TokenFeatures

PADDING: dict[str, float | bool] = {
    "restype": UNKNOWN_INDEX,
    "residue_index": 0,
    "mask": False,
    "frequency": 0.0,
    "template_restype": UNKNOWN_INDEX,
    "template_backbone": 0.0,
    "template_mask": False,
}
"""What stands in tokens that a job does not have; `mask` is what keeps them without effect."""


def stack(features: Sequence[Features]) -> Features:
    """Make one batch of several, each of one job.

    Args:
        features: With as many templates each, or none.

    Returns:
        The batch, as long as the longest; `tokens.mask` says which tokens exist.
    """
    tokens = max(one.tokens.mask.shape[1] for one in features)

    def joined(arrays: Sequence[Tensor], name: str, axis: int) -> Tensor:
        padded = []
        for array in arrays:
            after = [0, 0] * (array.dim() - axis - 1) + [0, tokens - array.shape[axis]]
            padded.append(functional.pad(array, after, value=PADDING[name]))
        return torch.cat(padded)

    every, profiles = [one.tokens for one in features], [one.profile for one in features]
    templates = [one.templates for one in features]
    return Features(
        TokenFeatures(
            joined([one.restype for one in every], "restype", 1),
            joined([one.residue_index for one in every], "residue_index", 1),
            joined([one.mask for one in every], "mask", 1),
        ),
        ProfileFeatures(
            joined([one.frequency for one in profiles], "frequency", 1),
            torch.cat([one.present for one in profiles]),
        ),
        TemplateFeatures(
            joined([one.restype for one in templates], "template_restype", 2),
            joined([one.backbone for one in templates], "template_backbone", 2),
            joined([one.mask for one in templates], "template_mask", 2),
            torch.cat([one.identity for one in templates]),
        ),
    )
