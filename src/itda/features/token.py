"""What stands at each position of the chain."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from itda.chem.residues import UNKNOWN_INDEX, sequence_to_indices
from itda.features.group import Group, padding


@dataclass(frozen=True)
class TokenFeatures(Group):
    """One token a residue.

    Attributes:
        restype: Residue type 0..19, 20 for unknown.
        residue_index: Position in the chain, 0-based; gaps in numbering are kept.
        mask: False where a batch was padded.
    """

    restype: Int[Tensor, "batch token"] = field(metadata=padding(UNKNOWN_INDEX))
    residue_index: Int[Tensor, "batch token"] = field(metadata=padding(0))
    mask: Bool[Tensor, "batch token"] = field(metadata=padding(False))

    @staticmethod
    def from_sequence(sequence: str) -> TokenFeatures:
        """Make a batch of one from a one-letter sequence."""
        restype = torch.tensor([sequence_to_indices(sequence)])
        index = torch.arange(len(sequence))[None]
        return TokenFeatures(restype, index, torch.ones_like(restype, dtype=torch.bool))
