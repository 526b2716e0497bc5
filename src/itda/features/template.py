"""Known structures laid along the chain: their backbones where they pair with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from itda.chem.residues import ATOM37_INDEX, UNKNOWN_INDEX, sequence_to_indices
from itda.search.templates.template import Template

BACKBONE_COLUMNS = [ATOM37_INDEX[name] for name in ("N", "CA", "C")]


@dataclass(frozen=True)
class TemplateFeatures:
    """Templates in the order of trust, or none where the axis `template` is empty.

    Attributes:
        restype: The template's residue types 0..20; 20 where it has no partner.
        backbone: N, CA and C of the partner of each token, angstrom, each template in a frame of
            its own; 0 where there is none.
        mask: True where a token has a partner with a whole backbone.
        identity: Identical residues over paired ones, 0..1.
    """

    restype: Int[Tensor, "batch template token"]
    backbone: Float[Tensor, "batch template token 3 3"]
    mask: Bool[Tensor, "batch template token"]
    identity: Float[Tensor, "batch template"]

    @staticmethod
    def absent(batch: int, tokens: int) -> TemplateFeatures:
        """Say that no chain of the batch has a template."""
        return TemplateFeatures.stack([TemplateArrays.absent(tokens)] * batch)

    @staticmethod
    def from_templates(templates: Sequence[Template], *, tokens: int) -> TemplateFeatures:
        """Make a batch of one.

        Args:
            templates: Best first.
            tokens: Residues of the chain.
        """
        return TemplateFeatures.stack([TemplateArrays.from_templates(templates, tokens=tokens)])

    @staticmethod
    def stack(examples: Sequence[TemplateArrays]) -> TemplateFeatures:
        """Pad the templates of several chains to one count and one length."""
        count = max(len(example.identity) for example in examples)
        tokens = max(example.mask.shape[1] for example in examples)
        padded = [example.pad(count, tokens) for example in examples]
        return TemplateFeatures(
            **{
                field.name: torch.from_numpy(np.stack([getattr(one, field.name) for one in padded]))
                for field in fields(TemplateArrays)
            }
        )

    def to(self, device: torch.device | str) -> TemplateFeatures:
        """Move all arrays."""
        return TemplateFeatures(
            **{field.name: getattr(self, field.name).to(device) for field in fields(self)}
        )


@dataclass(frozen=True)
class TemplateArrays:
    """The templates of one chain, before they are batched; see `TemplateFeatures`."""

    restype: Int[np.ndarray, "template token"]
    backbone: Float[np.ndarray, "template token 3 3"]
    mask: Bool[np.ndarray, "template token"]
    identity: Float[np.ndarray, " template"]

    @staticmethod
    def absent(tokens: int) -> TemplateArrays:
        """No template."""
        return TemplateArrays.from_templates((), tokens=tokens)

    @staticmethod
    def from_templates(templates: Sequence[Template], *, tokens: int) -> TemplateArrays:
        """Lay templates along a chain of `tokens` residues."""
        count = len(templates)
        arrays = TemplateArrays(
            restype=np.full((count, tokens), UNKNOWN_INDEX, np.int64),
            backbone=np.zeros((count, tokens, 3, 3), np.float32),
            mask=np.zeros((count, tokens), bool),
            identity=np.array([template.identity for template in templates], np.float32),
        )
        for row, template in enumerate(templates):
            seen = template.atom_mask[template.template_index][:, BACKBONE_COLUMNS].all(1)
            query = template.query_index[seen]
            partner = template.template_index[seen]
            restype = np.array(sequence_to_indices(template.sequence), np.int64)
            arrays.restype[row, query] = restype[partner]
            arrays.backbone[row, query] = template.coordinates[partner][:, BACKBONE_COLUMNS]
            arrays.mask[row, query] = True
        return arrays

    def crop(self, start: int, stop: int, *, fewest: int) -> TemplateArrays:
        """Cut a stretch of the chain; templates with fewer than `fewest` partners there go."""
        kept = self.mask[:, start:stop].sum(1) >= fewest
        return TemplateArrays(
            restype=self.restype[kept, start:stop],
            backbone=self.backbone[kept, start:stop],
            mask=self.mask[kept, start:stop],
            identity=self.identity[kept],
        )

    def pad(self, count: int, tokens: int) -> TemplateArrays:
        """Add empty templates and tokens."""
        templates = (0, count - len(self.identity))
        ends = (0, tokens - self.mask.shape[1])
        return TemplateArrays(
            restype=np.pad(self.restype, (templates, ends), constant_values=UNKNOWN_INDEX),
            backbone=np.pad(self.backbone, (templates, ends, (0, 0), (0, 0))),
            mask=np.pad(self.mask, (templates, ends)),
            identity=np.pad(self.identity, templates),
        )
