"""Which chain of a model stands for which of a reference, where copies leave a choice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import permutations
from math import factorial

import numpy as np
from jaxtyping import Float

from itda.structure.protein_chains import ChainMatch
from itda.structure.residues import Residues
from itda.structure.superpose import superpose
from itda.structure.tm import tm_distance_scale

_MOST_ASSIGNMENTS = 24
_POINTS_OF_A_CHAIN = 16
_MOST_FRAMES = 12

Pair = tuple[str, str]


def best_assignment(
    allowed: Mapping[Pair, ChainMatch], reference: Residues, model: Residues
) -> list[ChainMatch]:
    """Pair each chain at most once, so that most residues correspond and the whole superposes best.

    Args:
        allowed: Matches by the ids of their chains.
        reference: Residues of the reference.
        model: Residues of the model.
    """
    true, predicted = reference.positions("CA"), model.positions("CA")
    placed = {
        ids: (true[match.reference_rows], predicted[match.model_rows])
        for ids, match in allowed.items()
    }
    best: list[Pair] = []
    best_score = -np.inf
    seen: set[Hashable] = set()
    for assignment in _assignments(allowed, placed):
        key = frozenset(assignment)
        if key not in seen:
            seen.add(key)
            score = _complex_score([placed[ids] for ids in assignment])
            if score > best_score:
                best, best_score = assignment, score
    return [allowed[ids] for ids in best]


_Placed = tuple[Float[np.ndarray, "pair 3"], Float[np.ndarray, "pair 3"]]


def _assignments(
    allowed: Mapping[Pair, ChainMatch], placed: Mapping[Pair, _Placed]
) -> Iterator[list[Pair]]:
    """Give the assignments worth scoring: by identity, and by position for copies of a chain."""
    firsts = list(dict.fromkeys(first for first, _ in allowed))
    seconds = list(dict.fromkeys(second for _, second in allowed))
    identical = {ids: match.identity * len(match) for ids, match in allowed.items()}
    yield _greedy(identical)
    few = max(len(firsts), len(seconds)) <= 4 and factorial(len(seconds)) <= _MOST_ASSIGNMENTS
    if few and len(seconds) >= len(firsts):
        for order in permutations(seconds, len(firsts)):
            pairs = list(zip(firsts, order, strict=True))
            if all(ids in allowed for ids in pairs):
                yield pairs
        return
    fixed, moving = (
        np.stack([_sample(both[side]) for both in placed.values()]) if placed else np.zeros(0)
        for side in (0, 1)
    )
    anchor = min(firsts, key=lambda name: sum(first == name for first, _ in allowed), default=None)
    for ids in allowed:
        if ids[0] == anchor:
            true, predicted = placed[ids]
            moved = superpose(predicted, true).apply(moving)
            distance = np.linalg.norm(moved - fixed, axis=-1).mean(axis=-1)
            yield _greedy(
                {
                    other: identical[other] / (1.0 + float(away))
                    for other, away in zip(allowed, distance, strict=True)
                }
            )


def _sample(points: Float[np.ndarray, "pair 3"]) -> Float[np.ndarray, "point 3"]:
    place = np.linspace(0, len(points) - 1, _POINTS_OF_A_CHAIN).round().astype(int)
    return np.asarray(points[place])


def _greedy(ranks: Mapping[Pair, float]) -> list[Pair]:
    taken_first: set[str] = set()
    taken_second: set[str] = set()
    chosen = set()
    for ids in sorted(ranks, key=lambda ids: -ranks[ids]):
        if ids[0] not in taken_first and ids[1] not in taken_second:
            taken_first.add(ids[0])
            taken_second.add(ids[1])
            chosen.add(ids)
    return [ids for ids in ranks if ids in chosen]


def _complex_score(placed: Sequence[_Placed]) -> float:
    """Score an assignment: residues matched, and between equals how well the chains stand.

    Standing is the TM-score's sum in the best of the frames of each chain and of all together.
    """
    if not placed:
        return 0.0
    true = np.concatenate([one for one, _ in placed])
    predicted = np.concatenate([other for _, other in placed])
    scale = tm_distance_scale(len(true))
    standing = 0.0
    step = -(-len(placed) // _MOST_FRAMES)
    for fixed, moving in [*placed[::step], (true, predicted)]:
        moved = superpose(moving, fixed).apply(predicted)
        squared = np.square(moved - true).sum(axis=-1)
        standing = max(standing, float((1.0 / (1.0 + squared / scale**2)).mean()))
    return len(true) + standing
