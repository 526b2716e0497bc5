"""Is a structure physically possible: bonds, angles, chirality, peptide planes, clashes, breaks.

Proteins are checked: the inside of the twenty standard amino acids, and for all amino acids of a
chain the bonds between them, clashes and breaks. What was not checked is named as skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Float, Int

from itda.confidence.clashes import Clash, find_clashes
from itda.confidence.ideal import (
    PEPTIDE_ANGLES,
    PEPTIDE_BOND,
    PROLINE_PEPTIDE_ANGLE_CIS,
    PROLINE_PEPTIDE_ANGLE_TRANS,
    STANDARD_RESIDUES,
    Ideal,
    ideal_angles,
    ideal_bonds,
)
from itda.structure.residues import PEPTIDE_BOND_LIMIT_ANGSTROM, Residues
from itda.structure.vectors import bond_angle_degrees, chiral_volume, dihedral_degrees

BOND_TOLERANCE_ANGSTROM = 0.05
ANGLE_TOLERANCE_DEVIATIONS = 4.0
CIS_LIMIT_DEGREES = 30.0
TRANS_LIMIT_DEGREES = 150.0
MOST_NAMED = 100
"""Faults of one kind to name; a model that has collapsed has more than anyone reads."""

# Ideal volumes are about 2.5 cubic angstrom; under half of that a centre is nearly flat.
FLAT_VOLUME_CUBIC_ANGSTROM = 1.2

_CHIRAL_CENTRES = {"ILE": ("CB", "CA", "CG1", "CG2"), "THR": ("CB", "CA", "OG1", "CG2")}
_PLACES = 3


@dataclass(frozen=True)
class Outlier:
    """A bond or angle that is not as it should be.

    Attributes:
        residue: Chain, number and name; of a peptide bond, the residue before it.
        atoms: Atom names, joined by `-`.
        value: What it is, in angstrom or degrees.
        ideal: What it should be.
    """

    residue: str
    atoms: str
    value: float
    ideal: float


@dataclass(frozen=True)
class Geometry:
    """Bonds, or angles, against their ideal values.

    Attributes:
        count: How many were measured.
        within_tolerance: Fraction within the tolerance; 1 where none was measured.
        rms_deviation: Root mean square deviation from ideal, in angstrom or degrees.
        rms_z: The same in standard deviations.
        outlier_count: How many are outside the tolerance.
        outliers: The worst 100 of those, worst first.
    """

    count: int
    within_tolerance: float
    rms_deviation: float
    rms_z: float
    outlier_count: int
    outliers: tuple[Outlier, ...]


@dataclass(frozen=True)
class PeptideBonds:
    """Torsions about peptide bonds.

    Attributes:
        trans: How many are trans.
        cis_proline: Residues before a proline with a cis bond, which is common.
        cis_other: Other residues with a cis bond after them, which is rare.
        twisted: Residues with a bond after them that is neither.
    """

    trans: int
    cis_proline: tuple[str, ...]
    cis_other: tuple[str, ...]
    twisted: tuple[str, ...]


@dataclass(frozen=True)
class ChainBreak:
    """Two residues that follow each other in a chain without a bond.

    Attributes:
        before: Residue before the break.
        after: Residue after it.
        distance_angstrom: From C to N; None where one is missing.
        numbers_continue: Whether the numbering goes on as if nothing were missing.
    """

    before: str
    after: str
    distance_angstrom: float | None
    numbers_continue: bool


@dataclass(frozen=True)
class ValidityReport:
    """What was found in one structure.

    Attributes:
        residue_count: Standard amino acids.
        atom_count: Heavy atoms of all amino acids.
        bonds: Bond lengths; tolerance 0.05 angstrom.
        angles: Bond angles; tolerance four standard deviations.
        d_residues: Residues whose CA has the wrong hand.
        wrong_side_chain_chirality: ILE and THR whose CB has the wrong hand.
        flat_centres: Residues with a nearly flat CA or CB.
        chirality_unchecked: Residues that lack an atom of a centre.
        peptide_bonds: Torsions about peptide bonds.
        clash_count: Pairs of atoms that overlap.
        clashes: The worst 100 of those, worst first.
        clash_score: Clashes for each 1,000 atoms.
        chain_breaks: Where a chain is not joined.
        not_finite: Residues with a coordinate that is no number; the atom is left out of all else.
        skipped: Molecules and modified residues not checked inside: how many, and component.
    """

    residue_count: int
    atom_count: int
    bonds: Geometry
    angles: Geometry
    d_residues: tuple[str, ...]
    wrong_side_chain_chirality: tuple[str, ...]
    flat_centres: tuple[str, ...]
    chirality_unchecked: tuple[str, ...]
    peptide_bonds: PeptideBonds
    clash_count: int
    clashes: tuple[Clash, ...]
    clash_score: float
    chain_breaks: tuple[ChainBreak, ...]
    not_finite: tuple[str, ...]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return asdict(self)


def check_validity(atoms: AtomArray) -> ValidityReport:
    """Measure the geometry of a structure's proteins.

    Args:
        atoms: A structure; hydrogens are ignored.

    Returns:
        The report. A structure without protein gives an empty one that names what was skipped.
    """
    everything = Residues.from_atoms(atoms[~np.isin(atoms.element, ("H", "D"))])
    residues = Residues.from_atoms(everything.atoms[everything.peptide_mask[everything.of_atom]])
    standard = np.isin(residues.standard_names, list(STANDARD_RESIDUES))
    lost = ~np.isfinite(residues.atoms.coord).all(axis=-1)
    not_finite = np.unique(residues.of_atom[lost])
    residues.atoms.coord[lost] = np.nan
    chirality = _check_chirality(residues)
    clashes = find_clashes(residues, most_named=MOST_NAMED)
    atom_count = int(residues.atoms.array_length())
    return ValidityReport(
        residue_count=int(standard.sum()),
        atom_count=atom_count,
        bonds=_check_bonds(residues),
        angles=_check_angles(residues),
        d_residues=chirality["wrong CA"],
        wrong_side_chain_chirality=chirality["wrong CB"],
        flat_centres=chirality["flat"],
        chirality_unchecked=chirality["unchecked"],
        peptide_bonds=_check_peptide_bonds(residues),
        clash_count=clashes.count,
        clashes=clashes.worst,
        clash_score=round(1000.0 * clashes.count / max(atom_count, 1), _PLACES),
        chain_breaks=_find_breaks(residues),
        not_finite=tuple(residues.label(int(row)) for row in not_finite),
        skipped=_skipped(everything),
    )


class _Measures:
    """Collects measured values of one kind, for a summary with its outliers."""

    def __init__(self) -> None:
        self._values: list[Float[np.ndarray, " one"]] = []
        self._rows: list[Int[np.ndarray, " one"]] = []
        self._ideals: list[tuple[Ideal, int]] = []

    def add(
        self, ideal: Ideal, values: Float[np.ndarray, " one"], rows: Int[np.ndarray, " one"]
    ) -> None:
        measured = np.isfinite(values)
        self._values.append(values[measured])
        self._rows.append(rows[measured])
        self._ideals.append((ideal, int(measured.sum())))

    def summary(self, residues: Residues, *, tolerance: float, in_deviations: bool) -> Geometry:
        """Summarise; the tolerance is in standard deviations, or in the values' own unit."""
        count = sum(number for _, number in self._ideals)
        if count == 0:
            return Geometry(0, 1.0, 0.0, 0.0, 0, ())
        values, rows = np.concatenate(self._values), np.concatenate(self._rows)
        ideals = [ideal for ideal, number in self._ideals for _ in range(number)]
        difference = values - np.array([ideal.value for ideal in ideals])
        z = difference / np.array([ideal.deviation for ideal in ideals])
        excess = np.abs(z if in_deviations else difference)
        bad = np.flatnonzero(excess > tolerance)
        return Geometry(
            count=count,
            within_tolerance=round(1.0 - len(bad) / count, 5),
            rms_deviation=round(float(np.sqrt(np.square(difference).mean())), 4),
            rms_z=round(float(np.sqrt(np.square(z).mean())), _PLACES),
            outlier_count=len(bad),
            outliers=tuple(
                Outlier(
                    residue=residues.label(int(rows[index])),
                    atoms="-".join(ideals[index].atoms),
                    value=round(float(values[index]), _PLACES),
                    ideal=ideals[index].value,
                )
                for index in bad[np.argsort(-excess[bad], kind="stable")][:MOST_NAMED]
            ),
        )


