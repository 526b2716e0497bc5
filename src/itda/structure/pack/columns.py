"""Profile columns as places in a small table of learnt ones.

Square roots of frequencies are clustered by k-means, so that a distance is Hellinger's and rare
residues count. Each column of a profile becomes the place of the nearest one in the table.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt16

COLUMNS = 512
_AT_ONCE = 50_000


def learn_columns(
    profile: Float[np.ndarray, "residue 20"], *, columns: int = COLUMNS, rounds: int = 25
) -> Float[np.ndarray, "column 20"]:
    """Learn a table from some profile rows; the same rows give the same table.

    Args:
        profile: Frequencies, each row of sum 1; more rows than columns.
        columns: Rows of the table.
        rounds: Of k-means.

    Returns:
        Frequencies, each row of sum 1.
    """
    roots = np.sqrt(profile, dtype=np.float32)
    random = np.random.default_rng(0)
    centres = roots[random.choice(len(roots), columns, replace=False)].copy()
    for _ in range(rounds):
        nearest = _nearest(roots, centres)
        counts = np.bincount(nearest, minlength=columns)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, roots)
        # A centre that nothing is near begins anew at a row.
        centres = np.where(
            counts[:, None] > 0,
            sums / np.maximum(counts, 1)[:, None],
            roots[random.choice(len(roots), columns)],
        ).astype(np.float32)
    squares = centres**2
    return np.asarray(squares / squares.sum(axis=1, keepdims=True))


def nearest_columns(
    profile: Float[np.ndarray, "residue 20"], table: Float[np.ndarray, "column 20"]
) -> UInt16[np.ndarray, " residue"]:
    """Give the place of the nearest column of a table for each row of a profile."""
    return _nearest(np.sqrt(profile, dtype=np.float32), np.sqrt(table, dtype=np.float32)).astype(
        np.uint16
    )


def _nearest(
    roots: Float[np.ndarray, "residue 20"], centres: Float[np.ndarray, "column 20"]
) -> Int[np.ndarray, " residue"]:
    half_squares = (centres * centres).sum(axis=1) / 2
    return np.concatenate(
        [
            np.argmin(half_squares - roots[start : start + _AT_ONCE] @ centres.T, axis=1)
            for start in range(0, len(roots), _AT_ONCE)
        ]
    )
