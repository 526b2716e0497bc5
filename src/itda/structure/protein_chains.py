"""The protein chains of a structure: their sequences, numbers, and where residues are missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int, UInt8

from itda.structure.alignment import Numbering, Strand
from itda.structure.residues import PEPTIDE_BOND_LIMIT_ANGSTROM, Residues

_NEIGHBOUR_LIMIT_ANGSTROM = 4.2
"""CA atoms of bonded residues are 3.8 angstrom apart, 2.9 about a cis bond."""

_LONG_BOND_LIMIT_ANGSTROM = 2.6
"""Up to this a peptide bond may be badly drawn, if its CA atoms are near each other."""

_POORLY_BUILT = 0.25
_ALIGNABLE = frozenset("ARNDCQEGHILKMFPSTWYV")


@dataclass(frozen=True, eq=False)
class ProteinChain:
    """The amino acids of one author chain.

    Attributes:
        id: Author chain.
        rows: Their places among the residues of the structure.
        numbers: Author number and insertion code of each.
        strand: What an alignment sees of it; a modified residue has the letter of its parent.
    """

    id: str
    rows: Int[np.ndarray, " residue"]
    numbers: tuple[tuple[int, str], ...]
    strand: Strand

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sequence(self) -> str:
        """One letter each."""
        return self.strand.sequence

    @cached_property
    def letters(self) -> UInt8[np.ndarray, " residue"]:
        """The same as ASCII codes."""
        return np.frombuffer(self.sequence.encode("ascii"), np.uint8)

    @cached_property
    def place_of_number(self) -> dict[tuple[int, str], int]:
        """Where each number stands; of equal ones the first."""
        return {number: place for place, number in reversed(list(enumerate(self.numbers)))}


PairedBy = Literal["sequence", "number", "place"]


@dataclass(frozen=True, eq=False)
class ChainMatch:
    """Two chains and the residues that correspond.

    Attributes:
        reference: Chain of the reference.
        model: Chain of the model.
        reference_rows: Matched residues, as rows of the reference's residues; they rise.
        model_rows: The residues of the model that they match.
        identity: Fraction of the matched residues that have the same letter.
        paired_by: What tells which residues correspond: an alignment of the sequences, their
            numbers, or their places from the first on.
    """

    reference: ProteinChain
    model: ProteinChain
    reference_rows: Int[np.ndarray, " pair"]
    model_rows: Int[np.ndarray, " pair"]
    identity: float
    paired_by: PairedBy

    def __len__(self) -> int:
        return len(self.reference_rows)

    @property
    def places(self) -> Int[np.ndarray, "pair 2"]:
        """The same pairs as places in the two chains."""
        sides = (self.reference.rows, self.reference_rows), (self.model.rows, self.model_rows)
        return np.stack([np.searchsorted(rows, some) for rows, some in sides], axis=-1)


def protein_chains(residues: Residues) -> dict[str, ProteinChain]:
    """Find the chains that have amino acids, in file order."""
    members: dict[str, list[int]] = {}
    for row in np.flatnonzero(residues.peptide_mask).tolist():
        members.setdefault(residues.chain_ids[row], []).append(row)
    carbons = residues.positions("CA"), residues.positions("C")
    nitrogens = residues.positions("N")
    found = {}
    for chain, listed in members.items():
        rows = np.array(listed)
        before, after = rows[:-1], rows[1:]
        bond = np.linalg.norm(carbons[1][before] - nitrogens[after], axis=-1)
        apart = np.linalg.norm(carbons[0][before] - carbons[0][after], axis=-1)
        # A bond of which an atom is missing has NaN for a length, and leaves it to the CA atoms.
        broken = (bond > _LONG_BOND_LIMIT_ANGSTROM) | (
            ~(bond < PEPTIDE_BOND_LIMIT_ANGSTROM) & (apart > _NEIGHBOUR_LIMIT_ANGSTROM)
        )
        sequence = "".join(_letter(residues, row) for row in listed)
        numbers = tuple((residues.numbers[row], residues.insertion_codes[row]) for row in listed)
        strand = strand_of(sequence, broken, _numberings(residues, rows))
        found[chain] = ProteinChain(chain, rows, numbers, strand)
    return found


def strand_of(
    sequence: str,
    broken: Bool[np.ndarray, " gap"],
    numberings: tuple[Numbering, ...],
) -> Strand:
    """Weigh what bonds and numbers say of missing residues.

    Where the numbers go on, few neighbours should be apart. A chain where many are was built badly,
    or shaken on purpose; then only the numbers tell where residues are missing.

    Args:
        sequence: One letter each.
        broken: Whether neighbours are too far apart to be bonded.
        numberings: Ways in which the residues are numbered, the author's first.
    """
    jumps = np.zeros(len(broken), dtype=bool)
    for one in numberings:
        jumps |= one.jumps
    steady = broken[~jumps]
    if steady.size and steady.mean() > _POORLY_BUILT:
        broken = jumps
    return Strand(sequence, broken, jumps, tuple(one.given(broken) for one in numberings))


def _numberings(residues: Residues, rows: Int[np.ndarray, " residue"]) -> tuple[Numbering, ...]:
    """Give the author's numbers, and those of the polymer where the file has them."""
    author = Numbering.from_numbers(
        np.array([residues.numbers[row] for row in rows]),
        [residues.insertion_codes[row] for row in rows],
    )
    places = residues.polymer_numbers(rows)
    if places is None:
        return (author,)
    polymer = Numbering.from_numbers(places)
    return (author,) if np.ptp(author.keys - polymer.keys) == 0 else (author, polymer)


def _letter(residues: Residues, row: int) -> str:
    letter = residues.components[row].one_letter
    return letter if letter in _ALIGNABLE else "X"