def _rows_by_name(residues: Residues) -> dict[str, Int[np.ndarray, " residue"]]:
    names = np.array(residues.standard_names)
    return {name: np.flatnonzero(names == name) for name in sorted(set(residues.standard_names))}


def _numbers_continue(residues: Residues) -> Bool[np.ndarray, " residue"]:
    """Tell which residues have the next number, or letter, after them in the same chain."""
    numbers = np.array([*residues.numbers, 0])
    chains = np.array([*residues.chain_ids, ""])
    lettered = np.array([bool(code) for code in (*residues.insertion_codes[1:], "")], dtype=bool)
    step = np.diff(numbers)
    follows = (step == 1) | ((step == 0) & lettered)
    follows[-1:] = False
    return np.asarray(follows & (chains[:-1] == chains[1:]))


def _check_bonds(residues: Residues) -> Geometry:
    measures = _Measures()
    for name, rows in _rows_by_name(residues).items():
        for bond in ideal_bonds(name) if name in STANDARD_RESIDUES else ():
            first, second = (residues.positions(atom)[rows] for atom in bond.atoms)
            measures.add(bond, np.linalg.norm(first - second, axis=-1), rows)
    # Where the numbers go on, a bond should be, and one that is torn counts as a bad one.
    joints = np.flatnonzero(residues.linked_to_next | _numbers_continue(residues))
    if len(joints):
        measures.add(PEPTIDE_BOND, residues.peptide_distances[joints], joints)
    return measures.summary(residues, tolerance=BOND_TOLERANCE_ANGSTROM, in_deviations=False)


