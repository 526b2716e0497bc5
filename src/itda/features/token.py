"""What stands at each position of the chain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from itda.chem.residues import sequence_to_indices


@dataclass(frozen=True)
class TokenFeatures:
    """One token a residue.

    Attributes:
        restype: Residue type 0..19, 20 for unknown.
        residue_index: Position in the chain, 0-based; gaps in numbering are kept.
        mask: False where a batch was padded.
    """

    restype: Int[Tensor, "batch token"]
    residue_index: Int[Tensor, "batch token"]
    mask: Bool[Tensor, "batch token"]

    @staticmethod
    def from_sequence(sequence: str) -> TokenFeatures:
        """Make a batch of one from a one-letter sequence."""
        restype = torch.tensor([sequence_to_indices(sequence)])
        index = torch.arange(len(sequence))[None]
        return TokenFeatures(restype, index, torch.ones_like(restype, dtype=torch.bool))

    def to(self, device: torch.device | str) -> TokenFeatures:
        """Move all arrays."""
        return TokenFeatures(
            self.restype.to(device), self.residue_index.to(device), self.mask.to(device)
        )
