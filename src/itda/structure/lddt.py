"""Local distance difference test on plain coordinate arrays (Mariani et al. 2013, btt473).

lDDT needs no superposition: it asks, for each pair of atoms of different residues that are near
each other in the reference, whether the model keeps their distance. A distance that the model
lacks, because an atom is missing, counts as not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.residues import SYMMETRIC_ATOMS
from itda.structure.neighbours import pairs_within

INCLUSION_RADIUS_ANGSTROM = 15.0
THRESHOLDS_ANGSTROM = (0.5, 1.0, 2.0, 4.0)

EQUIVALENT_ATOMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    **SYMMETRIC_ATOMS,
    "ARG": (("NH1", "NH2"),),
}
"""Atoms whose two names mean the same molecule; the naming with the better score is taken."""

PROCHIRAL_ATOMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "LEU": (("CD1", "CD2"),),
    "VAL": (("CG1", "CG2"),),
}
"""Atoms that IUPAC names apart by chirality, and that the published lDDT exchanges all the same."""


@dataclass(frozen=True, eq=False)
class Lddt:
    """lDDT of a model.

    Attributes:
        score: Fraction of reference distances kept, over all pairs; 0 to 1, NaN without a pair.
        per_residue: The same over the pairs that a residue takes part in.
        pair_count: Reference pairs that each residue takes part in.
    """

    score: float
    per_residue: Float[np.ndarray, " residue"]
    pair_count: Int[np.ndarray, " residue"]


def lddt(
    predicted: Float[np.ndarray, "point 3"],
    true: Float[np.ndarray, "point 3"],
    *,
    residue_index: Int[np.ndarray, " point"] | None = None,
    predicted_mask: Bool[np.ndarray, " point"] | None = None,
    true_mask: Bool[np.ndarray, " point"] | None = None,
    radius_angstrom: float = INCLUSION_RADIUS_ANGSTROM,
    thresholds_angstrom: Sequence[float] = THRESHOLDS_ANGSTROM,
) -> Lddt:
    """Score a model against a reference, atom for atom.

    Args:
        predicted: Model coordinates; angstrom. NaN where the model lacks the atom.
        true: Reference coordinates; angstrom. NaN where the reference lacks the atom.
        residue_index: 0-based residue of each point; pairs within a residue are left out. Without
            it each point is its own residue, which on CA coordinates gives lDDT-CA.
        predicted_mask: True where the model has the atom.
        true_mask: True where the reference has the atom.
        radius_angstrom: Pairs further apart than this in the reference are left out.
        thresholds_angstrom: A distance is kept at a threshold if it differs by less.

    Returns:
        The score and its per-residue values, one for each of 0..max(residue_index).

    >>> line = np.arange(12.0).reshape(4, 3)
    >>> lddt(line + 7, line).score, lddt(line * 1.1, line).score.__round__(3)
    (1.0, 0.65)
    """
    if residue_index is None:
        residue_index = np.arange(len(true))
    residue_count = int(residue_index.max()) + 1 if len(residue_index) else 0
    kept = np.zeros(residue_count)
    total = np.zeros(residue_count, dtype=np.int64)
    model = _masked(predicted, predicted_mask)
    for first, second in pairs_within(true, radius_angstrom, mask=true_mask):
        apart = residue_index[first] != residue_index[second]
        first, second = first[apart], second[apart]
        score = _kept_fraction(model, true, first, second, thresholds_angstrom)
        for side in (first, second):
            kept += np.bincount(residue_index[side], weights=score, minlength=residue_count)
            total += np.bincount(residue_index[side], minlength=residue_count)
    with np.errstate(invalid="ignore"):
        per_residue = kept / total
    score_all = float(kept.sum() / total.sum()) if total.any() else float("nan")
    return Lddt(score_all, per_residue, total)


def lddt_all_atom(
    predicted: Float[np.ndarray, "atom 3"],
    true: Float[np.ndarray, "atom 3"],
    *,
    residue_index: Int[np.ndarray, " atom"],
    residue_names: Sequence[str] | np.ndarray,
    atom_names: Sequence[str] | np.ndarray,
    predicted_mask: Bool[np.ndarray, " atom"] | None = None,
    true_mask: Bool[np.ndarray, " atom"] | None = None,
    equivalent_atoms: Mapping[str, tuple[tuple[str, str], ...]] = EQUIVALENT_ATOMS,
) -> Lddt:
    """Score a model on all its atoms, naming equivalent side-chain atoms in its favour.

    For each residue with equivalent atoms both namings are scored against the atoms that have only
    one name, as Mariani et al. do, and the better one is kept.

    Args:
        predicted: Model coordinates; angstrom. NaN where the model lacks the atom.
        true: Reference coordinates; angstrom. NaN where the reference lacks the atom.
        residue_index: 0-based residue of each atom.
        residue_names: Three-letter residue name of each atom.
        atom_names: Name of each atom.
        predicted_mask: True where the model has the atom.
        true_mask: True where the reference has the atom.
        equivalent_atoms: Exchangeable atom names by residue. The published list also has
            `PROCHIRAL_ATOMS`; join the two to reproduce it.

    Returns:
        As `lddt`.
    """
    partner = _partners(
        residue_index, np.asarray(residue_names), np.asarray(atom_names), equivalent_atoms
    )
    model = _masked(predicted, predicted_mask)
    named = partner == np.arange(len(partner))
    if not named.all():
        exchanged = model[partner]
        as_named = _kept_by_residue(model, true, residue_index, named, true_mask)
        as_exchanged = _kept_by_residue(exchanged, true, residue_index, named, true_mask)
        better = (as_exchanged > as_named)[residue_index]
        model = np.where(better[:, np.newaxis], exchanged, model)
    return lddt(model, true, residue_index=residue_index, true_mask=true_mask)


def _masked(
    points: Float[np.ndarray, "point 3"], mask: Bool[np.ndarray, " point"] | None
) -> Float[np.ndarray, "point 3"]:
    result = points.astype(np.float64)
    if mask is not None:
        result[~mask] = np.nan
    return result


def _kept_fraction(
    model: Float[np.ndarray, "point 3"],
    true: Float[np.ndarray, "point 3"],
    first: Int[np.ndarray, " pair"],
    second: Int[np.ndarray, " pair"],
    thresholds: Sequence[float],
) -> Float[np.ndarray, " pair"]:
    """Give the fraction of thresholds that each pair's distance change stays under."""
    with np.errstate(invalid="ignore"):
        change = np.abs(
            np.linalg.norm(model[first] - model[second], axis=-1)
            - np.linalg.norm(true[first].astype(np.float64) - true[second], axis=-1)
        )
        kept = np.zeros(len(first))
        for threshold in thresholds:
            kept += change < threshold
    return kept / len(thresholds)


