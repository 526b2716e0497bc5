"""Fewer rows: by coverage, identity and diversity as HH-suite's `hhfilter`, or drawn at random.

Source of the rules: HH-suite 3.3, `hhfilter` (Remmert et al. 2012, Nat. Methods 9, 173; Steinegger
et al. 2019, BMC Bioinformatics 20, 473).
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from itda.errors import InputError
from itda.language import Message
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.depth import count_same, is_known

MAX_PAIRWISE_IDENTITY = 0.9
# hhfilter's: what is cut off below each threshold, in parts of 1.
_MARGIN = 1e-4
_FIRST_PERCENT = 20
_LARGEST_STEP = 5
_WINDOW = 25


def filter_alignment(
    alignment: Alignment,
    *,
    min_coverage: float = 0.0,
    min_identity_to_query: float = 0.0,
    max_pairwise_identity: float = MAX_PAIRWISE_IDENTITY,
    diff: int = 0,
) -> Alignment:
    """Keep the rows that `hhfilter -cov -qid -id -diff` keeps.

    A row's residues are the known ones that fill columns. It is left out

    1. with fewer residues than `min_coverage` of the columns;
    2. unless more than `min_identity_to_query` of its residues (to 0.01 %) are the query's;
    3. where a kept row of as many residues or more has more than `max_pairwise_identity` (by
       0.01 %) the same residues in the columns in which both have one. Rows are gone through from
       the longest to the shortest, after the query.

    With `diff`, the bound of rule 3 starts at 20 % and rises, up to `max_pairwise_identity`, for
    rows that reach into a stretch of 50 columns where no column has `diff` rows yet: of a deep
    alignment the most diverse rows stay, `diff` a stretch where there are as many.

    What differs from hhfilter: among rows of one length the first of the file goes first
    (hhfilter's sort does not keep their order; in its order the same rows stay); B, U and Z are
    unknown (there they are D, C and E); nothing is cut off at 65,535 rows.

    Args:
        alignment: Row 0 is the query.
        min_coverage: `-cov`, 0..1.
        min_identity_to_query: `-qid`, 0..1.
        max_pairwise_identity: `-id`, 0..1; 1 turns rule 3 off.
        diff: `-diff`; 0, or more than there are rows, turns it off.

    Raises:
        InputError: A bound is not within 0..1, or `diff` below 0.
    """
    for name, value in (
        ("min_coverage", min_coverage),
        ("min_identity_to_query", min_identity_to_query),
        ("max_pairwise_identity", max_pairwise_identity),
    ):
        if not 0 <= value <= 1:
            raise InputError(
                Message("{name} is {value}", name=name, value=value),
                hint=Message("give a part of 1, such as 0.5"),
            )
    if diff < 0:
        raise InputError(
            Message("diff is {diff}", diff=diff),
            hint=Message("give a number of rows, or 0 for no limit"),
        )
    rows = alignment.rows
    residues = is_known(rows).sum(1)
    candidates = (residues > 0) & (residues >= min_coverage * alignment.length)
    if min_identity_to_query >= 0.01:
        different = residues - (is_known(rows) & (rows == rows[0])).sum(1)
        allowed = np.floor((1 - _MARGIN - min_identity_to_query) * residues + 1 - _MARGIN)
        candidates &= different < allowed
    candidates[0] = True
    rest = np.flatnonzero(candidates)[1:]
    order = np.concatenate([[0], rest[np.argsort(-residues[rest], kind="stable")]])
    kept = order[_diverse(rows[order], 100 * max_pairwise_identity, diff, total=len(rows))]
    return alignment.select(np.sort(kept))


def subsample(alignment: Alignment, rows: int, *, seed: int) -> Alignment:
    """Draw rows at random; the query stays, and the rest keep their order.

    A row is drawn by a hash of the seed and its text, so that the draw is the same on every
    machine, and rows that are added or taken away elsewhere do not change the ranks of the others.

    Args:
        alignment: Row 0 is the query.
        rows: How many to keep, the query among them; all where there are no more.
        seed: Another seed draws other rows.

    Raises:
        InputError: `rows` is below 1.
    """
    if rows < 1:
        raise InputError(
            Message("{rows} rows cannot be drawn", rows=rows),
            hint=Message("give 1 or more; the query is one"),
        )
    ranks = sorted(
        range(1, len(alignment)),
        key=lambda row: hashlib.sha256(f"{seed}\t{alignment.texts[row]}".encode()).digest(),
    )
    return alignment.select([0, *sorted(ranks[: rows - 1])])


def _diverse(
    rows: UInt8[np.ndarray, "row column"], most_percent: float, diff: int, *, total: int
) -> Bool[np.ndarray, " row"]:
    """Tell which of the rows, the query first and then from long to short, are kept."""
    known = is_known(rows)
    length = rows.shape[1]
    first, last = known.argmax(1), length - 1 - known[:, ::-1].argmax(1)
    limited = 0 < diff < total
    kept = np.zeros(len(rows), bool)
    # The least part of differing residues that a row has with a kept row before it.
    least = np.full(len(rows), np.inf)
    filled = np.zeros(length, np.int64)
    most_filled = np.zeros(length, np.int64)
    bound = np.full(length, -1.0)
    lacking, step = diff if limited else total, 0
    percent = float(_FIRST_PERCENT) if limited else most_percent
    while percent <= most_percent:
        lacking_before = lacking
        most_filled = np.maximum(most_filled, _most_in_window(filled))
        target = diff if limited else total
        open_columns = most_filled < target
        if not open_columns.any():
            break
        lacking = int((target - most_filled[open_columns]).max())
        bound[open_columns] = percent
        if percent >= 100:
            return np.ones(len(rows), bool)
        for row in np.flatnonzero(~kept):
            row_bound = max(
                _FIRST_PERCENT if limited else most_percent, bound[first[row] : last[row] + 1].max()
            )
            if least[row] < 1 - _MARGIN - row_bound / 100:
                continue
            kept[row] = True
            filled[first[row] : last[row] + 1] += 1
            after = slice(row + 1, None)
            least[after] = np.minimum(
                least[after], _different(rows[after], known[after], rows[row])
            )
        step = max(1, min(_LARGEST_STEP, lacking // (lacking_before - lacking + 1) * step // 2))
        percent += step
    return kept


def _most_in_window(filled: Int64[np.ndarray, " column"]) -> Int64[np.ndarray, " column"]:
    """Give the most rows that a column has within 25 columns of each; at the ends, of the first
    or last 50."""
    length = len(filled)
    return np.array(
        [
            filled[
                max(0, min(length - 2 * _WINDOW, column - _WINDOW)) : min(
                    length, max(2 * _WINDOW, column + _WINDOW + 1)
                )
            ].max()
            for column in range(length)
        ]
    )


def _different(
    rows: UInt8[np.ndarray, "row column"],
    known: Bool[np.ndarray, "row column"],
    row: UInt8[np.ndarray, " column"],
) -> Float64[np.ndarray, " row"]:
    """Give the part of the columns known in both in which each of `rows` differs from `row`."""
    shared = (known & is_known(row)).sum(1, dtype=np.uint16).astype(np.int64)
    different = shared - count_same(rows, row)
    return np.where(shared > 0, different / np.maximum(shared, 1), np.inf)
