"""One protein chain with known coordinates: what a training example is cut from."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

ATOM_COUNT = 37
PROFILE_COLUMNS = 20
# AlphaFold's atom37 order begins N, CA, C, CB, O.
N_INDEX, CA_INDEX, C_INDEX, CB_INDEX, O_INDEX = 0, 1, 2, 3, 4
BACKBONE_INDICES = (N_INDEX, CA_INDEX, C_INDEX, O_INDEX)
SEQUENCE_LETTERS = "ARNDCQEGHILKMFPSTWYVX"
DSSP_LETTERS = "HBEGITSP-"
PEPTIDE_BOND_LIMIT_ANGSTROM = 2.0

_BEYOND_CB = [index for index in range(ATOM_COUNT) if index not in (*BACKBONE_INDICES, CB_INDEX)]
_NO_ATOM_BEYOND_CB = np.frombuffer(b"GAX", np.uint8)
_PDB_ID = re.compile(r"^[0-9][A-Za-z0-9]{3}[A-Za-z0-9]?(_|$)")


@dataclass(frozen=True)
class Chain:
    """A protein chain with coordinates, and what else is known of it.

    Attributes:
        id: Entry and chain, such as `1ubq_A`; unique in a dataset.
        sequence: One letter a residue, the 20 standard amino acids and X.
        coordinates: Atom positions in angstrom in AlphaFold's atom37 order; 0 where absent.
        atom_mask: True where the atom was seen.
        residue_index: Position in the chain, rising; a step of more than 1 is a gap of residues
            that are not in `sequence`.
        profile: Amino-acid frequencies in `RESTYPES` order; a row sums to 1, or to 0 where
            nothing is known.
        dssp: Eight-state secondary structure, `-` for coil.
        release_date: ISO 8601, empty where unknown.
        resolution: Angstrom, 0 where unknown or without meaning (NMR).
        method: The experiment, as the PDB names it; empty where unknown.
        source: Where the chain was taken from.
    """

    id: str
    sequence: str
    coordinates: Float32[np.ndarray, "residue 37 3"]
    atom_mask: Bool[np.ndarray, "residue 37"]
    residue_index: Int32[np.ndarray, " residue"]
    profile: Float32[np.ndarray, "residue 20"] | None = None
    dssp: str | None = None
    release_date: str = ""
    resolution: float = 0.0
    method: str = ""
    source: str = ""

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def has_side_chains(self) -> bool:
        """Whether most residues that could have a side chain show atoms beyond C-beta."""
        letters = np.frombuffer(self.sequence.encode(), np.uint8)
        long_side_chain = ~np.isin(letters, _NO_ATOM_BEYOND_CB)
        if not long_side_chain.any():
            return False
        seen = self.atom_mask[long_side_chain][:, _BEYOND_CB].any(axis=1)
        return bool(seen.mean() > 0.5)


def index_residues(
    coordinates: Float32[np.ndarray, "residue 37 3"],
    atom_mask: Bool[np.ndarray, "residue 37"],
    numbers: Int32[np.ndarray, " residue"],
) -> Int32[np.ndarray, " residue"]:
    """Number residues from 0 so that only true breaks are gaps.

    Author numbers repeat with insertion codes and jump in fusions, so geometry speaks first: two
    residues joined by a peptide bond (C-N under 2 angstrom) are neighbours whatever their numbers.
    Where the bond is broken the step is the difference of the numbers and at least 2; where an
    atom of the bond is missing it is that difference and at least 1.

    Args:
        coordinates: Atom positions in angstrom, atom37.
        atom_mask: True where the atom was seen.
        numbers: Residue numbers from the file.
    """
    if len(numbers) == 0:
        return np.zeros(0, np.int32)
    distance = np.linalg.norm(coordinates[1:, N_INDEX] - coordinates[:-1, C_INDEX], axis=-1)
    known = atom_mask[1:, N_INDEX] & atom_mask[:-1, C_INDEX]
    bonded = known & (distance < PEPTIDE_BOND_LIMIT_ANGSTROM)
    steps = np.maximum(np.diff(numbers.astype(np.int64)), np.where(known, 2, 1))
    steps[bonded] = 1
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int32)


def is_experimental(chain_id: str, method: str) -> bool:
    """Tell an experimental structure from a model, by its method or else by a PDB entry's name."""
    if method:
        return "THEORETICAL" not in method.upper() and "MODEL" not in method.upper()
    return _PDB_ID.match(chain_id) is not None
