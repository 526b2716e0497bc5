"""How like a reference a model is: lDDT, TM-score, GDT-TS and RMSD over the residues they share.

Proteins are compared; other molecules are named and left aside. Scores cover the reference chains
that found a partner: their residues that the model lacks count against it in lDDT, TM-score and
GDT-TS. The same scores of the matched part alone stand beside them: of a model that is a part of
the reference, they tell how good that part is. RMSD is over matched residues only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Float, Int

from itda.chem.force_fields import PARENTS
from itda.language import Message
from itda.structure.lddt import Lddt, lddt, lddt_all_atom
from itda.structure.matching import LEAST_IDENTITY, match_chains
from itda.structure.protein_chains import ChainMatch, PairedBy, protein_chains
from itda.structure.residues import Residues
from itda.structure.superpose import rmsd
from itda.structure.tm import score_superpositions

_BACKBONE = ("N", "CA", "C", "O", "CB")
_UNCOMPARED_ATOMS = ("OXT",)
_PLACES = 4
_MOST_TYPE_NOTES = 5


@dataclass(frozen=True)
class ChainComparison:
    """A reference chain and the model chain that it was compared with.

    Attributes:
        reference: Chain of the reference.
        model: Chain of the model.
        identity: Fraction of matched residues of the same type.
        matched: Residues matched.
        reference_length: Residues of the reference chain.
        model_length: Residues of the model chain.
        paired_by: What tells which residues correspond: an alignment of the sequences, their
            numbers, or their places from the first on.
    """

    reference: str
    model: str
    identity: float
    matched: int
    reference_length: int
    model_length: int
    paired_by: PairedBy


@dataclass(frozen=True)
class Scores:
    """Scores over some residues of the reference.

    Attributes:
        lddt_ca: lDDT over their CA atoms, 0 to 1; None where no CA has a neighbour.
        lddt_all_atom: lDDT over their heavy atoms.
        tm_score: TM-score normalised by their number.
        gdt_ts: GDT-TS normalised likewise.
    """

    lddt_ca: float | None
    lddt_all_atom: float | None
    tm_score: float
    gdt_ts: float


@dataclass(frozen=True)
class Motion:
    """The motion that takes the model onto the reference: `points @ rotation.T + translation`.

    Attributes:
        rotation: Rows of the rotation matrix.
        translation_angstrom: What is added after it.
    """

    rotation: tuple[tuple[float, ...], ...]
    translation_angstrom: tuple[float, ...]

    def move(self, atoms: AtomArray) -> AtomArray:
        """Give a copy of atoms of the model, moved."""
        moved = atoms.copy()
        turned = atoms.coord.astype(np.float64) @ np.array(self.rotation).T
        moved.coord = (turned + np.array(self.translation_angstrom)).astype(np.float32)
        return moved


@dataclass(frozen=True)
class ResidueComparison:
    """Scores of one matched residue.

    Attributes:
        reference: Chain, number and name in the reference, such as `A:45 GLY`.
        model: The same in the model.
        lddt_ca: lDDT of its CA, 0 to 1; None without a neighbour.
        lddt_all_atom: lDDT of its heavy atoms.
        ca_distance_angstrom: Distance of the CA atoms in the superposition of the TM-score.
        model_b_factor: B-factor of the model's CA: pLDDT in a prediction.
    """

    reference: str
    model: str
    lddt_ca: float | None
    lddt_all_atom: float | None
    ca_distance_angstrom: float | None
    model_b_factor: float | None


@dataclass(frozen=True)
class Comparison:
    """Scores of a model against a reference.

    Attributes:
        lddt_ca: lDDT over CA atoms, 0 to 1; None where no CA has a neighbour.
        lddt_all_atom: lDDT over heavy atoms, equivalent side-chain atoms named in its favour.
        tm_score: TM-score normalised by the reference chains' length.
        gdt_ts: GDT-TS normalised likewise.
        rmsd_ca_angstrom: RMSD of matched CA atoms after least-squares superposition.
        n_aligned: Residues matched, with a CA in both.
        coverage: Fraction of the reference chains' residues that are matched.
        matched_part: Scores of the matched residues alone; the same where coverage is 1.
        motion: Takes the model onto the reference, as the TM-score superposes them.
        chains: The chains compared.
        per_residue: One entry for each matched residue, in reference order.
        reference_only: Residues of the compared reference chains without a match.
        model_only: Residues of the compared model chains without a match.
        notes: What was not compared.
    """

    lddt_ca: float | None
    lddt_all_atom: float | None
    tm_score: float
    gdt_ts: float
    rmsd_ca_angstrom: float
    n_aligned: int
    coverage: float
    matched_part: Scores
    motion: Motion
    chains: tuple[ChainComparison, ...]
    per_residue: tuple[ResidueComparison, ...]
    reference_only: tuple[str, ...]
    model_only: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return asdict(self)


def compare(
    reference: AtomArray,
    model: AtomArray,
    *,
    chains: Mapping[str, str] | None = None,
    by_number: bool = False,
) -> Comparison:
    """Compare the proteins of two structures.

    Args:
        reference: The structure taken as true.
        model: The structure to score.
        chains: Model chain of each reference chain; found by sequence unless told.
        by_number: Match residues of the same number and insertion code instead of aligning.

    Raises:
        InputError: If a structure has no protein, a named chain does not exist, or nothing matches.
    """
    true, predicted = Residues.from_atoms(_heavy(reference)), Residues.from_atoms(_heavy(model))
    matches = match_chains(true, predicted, chains=chains, by_number=by_number)
    rows = np.concatenate([match.reference.rows for match in matches])
    partner = _partners(matches, rows)
    matched = partner >= 0

    true_ca = true.positions("CA")[rows]
    model_ca = np.full_like(true_ca, np.nan)
    model_ca[matched] = predicted.positions("CA")[partner[matched]]
    ca_scores = lddt(model_ca, true_ca)
    atom_scores, odd_types = _all_atom_scores(true, predicted, rows, partner)
    best, gdt = score_superpositions(model_ca, true_ca, length=len(rows))
    distance = np.linalg.norm(best.superposition.apply(model_ca) - true_ca, axis=-1)
    both = np.isfinite(distance)
    whole = Scores(
        _rounded(ca_scores.score),
        _rounded(atom_scores.score),
        round(best.score, _PLACES),
        round(gdt, _PLACES),
    )
    part = whole
    if not both.all():
        part_best, part_gdt = score_superpositions(model_ca[both], true_ca[both])
        part_atoms, _ = _all_atom_scores(true, predicted, rows[both], partner[both])
        part = Scores(
            _rounded(lddt(model_ca[both], true_ca[both]).score),
            _rounded(part_atoms.score),
            round(part_best.score, _PLACES),
            round(part_gdt, _PLACES),
        )
    b_factor = _b_factors(predicted)
    return Comparison(
        **asdict(whole),
        rmsd_ca_angstrom=round(float(rmsd(model_ca, true_ca, fit=True)), _PLACES),
        n_aligned=int(both.sum()),
        coverage=round(float(both.mean()), _PLACES),
        matched_part=part,
        motion=Motion(
            tuple(tuple(row) for row in best.superposition.rotation.tolist()),
            tuple(best.superposition.translation.tolist()),
        ),
        chains=tuple(_chain_comparison(match) for match in matches),
        per_residue=tuple(
            ResidueComparison(
                reference=true.label(int(row)),
                model=predicted.label(int(partner[index])),
                lddt_ca=_rounded(ca_scores.per_residue[index]),
                lddt_all_atom=_rounded(atom_scores.per_residue[index]),
                ca_distance_angstrom=_rounded(distance[index]),
                model_b_factor=_rounded(b_factor[partner[index]]),
            )
            for index, row in enumerate(rows)
            if matched[index]
        ),
        reference_only=tuple(true.label(int(row)) for row in rows[~matched]),
        model_only=_unmatched(predicted, matches, partner),
        notes=(
            *_notes("reference", true, {match.reference.id for match in matches}),
            *_notes("model", predicted, {match.model.id for match in matches}),
            *_pairing_notes(matches),
            *odd_types,
        ),
    )


def _heavy(atoms: AtomArray) -> AtomArray:
    return atoms[~np.isin(atoms.element, ("H", "D"))]


def _partners(
    matches: Sequence[ChainMatch], rows: Int[np.ndarray, " residue"]
) -> Int[np.ndarray, " residue"]:
    """Give the model's residue for each reference residue, -1 where there is none."""
    place = np.full(int(rows.max()) + 1, -1)
    place[rows] = np.arange(len(rows))
    partner = np.full(len(rows), -1)
    for match in matches:
        partner[place[match.reference_rows]] = match.model_rows
    return partner


