"""Side chains as small residuals: each atom as seen from three atoms that stand before it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from itda.chem.residues import ATOM37, ATOM37_INDEX
from itda.structure.chains.chain import ATOM_COUNT, BACKBONE_INDICES, SEQUENCE_LETTERS
from itda.structure.pack.backbone import STEP_ANGSTROM
from itda.structure.pack.frames import Frames

# CA last, so that a C-gamma is seen across the bond CA-CB that it turns about.
_START = tuple(ATOM37_INDEX[name] for name in ("O", "N", "C", "CA"))


@dataclass(frozen=True)
class AtomRule:
    """How one atom of one residue type is placed.

    Attributes:
        letter: Residue type.
        atom: Column of atom37.
        references: Columns of the three atoms that it is seen from, the bonded one last.
        mean_angstrom: Where it stands on average, in their frame.
    """

    letter: str
    atom: int
    references: tuple[int, int, int]
    mean_angstrom: tuple[float, float, float]

    def to_list(self) -> list[Any]:
        """Give the rule as JSON holds it."""
        return [self.letter, self.atom, list(self.references), list(self.mean_angstrom)]

    @classmethod
    def from_list(cls, values: list[Any]) -> AtomRule:
        """Undo `to_list`."""
        letter, atom, (first, middle, last), (x, y, z) = values
        return cls(letter, atom, (first, middle, last), (x, y, z))


def encode_side_chains(
    sequence: np.ndarray,
    coordinates: Float[np.ndarray, "residue 37 3"],
    mask: Bool[np.ndarray, "residue 37"],
    backbone: Float[np.ndarray, "residue 4 3"],
) -> tuple[list[AtomRule], list[Int[np.ndarray, "3 atom"]]]:
    """Encode all atoms beyond N, CA, C and O.

    Args:
        sequence: ASCII letters.
        coordinates: Atom positions in angstrom, atom37.
        mask: Atoms that were seen.
        backbone: N, CA, C and O as they will be decoded.

    Returns:
        The rules, and for each the steps from its mean of the atoms that were seen.
    """
    rules: list[AtomRule] = []
    steps: list[Int[np.ndarray, "3 atom"]] = []
    for letter in SEQUENCE_LETTERS:
        rows = np.flatnonzero(sequence == ord(letter))
        seen = mask[rows]
        decoded = np.zeros((len(rows), ATOM_COUNT, 3))
        decoded[:, BACKBONE_INDICES] = backbone[rows]
        placed = list(_START)
        for atom in _side_chain_atoms(seen):
            own = seen[:, atom]
            references = _references(coordinates[rows], seen, placed, atom)
            frames = Frames.from_atoms(*(decoded[:, reference] for reference in references))
            local = frames.to_local(coordinates[rows, atom])
            mean = np.round(local[own].mean(axis=0), 3)
            residuals = np.rint((local - mean) / STEP_ANGSTROM).astype(np.int64)
            residuals[~own] = 0
            decoded[:, atom] = frames.to_global(mean + residuals * STEP_ANGSTROM)
            x, y, z = mean.tolist()
            rules.append(AtomRule(letter, atom, references, (x, y, z)))
            steps.append(residuals[own].T)
            placed.append(atom)
    return rules, steps


def decode_side_chains(
    rules: list[AtomRule],
    steps: Int[np.ndarray, " step"],
    sequence: np.ndarray,
    mask: Bool[np.ndarray, "residue 37"],
    backbone: Float[np.ndarray, "residue 4 3"],
) -> Float32[np.ndarray, "residue 37 3"]:
    """Undo `encode_side_chains`.

    Args:
        rules: As encoded.
        steps: All steps, rule after rule, x then y then z.
        sequence: ASCII letters.
        mask: Atoms that were seen.
        backbone: N, CA, C and O as decoded.

    Returns:
        Atom positions in angstrom, atom37; 0 where not seen.
    """
    coordinates = np.zeros((len(sequence), ATOM_COUNT, 3), np.float32)
    backbone_seen = mask[:, BACKBONE_INDICES, None]
    coordinates[:, BACKBONE_INDICES] = np.where(backbone_seen, backbone, 0.0)
    position = 0
    for letter, group in groupby(rules, key=lambda rule: rule.letter):
        rows = np.flatnonzero(sequence == ord(letter))
        # An atom that was not seen still has a place here, where others may be seen from it.
        placed = dict(zip(BACKBONE_INDICES, np.moveaxis(backbone[rows], 1, 0), strict=True))
        for rule in group:
            own = mask[rows, rule.atom]
            count = 3 * int(own.sum())
            residuals = np.zeros((len(rows), 3))
            residuals[own] = steps[position : position + count].reshape(3, -1).T
            position += count
            frames = Frames.from_atoms(*(placed[reference] for reference in rule.references))
            local = np.array(rule.mean_angstrom) + residuals * STEP_ANGSTROM
            placed[rule.atom] = frames.to_global(local)
            coordinates[rows[own], rule.atom] = placed[rule.atom][own]
    return coordinates


def count_steps(
    rules: list[AtomRule], sequence: np.ndarray, mask: Bool[np.ndarray, "residue 37"]
) -> int:
    """Count the steps that `decode_side_chains` will read."""
    atoms = sum(int(mask[sequence == ord(rule.letter), rule.atom].sum()) for rule in rules)
    return 3 * atoms


def _side_chain_atoms(seen: Bool[np.ndarray, "residue 37"]) -> list[int]:
    """List the columns that occur, CB first and OXT last, as atom37 orders them."""
    return [
        atom
        for atom in range(len(ATOM37))
        if atom not in BACKBONE_INDICES and bool(seen[:, atom].any())
    ]


def _references(
    coordinates: Float[np.ndarray, "residue 37 3"],
    seen: Bool[np.ndarray, "residue 37"],
    placed: list[int],
    atom: int,
) -> tuple[int, int, int]:
    """Choose the nearest atom, the one nearest to that, and the latest of the rest."""
    last = _nearest(coordinates, seen, placed, atom)
    middle = _nearest(coordinates, seen, [other for other in placed if other != last], last)
    first = next(other for other in reversed(placed) if other not in (last, middle))
    return first, middle, last


def _nearest(
    coordinates: Float[np.ndarray, "residue 37 3"],
    seen: Bool[np.ndarray, "residue 37"],
    candidates: list[int],
    atom: int,
) -> int:
    distances = []
    for other in candidates:
        both = seen[:, atom] & seen[:, other]
        offset = coordinates[both, atom] - coordinates[both, other]
        distances.append(np.median(np.linalg.norm(offset, axis=-1)) if len(offset) else np.inf)
    return candidates[int(np.argmin(distances))]
