"""Which residue of one structure is which of another: chains by sequence, residues by alignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal
from jaxtyping import Float, Int

from itda.errors import InputError
from itda.structure.residues import Residues
from itda.structure.superpose import present, superpose
from itda.structure.tm import tm_distance_scale

LEAST_IDENTITY = 0.3
SHORT_CHAIN = 20
LEAST_IDENTITY_SHORT = 0.8
_GAP_PENALTY = (-11, -1)
_ALIGNABLE = frozenset("ARNDCQEGHILKMFPSTWYV")
_MOST_ASSIGNMENTS = 24


@dataclass(frozen=True, eq=False)
class ProteinChain:
    """The amino acids of one author chain.

    Attributes:
        id: Author chain.
        rows: Their places among the residues of the structure.
        sequence: One letter each; a modified residue has that of its parent.
        numbers: Author number and insertion code of each.
    """

    id: str
    rows: Int[np.ndarray, " residue"]
    sequence: str
    numbers: tuple[tuple[int, str], ...]


@dataclass(frozen=True, eq=False)
class ChainMatch:
    """Two chains and the residues that correspond.

    Attributes:
        reference: Chain of the reference.
        model: Chain of the model.
        reference_rows: Matched residues, as rows of the reference's residues.
        model_rows: The residues of the model that they match.
        identity: Fraction of the matched residues that have the same letter.
    """

    reference: ProteinChain
    model: ProteinChain
    reference_rows: Int[np.ndarray, " pair"]
    model_rows: Int[np.ndarray, " pair"]
    identity: float


def protein_chains(residues: Residues) -> dict[str, ProteinChain]:
    """Find the chains that have amino acids, in file order."""
    members: dict[str, list[int]] = {}
    for row in np.flatnonzero(residues.peptide_mask).tolist():
        members.setdefault(residues.chain_ids[row], []).append(row)
    return {
        chain: ProteinChain(
            chain,
            np.array(rows),
            "".join(_letter(residues, row) for row in rows),
            tuple((residues.numbers[row], residues.insertion_codes[row]) for row in rows),
        )
        for chain, rows in members.items()
    }


def _letter(residues: Residues, row: int) -> str:
    letter = residues.components[row].one_letter
    return letter if letter in _ALIGNABLE else "X"


def match_chain(
    reference: ProteinChain, model: ProteinChain, *, by_number: bool = False
) -> ChainMatch:
    """Pair the residues of two chains.

    Args:
        reference: Chain of the reference.
        model: Chain of the model.
        by_number: Pair residues of the same number and insertion code, whatever their type,
            instead of aligning the sequences (BLOSUM62, affine gaps, free ends).
    """
    if by_number:
        place = {number: index for index, number in enumerate(model.numbers)}
        pairs = [
            (index, place[number])
            for index, number in enumerate(reference.numbers)
            if number in place
        ]
    else:
        pairs = _align(reference.sequence, model.sequence)
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    same = [reference.sequence[first] == model.sequence[second] for first, second in pairs]
    identity = float(np.mean(same)) if same else 0.0
    return ChainMatch(
        reference, model, reference.rows[table[:, 0]], model.rows[table[:, 1]], identity
    )


def _align(reference: str, model: str) -> list[tuple[int, int]]:
    """Align two sequences; one that lies whole in the other needs no scoring."""
    for shorter, longer, swapped in ((reference, model, False), (model, reference, True)):
        start = longer.find(shorter)
        if start >= 0:
            pairs = [(index, index + start) for index in range(len(shorter))]
            return [(second, first) for first, second in pairs] if swapped else pairs
    alignment = align_optimal(
        ProteinSequence(reference),
        ProteinSequence(model),
        SubstitutionMatrix.std_protein_matrix(),
        gap_penalty=_GAP_PENALTY,
        terminal_penalty=False,
        max_number=1,
    )[0]
    return [
        (int(first), int(second)) for first, second in alignment.trace if min(first, second) >= 0
    ]


def match_chains(
    reference: Residues,
    model: Residues,
    *,
    chains: Mapping[str, str] | None = None,
    by_number: bool = False,
) -> list[ChainMatch]:
    """Pair the protein chains of two structures.

    Chains may pair if 30 % of the shorter one's residues are identical (80 % below 20 residues).
    Each takes the partner with the most identical residues; where copies of a chain leave several
    assignments, the one in which the whole complex superposes best is taken.

    Args:
        reference: Residues of the reference.
        model: Residues of the model.
        chains: Model chain of each reference chain, where a user says so.
        by_number: As for `match_chain`.

    Raises:
        InputError: If a structure has no protein, a named chain does not exist, or no chains match.
    """
    found = {"reference": protein_chains(reference), "model": protein_chains(model)}
    for side, side_chains in found.items():
        if not side_chains:
            raise InputError(f"the {side} has no protein chain to compare")
    if chains:
        pairs = _named_pairs(chains, found["reference"], found["model"])
        matches = [match_chain(*pair, by_number=by_number) for pair in pairs]
    else:
        candidates = {
            (first.id, second.id): match_chain(first, second, by_number=by_number)
            for first in found["reference"].values()
            for second in found["model"].values()
        }
        allowed = {ids: match for ids, match in candidates.items() if _alike(match)}
        matches = _best_assignment(allowed, reference, model)
    if not any(len(match.reference_rows) for match in matches):
        raise InputError(
            "the structures have no residue in common: no two chains are identical "
            f"to {LEAST_IDENTITY:.0%} or more",
            hint="name the chains to pair, such as --chain A:B, or pair --by-number",
        )
    return matches


def _alike(match: ChainMatch) -> bool:
    """Tell whether two chains may pair; short ones are alike by chance too often."""
    shorter = min(len(match.reference.rows), len(match.model.rows))
    least = LEAST_IDENTITY_SHORT if shorter < SHORT_CHAIN else LEAST_IDENTITY
    return match.identity * len(match.reference_rows) >= least * shorter


def _named_pairs(
    chains: Mapping[str, str],
    reference: Mapping[str, ProteinChain],
    model: Mapping[str, ProteinChain],
) -> list[tuple[ProteinChain, ProteinChain]]:
    for side, known, wanted in (
        ("reference", reference, list(chains)),
        ("model", model, list(chains.values())),
    ):
        for chain in wanted:
            if chain not in known:
                raise InputError(
                    f"the {side} has no protein chain {chain!r}",
                    hint=f"it has {', '.join(repr(name) for name in known)}",
                )
        if len(set(wanted)) < len(wanted):
            raise InputError(f"a chain of the {side} is named twice", hint="pair each chain once")
    return [(reference[first], model[second]) for first, second in chains.items()]


def _best_assignment(
    allowed: Mapping[tuple[str, str], ChainMatch], reference: Residues, model: Residues
) -> list[ChainMatch]:
    best: list[ChainMatch] = []
    best_score = -np.inf
    for assignment in _assignments(allowed, reference, model):
        score = _complex_score(assignment, reference, model)
        if score > best_score:
            best, best_score = assignment, score
    return best


def _assignments(
    allowed: Mapping[tuple[str, str], ChainMatch], reference: Residues, model: Residues
) -> Iterator[list[ChainMatch]]:
    """Give the assignments worth scoring: by identity, and by position for copies of a chain."""
    firsts = list(dict.fromkeys(first for first, _ in allowed))
    seconds = list(dict.fromkeys(second for _, second in allowed))

    def matching(match: ChainMatch) -> float:
        return match.identity * len(match.reference_rows)

    yield _greedy(allowed, {ids: matching(match) for ids, match in allowed.items()})
    few = max(len(firsts), len(seconds)) <= 4 and factorial(len(seconds)) <= _MOST_ASSIGNMENTS
    if few and len(seconds) >= len(firsts):
        for order in permutations(seconds, len(firsts)):
            if all(ids in allowed for ids in zip(firsts, order, strict=True)):
                yield [allowed[ids] for ids in zip(firsts, order, strict=True)]
        return
    anchor = min(firsts, key=lambda name: sum(first == name for first, _ in allowed), default=None)
    for (first, _), match in allowed.items():
        if first == anchor:
            positions = _positions(match, reference, model)
            if not present(*positions).any():
                continue
            motion = superpose(positions[1], positions[0])
            ranks = {}
            for ids, other in allowed.items():
                placed, where = _positions(other, reference, model)
                distance = np.nanmean(np.linalg.norm(motion.apply(where) - placed, axis=-1))
                ranks[ids] = matching(other) / (1.0 + float(distance))
            yield _greedy(allowed, ranks)


def _greedy(
    allowed: Mapping[tuple[str, str], ChainMatch], ranks: Mapping[tuple[str, str], float]
) -> list[ChainMatch]:
    taken_first: set[str] = set()
    taken_second: set[str] = set()
    chosen = {}
    for ids in sorted(allowed, key=lambda ids: -ranks[ids]):
        if ids[0] not in taken_first and ids[1] not in taken_second:
            taken_first.add(ids[0])
            taken_second.add(ids[1])
            chosen[ids] = allowed[ids]
    return [match for ids, match in allowed.items() if ids in chosen]


def _positions(
    match: ChainMatch, reference: Residues, model: Residues
) -> tuple[Float[np.ndarray, "pair 3"], Float[np.ndarray, "pair 3"]]:
    return (
        reference.positions("CA")[match.reference_rows],
        model.positions("CA")[match.model_rows],
    )


def _complex_score(matches: Sequence[ChainMatch], reference: Residues, model: Residues) -> float:
    """Score an assignment: residues matched, and between equals how well the chains stand.

    Standing is the TM-score's sum in the best of the frames of each chain and of all together.
    """
    placed = [_positions(match, reference, model) for match in matches]
    if not placed:
        return 0.0
    true = np.concatenate([one for one, _ in placed])
    predicted = np.concatenate([other for _, other in placed])
    scale = tm_distance_scale(len(true))
    standing = 0.0
    for fixed, moving in [*placed, (true, predicted)]:
        if present(fixed, moving).any():
            moved = superpose(moving, fixed).apply(predicted)
            squared = np.square(moved - true).sum(axis=-1)
            standing = max(standing, float(np.nanmean(1.0 / (1.0 + squared / scale**2))))
    return len(true) + standing