def _all_atom_scores(
    true: Residues,
    predicted: Residues,
    rows: Int[np.ndarray, " residue"],
    partner: Int[np.ndarray, " residue"],
) -> tuple[Lddt, tuple[str, ...]]:
    """Score all heavy atoms; where the residue types differ, those of the backbone and CB."""
    index_of = np.full(len(true), -1)
    index_of[rows] = np.arange(len(rows))
    found: dict[tuple[int, str], int] = {}
    wanted = set(partner[partner >= 0].tolist())
    for atom, residue in enumerate(predicted.of_atom.tolist()):
        if residue in wanted:
            name = _atom_name(predicted, residue, str(predicted.atom_names[atom]))
            found.setdefault((residue, name), atom)
    odd = _different_types(true, predicted, rows, partner)
    chosen, sources, names = [], [], []
    for atom in np.flatnonzero(index_of[true.of_atom] >= 0).tolist():
        residue = int(true.of_atom[atom])
        index = int(index_of[residue])
        name = _atom_name(true, residue, str(true.atom_names[atom]))
        if name in _UNCOMPARED_ATOMS or (odd[index] and name not in _BACKBONE):
            continue
        other = int(partner[index])
        if odd[index] and name == "CB" and predicted.standard_names[other] == "GLY":
            continue
        chosen.append(atom)
        names.append(name)
        sources.append(found.get((other, name), -1))
    source = np.array(sources)
    positions = np.full((len(chosen), 3), np.nan)
    positions[source >= 0] = predicted.atoms.coord[source[source >= 0]]
    scores = lddt_all_atom(
        positions,
        true.atoms.coord[chosen].astype(np.float64),
        residue_index=index_of[true.of_atom[chosen]],
        residue_names=np.array(true.standard_names)[true.of_atom[chosen]],
        atom_names=names,
    )
    return scores, _type_notes(true, predicted, rows[odd], partner[odd])


