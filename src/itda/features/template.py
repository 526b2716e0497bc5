"""Known structures laid along the chain: their backbones where they pair with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from itda.chem.residues import ATOM37_INDEX, UNKNOWN_INDEX, sequence_to_indices
from itda.features.group import Group, padding
from itda.search.templates.template import Template

BACKBONE_COLUMNS = [ATOM37_INDEX[name] for name in ("N", "CA", "C")]


@dataclass(frozen=True)
class TemplateFeatures(Group):
    """Templates in the order of trust, or none where the axis `template` is empty.

    Attributes:
        restype: The template's residue types 0..20; 20 where it has no partner.
        backbone: N, CA and C of the partner of each token, angstrom, each template in a frame of
            its own; 0 where there is none.
        mask: True where a token has a partner with a whole backbone.
        identity: Identical residues over paired ones, 0..1.
    """

    restype: Int[Tensor, "batch template token"] = field(metadata=padding(UNKNOWN_INDEX))
    backbone: Float[Tensor, "batch template token 3 3"] = field(metadata=padding(0.0))
    mask: Bool[Tensor, "batch template token"] = field(metadata=padding(False))
    identity: Float[Tensor, "batch template"] = field(metadata=padding(0.0))

    @staticmethod
    def absent(batch: int, tokens: int) -> TemplateFeatures:
        """Say that no chain of the batch has a template."""
        return TemplateFeatures.stack([TemplateFeatures.from_templates((), tokens=tokens)] * batch)

    @staticmethod
    def from_templates(templates: Sequence[Template], *, tokens: int) -> TemplateFeatures:
        """Lay templates along a chain, and make a batch of one.

        Args:
            templates: Best first.
            tokens: Residues of the chain.
        """
        count = len(templates)
        restype = np.full((count, tokens), UNKNOWN_INDEX, np.int64)
        backbone = np.zeros((count, tokens, 3, 3), np.float32)
        mask = np.zeros((count, tokens), bool)
        identity = np.array([template.identity for template in templates], np.float32)
        for row, template in enumerate(templates):
            residues = np.array(sequence_to_indices(template.sequence), np.int64)
            seen = template.atom_mask[template.template_index][:, BACKBONE_COLUMNS].all(1)
            query = template.query_index[seen]
            partner = template.template_index[seen]
            restype[row, query] = residues[partner]
            backbone[row, query] = template.coordinates[partner][:, BACKBONE_COLUMNS]
            mask[row, query] = True
        arrays = (restype, backbone, mask, identity)
        return TemplateFeatures(*(torch.from_numpy(array)[None] for array in arrays))

    def crop(self, start: int, stop: int, *, fewest: int) -> TemplateFeatures:
        """Cut a stretch of the one chain; templates with fewer than `fewest` partners there go."""
        (kept,) = self.mask[:, :, start:stop].sum(2) >= fewest
        return TemplateFeatures(
            restype=self.restype[:, kept, start:stop],
            backbone=self.backbone[:, kept, start:stop],
            mask=self.mask[:, kept, start:stop],
            identity=self.identity[:, kept],
        )
