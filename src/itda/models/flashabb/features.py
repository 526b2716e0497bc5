"""Antibodies as FlashABB reads them: several in one row, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from itda.chem.residues import sequence_to_indices

LIGHT_START = 500
"""Position of the light chain's first residue."""


@dataclass(frozen=True)
class AntibodyFeatures:
    """The residues of several antibodies, one after the other.

    Attributes:
        restype: Residue types, 0 to 20.
        heavy: True for residues of heavy chains.
        position: Along the chain from 0; light chains start at 500.
        lengths: Residues of each antibody.
    """

    restype: Int[Tensor, "token"]
    heavy: Bool[Tensor, "token"]
    position: Int[Tensor, "token"]
    lengths: tuple[int, ...]

    @classmethod
    def from_sequences(cls, antibodies: Sequence[tuple[str, str]]) -> AntibodyFeatures:
        """Encode pairs of heavy and light chain; a light chain may be empty."""
        restype: list[int] = []
        heavy: list[bool] = []
        position: list[int] = []
        for pair in antibodies:
            for sequence, is_heavy in zip(pair, (True, False), strict=True):
                restype += sequence_to_indices(sequence)
                heavy += [is_heavy] * len(sequence)
                first = 0 if is_heavy else LIGHT_START
                position += range(first, first + len(sequence))
        lengths = tuple(len(first) + len(second) for first, second in antibodies)
        return cls(torch.tensor(restype), torch.tensor(heavy), torch.tensor(position), lengths)

    def to(self, device: str) -> AntibodyFeatures:
        """Move to a device."""
        return AntibodyFeatures(
            self.restype.to(device), self.heavy.to(device), self.position.to(device), self.lengths
        )