def _type_notes(
    true: Residues,
    predicted: Residues,
    rows: Int[np.ndarray, " residue"],
    partner: Int[np.ndarray, " residue"],
) -> tuple[str, ...]:
    differing = [
        f"{true.label(row)} is {predicted.label(other)} in the model"
        for row, other in zip(rows.tolist(), partner.tolist(), strict=True)
    ]
    if len(differing) > _MOST_TYPE_NOTES:
        shown = f"{len(differing)} residues are of another type, such as {differing[0]}"
        differing = [shown]
    return tuple(f"{one}; backbone and CB compared" for one in differing)


def _pairing_notes(matches: Sequence[ChainMatch]) -> list[str]:
    """Tell where residues of chains that are not alike were paired without an alignment."""
    how = {"number": "by number", "place": "one after another"}
    return [
        f"chains {match.reference.id!r} and {match.model.id!r}: only {match.identity:.0%} of the "
        f"residues are identical; they are paired {how[match.paired_by]}"
        for match in matches
        if match.paired_by in how and match.identity < LEAST_IDENTITY
    ]


def _different_types(
    true: Residues,
    predicted: Residues,
    rows: Int[np.ndarray, " residue"],
    partner: Int[np.ndarray, " residue"],
) -> Bool[np.ndarray, " residue"]:
    return np.array(
        [
            other >= 0
            and true.standard_names[row] != predicted.standard_names[other]
            and not _same_parent(true, int(row), predicted, int(other))
            for row, other in zip(rows.tolist(), partner.tolist(), strict=True)
        ]
    )


def _same_parent(true: Residues, row: int, predicted: Residues, other: int) -> bool:
    letters = (true.components[row].one_letter, predicted.components[other].one_letter)
    return letters[0] == letters[1] != "X"


def _atom_name(residues: Residues, residue: int, name: str) -> str:
    renamed = PARENTS.get(residues.names[residue], ("", {}))[1]
    return renamed.get(name, name)


def _b_factors(residues: Residues) -> Float[np.ndarray, " residue"]:
    result = np.full(len(residues), np.nan)
    if "b_factor" in residues.atoms.get_annotation_categories():
        rows = residues.rows("CA")
        result[rows >= 0] = residues.atoms.b_factor[rows[rows >= 0]]
    return result


def _chain_comparison(match: ChainMatch) -> ChainComparison:
    return ChainComparison(
        reference=match.reference.id,
        model=match.model.id,
        identity=round(match.identity, _PLACES),
        matched=len(match.reference_rows),
        reference_length=len(match.reference.rows),
        model_length=len(match.model.rows),
        paired_by=match.paired_by,
    )


def _unmatched(
    predicted: Residues, matches: Sequence[ChainMatch], partner: Int[np.ndarray, " residue"]
) -> tuple[str, ...]:
    used = set(partner.tolist())
    return tuple(
        predicted.label(int(row))
        for match in matches
        for row in match.model.rows
        if int(row) not in used
    )


def _notes(side: str, residues: Residues, compared: set[str]) -> tuple[str, ...]:
    """Name the chains and molecules that took no part."""
    proteins = protein_chains(residues)
    notes = [f"{side}: {note}" for note in residues.understood]
    notes += [
        f"{side}: chain {chain!r} ({len(found.rows)} residues) has no partner"
        for chain, found in proteins.items()
        if chain not in compared
    ]
    carbons = residues.rows("CA")
    counts: dict[str, int] = {}
    for index in np.flatnonzero(~residues.peptide_mask).tolist():
        if residues.components[index].kind == "peptide" and carbons[index] < 0:
            notes.append(
                Message(
                    "{side}: {index} has no CA, not compared",
                    side=side,
                    index=residues.label(index),
                )
            )
        else:
            counts[residues.names[index]] = counts.get(residues.names[index], 0) + 1
    if counts:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        notes.append(
            Message("{side}: not protein, not compared: {listed}", side=side, listed=listed)
        )
    return tuple(notes)


def _rounded(value: float | np.floating[Any]) -> float | None:
    return round(float(value), _PLACES) if math.isfinite(value) else None