def _kept_by_residue(
    model: Float[np.ndarray, "atom 3"],
    true: Float[np.ndarray, "atom 3"],
    residue_index: Int[np.ndarray, " atom"],
    named: Bool[np.ndarray, " atom"],
    true_mask: Bool[np.ndarray, " atom"] | None,
) -> Float[np.ndarray, " residue"]:
    """Sum what the exchangeable atoms of each residue keep of their distances to the others."""
    kept = np.zeros(int(residue_index.max()) + 1)
    for first, second in pairs_within(true, INCLUSION_RADIUS_ANGSTROM, mask=true_mask):
        counted = (named[first] != named[second]) & (residue_index[first] != residue_index[second])
        first, second = first[counted], second[counted]
        score = _kept_fraction(model, true, first, second, THRESHOLDS_ANGSTROM)
        exchangeable = np.where(named[first], second, first)
        kept += np.bincount(residue_index[exchangeable], weights=score, minlength=len(kept))
    return kept


def _partners(
    residue_index: Int[np.ndarray, " atom"],
    residue_names: np.ndarray,
    atom_names: np.ndarray,
    equivalent_atoms: Mapping[str, tuple[tuple[str, str], ...]],
) -> Int[np.ndarray, " atom"]:
    """Give, for each atom, the atom that it may exchange names with: itself for most."""
    partner = np.arange(len(residue_index))
    row_of = {
        (int(residue_index[row]), str(atom_names[row])): row
        for row in np.flatnonzero(np.isin(residue_names, list(equivalent_atoms)))
    }
    for (residue, name), row in row_of.items():
        for pair in equivalent_atoms[str(residue_names[row])]:
            if name in pair:
                other = pair[1] if name == pair[0] else pair[0]
                partner[row] = row_of.get((residue, other), row)
    return partner
