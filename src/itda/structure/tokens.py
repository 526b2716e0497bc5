"""Tokens of a structure: what one number of a model's confidence is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from biotite.structure import AtomArray, get_residue_starts
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a structure, in the order of its atoms (AlphaFold 3, supplement 2.6).

    Attributes:
        atoms: The structure; not copied.
        starts: Row of the first atom of each token.
        residue_of_token: 0-based residue of each token.
        is_atom: Whether a token is one atom of a ligand or modified residue, not a whole residue.
    """

    atoms: AtomArray
    starts: Int[np.ndarray, " token"]
    residue_of_token: Int[np.ndarray, " token"]
    is_atom: Bool[np.ndarray, " token"]

    @classmethod
    def from_atoms(
        cls, atoms: AtomArray, single_atoms: Bool[np.ndarray, " atom"] | None = None
    ) -> Tokens:
        """Find the tokens of a structure.

        Args:
            atoms: At least one.
            single_atoms: True for each atom that is a token of its own; None where each token is a
                residue.

        Raises:
            ValueError: Of a residue some atoms are tokens and others are not.
        """
        starts = np.asarray(get_residue_starts(atoms), dtype=np.int64)
        if single_atoms is None:
            single_atoms = np.zeros(atoms.array_length(), dtype=bool)
        elif single_atoms.shape != (atoms.array_length(),):
            raise ValueError(
                f"single_atoms has shape {single_atoms.shape} for {atoms.array_length()} atoms"
            )
        begins = np.zeros(atoms.array_length(), dtype=bool)
        begins[starts] = True
        residue_of_atom = np.cumsum(begins) - 1
        if (single_atoms[starts][residue_of_atom] != single_atoms).any():
            raise ValueError("of one residue some atoms are tokens of their own and others are not")
        rows = np.flatnonzero(begins | single_atoms)
        return cls(atoms, rows, residue_of_atom[rows], single_atoms[rows])

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def residue_count(self) -> int:
        """Residues that the tokens are of; a ligand or an ion counts as one for each component."""
        return int(self.residue_of_token[-1]) + 1

    def mean_of_residues(
        self, values: Float[np.ndarray, " token"]
    ) -> Float[np.ndarray, " residue"]:
        """Give each residue the mean over its tokens."""
        if not self.is_atom.any():
            return values
        counts = np.bincount(self.residue_of_token)
        return np.bincount(self.residue_of_token, weights=values) / counts

    def to_dict(self) -> dict[str, list[Any]]:
        """Name each token as JSON holds it: lists of one length.

        `atom_name` is empty for a token that is a whole residue.
        """
        first = self.atoms[self.starts]
        categories = first.get_annotation_categories()
        codes = first.ins_code if "ins_code" in categories else [""] * len(first)
        return {
            "chain_id": [str(value) for value in first.chain_id],
            "number": [int(value) for value in first.res_id],
            "insertion_code": [str(value) for value in codes],
            "name": [str(value) for value in first.res_name],
            "atom_name": [
                str(name) if single else ""
                for name, single in zip(first.atom_name, self.is_atom, strict=True)
            ],
        }
