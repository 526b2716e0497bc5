"""Pairs of heavy atoms that stand inside each other."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.residues import VAN_DER_WAALS_RADIUS_ANGSTROM
from itda.structure.neighbours import pairs_within
from itda.structure.residues import PEPTIDE_BOND_LIMIT_ANGSTROM, Residues

OVERLAP_ANGSTROM = 0.4
# Hydrogen-bonded N and O come 0.4 angstrom nearer than their radii say (ChimeraX does the same).
HYDROGEN_BOND_ALLOWANCE_ANGSTROM = 0.4
DISULFIDE_ANGSTROM = (1.8, 2.4)
_LARGEST_RADIUS = max(VAN_DER_WAALS_RADIUS_ANGSTROM.values())


@dataclass(frozen=True)
class Clash:
    """Two atoms of residues that no bond joins, nearer than their radii allow.

    Attributes:
        first: Residue and atom, such as `A:45 GLY CA`.
        second: The other.
        distance_angstrom: Between the centres.
        overlap_angstrom: Sum of radii, less a hydrogen bond's allowance, less the distance.
    """

    first: str
    second: str
    distance_angstrom: float
    overlap_angstrom: float


@dataclass(frozen=True)
class Clashes:
    """All clashes of a structure.

    Attributes:
        count: How many there are.
        worst: The worst of them, worst first.
    """

    count: int
    worst: tuple[Clash, ...]


def find_clashes(residues: Residues, *, most_named: int = 100) -> Clashes:
    """Find overlaps of more than 0.4 angstrom.

    Left out are pairs within a residue, of residues that a peptide bond joins (also the ends of a
    cyclic chain), and of cysteines that a disulfide bond joins.

    Args:
        residues: Residues with heavy atoms only; elements without a known radius count as carbon.
        most_named: How many to name; a model that has collapsed has more than anyone reads.
    """
    atoms = residues.atoms
    if atoms.array_length() == 0:
        return Clashes(0, ())
    positions = atoms.coord.astype(np.float64)
    radius = np.full(atoms.array_length(), VAN_DER_WAALS_RADIUS_ANGSTROM["C"])
    for element, value in VAN_DER_WAALS_RADIUS_ANGSTROM.items():
        radius[atoms.element == element] = value
    polar = np.isin(atoms.element, ("N", "O"))
    bridges = _disulfides(residues) | _ring_closures(residues)
    found: list[tuple[float, float, int, int]] = []
    for first, second in pairs_within(positions, 2 * _LARGEST_RADIUS - OVERLAP_ANGSTROM):
        free = ~_bonded(residues, first, second, bridges)
        first, second = first[free], second[free]
        distance = np.linalg.norm(positions[first] - positions[second], axis=-1)
        allowance = HYDROGEN_BOND_ALLOWANCE_ANGSTROM * (polar[first] & polar[second])
        overlap = radius[first] + radius[second] - allowance - distance
        bad = overlap > OVERLAP_ANGSTROM
        columns = (-overlap[bad], distance[bad], first[bad], second[bad])
        found.extend(zip(*(column.tolist() for column in columns), strict=True))
    worst = tuple(
        Clash(
            _label(residues, one), _label(residues, other), round(distance, 3), round(-overlap, 3)
        )
        for overlap, distance, one, other in nsmallest(most_named, found)
    )
    return Clashes(len(found), worst)


def _label(residues: Residues, row: int) -> str:
    return f"{residues.label(int(residues.of_atom[row]))} {residues.atoms.atom_name[row]}"


def _bonded(
    residues: Residues,
    first: Int[np.ndarray, " pair"],
    second: Int[np.ndarray, " pair"],
    bridges: set[tuple[int, int]],
) -> Bool[np.ndarray, " pair"]:
    one, other = residues.of_atom[first], residues.of_atom[second]
    low, high = np.minimum(one, other), np.maximum(one, other)
    joined = (high - low == 1) & residues.linked_to_next[low]
    bridged = np.array(
        [pair in bridges for pair in zip(low.tolist(), high.tolist(), strict=True)], dtype=bool
    )
    return np.asarray((low == high) | joined | bridged)


def _disulfides(residues: Residues) -> set[tuple[int, int]]:
    sulfur: Float[np.ndarray, "residue 3"] = residues.positions("SG")
    cysteine = np.array(residues.standard_names) == "CYS"
    shortest, longest = DISULFIDE_ANGSTROM
    bridges = set()
    for first, second in pairs_within(sulfur, longest, mask=cysteine):
        distance = np.linalg.norm(sulfur[first] - sulfur[second], axis=-1)
        for index in np.flatnonzero(distance > shortest):
            bridges.add((int(first[index]), int(second[index])))
    return bridges


def _ring_closures(residues: Residues) -> set[tuple[int, int]]:
    """Find chains whose last residue is bonded to their first."""
    carbon, nitrogen = residues.positions("C"), residues.positions("N")
    closures = set()
    for chain in dict.fromkeys(residues.chain_ids):
        first = residues.chain_ids.index(chain)
        last = len(residues) - 1 - residues.chain_ids[::-1].index(chain)
        gap = np.linalg.norm(carbon[last] - nitrogen[first])
        if last > first + 1 and gap < PEPTIDE_BOND_LIMIT_ANGSTROM:
            closures.add((first, last))
    return closures
