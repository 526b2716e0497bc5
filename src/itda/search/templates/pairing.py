"""Two whole sequences laid along each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from itda.structure.alignment import Numbering, Strand, align, substitution_scores

_UNKNOWN = ord("X")

UNLIKELY_IDENTITY = 0.2
"""Below it two sequences align no better than unrelated ones do, and the user is told."""

FEWEST_PAIRS = 10
LEAST_COVERAGE = 0.1


@dataclass(frozen=True, eq=False)
class SequencePairs:
    """Residues of two sequences that correspond.

    Attributes:
        query_index: Residues of the first, 0-based, rising.
        template_index: Their partners in the second, 0-based, rising.
        identity: Identical residues over paired ones, 0..1; X is like nothing.
    """

    query_index: Int32[np.ndarray, " pair"]
    template_index: Int32[np.ndarray, " pair"]
    identity: float


def align_sequences(
    query: str, template: str, residue_index: Int32[np.ndarray, " residue"] | None = None
) -> SequencePairs:
    """Align two protein sequences over their whole length (BLOSUM62, gaps -11 -1, free ends).

    Args:
        query: The 20 amino acids and X.
        template: The same.
        residue_index: Of the template's residues, as `Chain` has it. Where it leaves out residues a
            gap costs little.
    """
    if query == template:
        # A query of the residues that were seen lacks what the template lacks.
        pairs = np.arange(len(query))[:, np.newaxis].repeat(2, axis=1)
    else:
        pairs = align(_strand(query), _strand(template, residue_index))
    query_index, template_index = pairs.astype(np.int32).T
    identity = pair_identity(query, template, query_index, template_index)
    return SequencePairs(query_index.copy(), template_index.copy(), identity)


def settle_gaps(
    query: str,
    template: str,
    query_index: Int32[np.ndarray, " pair"],
    template_index: Int32[np.ndarray, " pair"],
    residue_index: Int32[np.ndarray, " residue"],
) -> SequencePairs:
    """Move residues of the query that have no partner to where the template is broken.

    A search aligns sequences, and does not see where residues of the template are missing. A gap is
    moved along the residues beside it only if the sequences agree as well or better there.

    Args:
        query: One-letter sequence.
        template: One-letter sequence.
        query_index: Paired residues of the query.
        template_index: Their partners.
        residue_index: Of the template's residues, as `Chain` has it.
    """
    moved = query_index.copy()
    broken = np.append(np.diff(residue_index) > 1, False)
    whole = np.diff(template_index) == 1
    for gap in np.flatnonzero(whole & (np.diff(query_index) > 1)).tolist():
        if not broken[template_index[gap]]:
            _move_gap(query, template, moved, template_index, broken, gap)
    identity = pair_identity(query, template, moved, template_index)
    return SequencePairs(moved, template_index, identity)


def _move_gap(
    query: str,
    template: str,
    query_index: Int32[np.ndarray, " pair"],
    template_index: Int32[np.ndarray, " pair"],
    broken: np.ndarray,
    gap: int,
) -> None:
    """Move the gap behind a pair to the break where the sequences agree best, if any is as good."""
    scores = substitution_scores(query, template)
    skipped = int(query_index[gap + 1] - query_index[gap] - 1)
    best: tuple[int, int, int] | None = None
    for step in (-1, 1):
        gained, place = 0, gap
        while True:
            # The pair that changes sides as the gap moves by one.
            pair = place if step < 0 else place + 1
            neighbour = pair + step
            if not (
                0 <= neighbour < len(query_index)
                and query_index[neighbour] - query_index[pair] == step
                and template_index[neighbour] - template_index[pair] == step
            ):
                break
            other = query_index[pair] - step * skipped
            partner = template_index[pair]
            gained += int(scores[other, partner] - scores[query_index[pair], partner])
            place += step
            if broken[template_index[place]] and gained >= 0:
                rank = (gained, -abs(place - gap), place)
                best = rank if best is None else max(best, rank)
    if best is None:
        return
    if best[2] < gap:
        query_index[best[2] + 1 : gap + 1] += skipped
    else:
        query_index[gap + 1 : best[2] + 1] -= skipped


def pair_identity(
    query: str,
    template: str,
    query_index: Int32[np.ndarray, " pair"],
    template_index: Int32[np.ndarray, " pair"],
) -> float:
    """Return identical residues over paired ones, 0..1; X is like nothing, no pair gives 0."""
    if len(query_index) == 0:
        return 0.0
    first = np.frombuffer(query.encode("ascii"), np.uint8)[query_index]
    second = np.frombuffer(template.encode("ascii"), np.uint8)[template_index]
    return float(((first == second) & (first != _UNKNOWN)).mean())


def _strand(sequence: str, residue_index: Int32[np.ndarray, " residue"] | None = None) -> Strand:
    strand = Strand.of_sequence(sequence)
    numbers = np.arange(len(sequence)) if residue_index is None else residue_index
    numbering = Numbering.from_numbers(numbers)
    return Strand(sequence, numbering.jumps, strand.jumps, (numbering,))


def is_alike(identity: float, pairs: int, length: int) -> bool:
    """Whether two sequences are more alike than unrelated ones, over enough of the first.

    Few residues are often equal by chance: what is asked of them falls with their number as in
    Sander and Schneider 1991 (Proteins 9, 56), 290 % times length to the power of -0.562, and no
    further than `UNLIKELY_IDENTITY`.

    Args:
        identity: Identical residues over paired ones, 0..1.
        pairs: How many are paired.
        length: Residues of the first sequence.
    """
    least = max(UNLIKELY_IDENTITY, 2.9015 * max(pairs, 1) ** -0.562)
    return identity >= least and pairs >= FEWEST_PAIRS and pairs > LEAST_COVERAGE * length