def _check_angles(residues: Residues) -> Geometry:
    measures = _Measures()
    for name, rows in _rows_by_name(residues).items():
        for angle in ideal_angles(name) if name in STANDARD_RESIDUES else ():
            points = [residues.positions(atom)[rows] for atom in angle.atoms]
            measures.add(angle, bond_angle_degrees(*points), rows)
    joints = np.flatnonzero(residues.linked_to_next)
    if len(joints):
        prolines = np.array(residues.standard_names)[joints + 1] == "PRO"
        cis = np.abs(_omega_degrees(residues, joints)) < TRANS_LIMIT_DEGREES
        for angle in PEPTIDE_ANGLES:
            cut = angle.atoms.index("N")
            points = [
                residues.positions(atom)[joints + (place >= cut)]
                for place, atom in enumerate(angle.atoms)
            ]
            values = bond_angle_degrees(*points)
            if angle.atoms != PROLINE_PEPTIDE_ANGLE_TRANS.atoms:
                measures.add(angle, values, joints)
                continue
            for ideal, group in (
                (angle, ~prolines),
                (PROLINE_PEPTIDE_ANGLE_TRANS, prolines & ~cis),
                (PROLINE_PEPTIDE_ANGLE_CIS, prolines & cis),
            ):
                measures.add(ideal, values[group], joints[group])
    return measures.summary(residues, tolerance=ANGLE_TOLERANCE_DEVIATIONS, in_deviations=True)


def _check_chirality(residues: Residues) -> dict[str, tuple[str, ...]]:
    names = np.array(residues.standard_names)
    standard = np.isin(names, list(STANDARD_RESIDUES))
    found: dict[str, set[int]] = {
        "wrong CA": set(),
        "wrong CB": set(),
        "flat": set(),
        "unchecked": set(),
    }
    centres = [("wrong CA", standard & (names != "GLY"), ("CA", "N", "C", "CB"))]
    centres += [("wrong CB", names == name, atoms) for name, atoms in _CHIRAL_CENTRES.items()]
    for kind, has_centre, atoms in centres:
        volume = chiral_volume(*(residues.positions(atom) for atom in atoms))
        with np.errstate(invalid="ignore"):
            found[kind] |= set(np.flatnonzero(has_centre & (volume < 0)).tolist())
            flat = has_centre & (np.abs(volume) < FLAT_VOLUME_CUBIC_ANGSTROM)
        found["flat"] |= set(np.flatnonzero(flat).tolist())
        found["unchecked"] |= set(np.flatnonzero(has_centre & np.isnan(volume)).tolist())
    return {
        kind: tuple(residues.label(row) for row in sorted(rows)) for kind, rows in found.items()
    }


def _omega_degrees(
    residues: Residues, joints: Int[np.ndarray, " joint"]
) -> Float[np.ndarray, " joint"]:
    ahead = joints + 1
    return dihedral_degrees(
        residues.positions("CA")[joints],
        residues.positions("C")[joints],
        residues.positions("N")[ahead],
        residues.positions("CA")[ahead],
    )


def _check_peptide_bonds(residues: Residues) -> PeptideBonds:
    joints = np.flatnonzero(residues.linked_to_next)
    if len(joints) == 0:
        return PeptideBonds(0, (), (), ())
    omega = np.abs(_omega_degrees(residues, joints))
    proline = np.array(residues.standard_names)[joints + 1] == "PRO"
    cis = omega < CIS_LIMIT_DEGREES
    trans = omega > TRANS_LIMIT_DEGREES
    twisted = np.isfinite(omega) & ~cis & ~trans

    def named(mask: Sequence[bool] | np.ndarray) -> tuple[str, ...]:
        return tuple(residues.label(int(row)) for row in joints[mask])

    return PeptideBonds(
        int(trans.sum()), named(cis & proline), named(cis & ~proline), named(twisted)
    )


def _find_breaks(residues: Residues) -> tuple[ChainBreak, ...]:
    breaks = []
    numbers_continue = _numbers_continue(residues)
    for row, distance in enumerate(residues.peptide_distances.tolist()):
        same_chain = residues.chain_ids[row] == residues.chain_ids[row + 1]
        if same_chain and not distance < PEPTIDE_BOND_LIMIT_ANGSTROM:
            breaks.append(
                ChainBreak(
                    before=residues.label(row),
                    after=residues.label(row + 1),
                    distance_angstrom=round(distance, _PLACES) if np.isfinite(distance) else None,
                    numbers_continue=bool(numbers_continue[row]),
                )
            )
    return tuple(breaks)


def _skipped(residues: Residues) -> tuple[str, ...]:
    standard = residues.peptide_mask & np.isin(residues.standard_names, list(STANDARD_RESIDUES))
    counts = Counter(residues.names[row] for row in np.flatnonzero(~standard).tolist())
    return tuple(f"{count} {name}" for name, count in sorted(counts.items()))
