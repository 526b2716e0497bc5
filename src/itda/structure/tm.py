"""TM-score and GDT-TS on plain coordinate arrays, with a search over superpositions.

Both are the best over the motions that the search visits, which is that of the TM-score program
(Zhang and Skolnick 2004): superpose on fragments of several lengths, collect the residues that come
to lie near each other, superpose on those, and go on until the collection stands still. The program
counts GDT-TS on the same motions, so a search of its own for GDT-TS, which finds up to 0.03 more,
would not be comparable with what is published. All fragments of a length go through each step
together, as matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from itda.structure.superpose import Superposition, kabsch_rotation, present

GDT_TS_CUTOFFS_ANGSTROM = (1.0, 2.0, 4.0, 8.0)

_SHORTEST_FRAGMENT = 4
_FRAGMENT_LENGTHS = 6
_FEWEST_FRAGMENTS, _MOST_FRAGMENTS = 200, 2000
_FRAGMENT_POINTS = 4_000_000
"""Of long chains not every window is tried, so that a search takes seconds."""

_ITERATIONS = 21
_FEWEST_COLLECTED = 3
_WIDENING_ANGSTROM = 0.5
_ELEMENTS_AT_ONCE = 4_000_000

_Distances = Float[np.ndarray, "motion point"]


@dataclass(frozen=True, eq=False)
class TmScore:
    """TM-score and the superposition that reaches it.

    Attributes:
        score: 0 to 1; above 0.5 two chains share a fold, about 0.17 is chance.
        superposition: Takes the model onto the reference.
    """

    score: float
    superposition: Superposition


def tm_distance_scale(length: int) -> float:
    """Give d0, the distance in angstrom at which a residue counts one half.

    >>> round(tm_distance_scale(100), 3), tm_distance_scale(18)
    (3.652, 0.5)
    """
    return max(1.24 * float(max(length - 15, 0) ** (1 / 3)) - 1.8, 0.5)


def score_superpositions(
    predicted: Float[np.ndarray, "residue 3"],
    true: Float[np.ndarray, "residue 3"],
    *,
    mask: Bool[np.ndarray, " residue"] | None = None,
    length: int | None = None,
    cutoffs_angstrom: Sequence[float] = GDT_TS_CUTOFFS_ANGSTROM,
) -> tuple[TmScore, float]:
    """Find TM-score and GDT-TS in one search, for residues that correspond row by row.

    Args:
        predicted: CA coordinates of the model; angstrom. NaN where it lacks the residue.
        true: CA coordinates of the reference; angstrom. NaN where it lacks the residue.
        mask: True where a residue counts.
        length: Residues to normalise by; without it, the residues present in `true`. Residues that
            only the reference has so lower the scores.
        cutoffs_angstrom: Distances of the global distance test; those of GDT-TS unless told.

    Raises:
        ValueError: If no residue is present in both.
    """
    if length is None:
        length = int(present(true, mask=mask).sum())
    scale = tm_distance_scale(length)
    limits = np.square(cutoffs_angstrom)

    def score(squared: _Distances) -> Float[np.ndarray, "motion score"]:
        closeness = (1.0 / (1.0 + squared / scale**2)).sum(axis=-1)
        return np.stack([closeness, *((squared <= limit).sum(axis=-1) for limit in limits)], -1)

    moving, fixed = _corresponding(predicted, true, mask)
    cutoff = min(max(scale, 4.5), 8.0)
    found, *counts = _search(moving, fixed, cutoff - 1.0, cutoff + 1.0, score)
    gdt = sum(one.score for one in counts) / len(counts) / length
    return TmScore(found.score / length, found.superposition), gdt


def tm_superpose(
    predicted: Float[np.ndarray, "residue 3"],
    true: Float[np.ndarray, "residue 3"],
    *,
    mask: Bool[np.ndarray, " residue"] | None = None,
    length: int | None = None,
) -> TmScore:
    """Find the superposition of greatest TM-score; see `score_superpositions`."""
    return score_superpositions(predicted, true, mask=mask, length=length)[0]


def tm_score(
    predicted: Float[np.ndarray, "residue 3"],
    true: Float[np.ndarray, "residue 3"],
    *,
    mask: Bool[np.ndarray, " residue"] | None = None,
    length: int | None = None,
) -> float:
    """Give the TM-score of residues that correspond row by row; see `score_superpositions`."""
    return tm_superpose(predicted, true, mask=mask, length=length).score


def gdt_ts(
    predicted: Float[np.ndarray, "residue 3"],
    true: Float[np.ndarray, "residue 3"],
    *,
    mask: Bool[np.ndarray, " residue"] | None = None,
    length: int | None = None,
    cutoffs_angstrom: Sequence[float] = GDT_TS_CUTOFFS_ANGSTROM,
) -> float:
    """Give the global distance test, total score (Zemla 2003): 0 to 1.

    It is the mean over the cutoffs of the largest fraction of residues that one superposition, its
    own for each cutoff, brings within the cutoff; see `score_superpositions`.
    """
    return score_superpositions(
        predicted, true, mask=mask, length=length, cutoffs_angstrom=cutoffs_angstrom
    )[1]


def _corresponding(
    predicted: Float[np.ndarray, "residue 3"],
    true: Float[np.ndarray, "residue 3"],
    mask: Bool[np.ndarray, " residue"] | None,
) -> tuple[Float[np.ndarray, "point 3"], Float[np.ndarray, "point 3"]]:
    used = present(predicted, true, mask=mask)
    if not used.any():
        raise ValueError("no residue is present in both structures")
    return predicted[used].astype(np.float64), true[used].astype(np.float64)


def _search(
    moving: Float[np.ndarray, "point 3"],
    fixed: Float[np.ndarray, "point 3"],
    first_cutoff: float,
    later_cutoff: float,
    score: Callable[[_Distances], Float[np.ndarray, "motion score"]],
) -> tuple[TmScore, ...]:
    """Maximise scores of squared distances over rigid motions.

    Args:
        moving: Points to move; angstrom.
        fixed: Corresponding points; angstrom.
        first_cutoff: Distance within which residues are collected after a fragment's superposition.
        later_cutoff: The same after each further one.
        score: Gives each row of squared distances one or more scores.

    Returns:
        For each score the greatest value found, and the motion that reaches it.
    """
    pairs = _PairedPoints(moving, fixed)
    best: dict[int, TmScore] = {}
    for fragments in _fragments(len(moving)):
        collected = fragments
        for iteration in range(_ITERATIONS):
            rotation, translation = pairs.fit(collected)
            squared = pairs.squared_distances(rotation, translation)
            scores = score(squared)
            for column, row in enumerate(scores.argmax(axis=0)):
                value = float(scores[row, column])
                if column not in best or value > best[column].score:
                    motion = pairs.uncentred(rotation[row], translation[row])
                    best[column] = TmScore(value, motion)
            renewed = _collect(squared, later_cutoff if iteration else first_cutoff)
            if iteration:
                renewed = renewed[(renewed != collected).any(axis=-1)]
            if len(renewed) == 0:
                break
            collected = _without_repeats(renewed)
    return tuple(best[column] for column in sorted(best))


def _without_repeats(
    collected: Bool[np.ndarray, "motion point"],
) -> Bool[np.ndarray, "other point"]:
    _, first = np.unique(np.packbits(collected, axis=-1), axis=0, return_index=True)
    return collected[first]


def _collect(squared: _Distances, cutoff: float) -> Bool[np.ndarray, "motion point"]:
    """Mark the points within the cutoff, which is widened in steps until there are a few."""
    collected = squared < cutoff**2
    fewest = min(_FEWEST_COLLECTED, squared.shape[1])
    poor = np.flatnonzero(collected.sum(axis=-1) < fewest)
    if len(poor):
        furthest = np.sqrt(np.partition(squared[poor], fewest - 1, axis=-1)[:, fewest - 1])
        steps = np.floor((furthest - cutoff) / _WIDENING_ANGSTROM) + 1
        widened = cutoff + _WIDENING_ANGSTROM * steps
        collected[poor] = squared[poor] < np.square(widened)[:, np.newaxis]
    return collected


def _fragments(count: int) -> Iterator[Bool[np.ndarray, "fragment point"]]:
    """Give windows over the chain: all of it, its halves, quarters, ..., down to four residues."""
    lengths = [max(count // 2**level, _SHORTEST_FRAGMENT) for level in range(_FRAGMENT_LENGTHS)]
    lengths[-1] = _SHORTEST_FRAGMENT
    most = min(max(_FRAGMENT_POINTS // count, _FEWEST_FRAGMENTS), _MOST_FRAGMENTS)
    for length in sorted({min(length, count) for length in lengths}, reverse=True):
        last = count - length
        starts = np.unique(np.linspace(0, last, min(last + 1, most)).round().astype(int))
        at_once = max(1, _ELEMENTS_AT_ONCE // count)
        for block in range(0, len(starts), at_once):
            offset = np.arange(count) - starts[block : block + at_once, np.newaxis]
            yield (offset >= 0) & (offset < length)


class _PairedPoints:
    """Two point sets in a form where fits and distances for many motions are matrix products."""

    def __init__(
        self, moving: Float[np.ndarray, "point 3"], fixed: Float[np.ndarray, "point 3"]
    ) -> None:
        self._moving_centre = moving.mean(axis=0)
        self._fixed_centre = fixed.mean(axis=0)
        moving, fixed = moving - self._moving_centre, fixed - self._fixed_centre
        products = (moving[:, :, np.newaxis] * fixed[:, np.newaxis, :]).reshape(-1, 9)
        squares = np.square(moving).sum(axis=-1) + np.square(fixed).sum(axis=-1)
        self._features = np.concatenate([moving, fixed, products, squares[:, np.newaxis]], axis=1)

    def fit(
        self, collected: Bool[np.ndarray, "motion point"]
    ) -> tuple[Float[np.ndarray, "motion 3 3"], Float[np.ndarray, "motion 3"]]:
        """Superpose on each collection of points."""
        sums = collected.astype(np.float64) @ self._features[:, :15]
        count = collected.sum(axis=-1)[:, np.newaxis]
        moving, fixed = sums[:, 0:3] / count, sums[:, 3:6] / count
        outer = moving[:, :, np.newaxis] * fixed[:, np.newaxis, :]
        covariance = sums[:, 6:15].reshape(-1, 3, 3) - outer * count[:, :, np.newaxis]
        rotation = kabsch_rotation(covariance)
        return rotation, fixed - np.einsum("mij,mj->mi", rotation, moving)

    def squared_distances(
        self,
        rotation: Float[np.ndarray, "motion 3 3"],
        translation: Float[np.ndarray, "motion 3"],
    ) -> _Distances:
        """Give the squared distance of each pair after each motion."""
        turned_back = np.einsum("mji,mj->mi", rotation, translation)
        products = np.swapaxes(rotation, -1, -2).reshape(-1, 9)
        weights = np.concatenate(
            [2 * turned_back, -2 * translation, -2 * products, np.ones((len(rotation), 1))], axis=1
        )
        squared = weights @ self._features.T
        squared += np.square(translation).sum(axis=-1)[:, np.newaxis]
        return np.asarray(np.maximum(squared, 0.0))

    def uncentred(
        self, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, " 3"]
    ) -> Superposition:
        """Give a motion in the coordinates that the points came in."""
        return Superposition(
            rotation, translation + self._fixed_centre - rotation @ self._moving_centre
        )
