"""How deep and diverse an alignment is: coverage, identity to the query, effective sequences."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64, UInt8

from itda.chem.residues import UNKNOWN_INDEX
from itda.search.alignments.alignment import Alignment

IDENTITY = 0.8
# HH-suite's: columns that more than this part of the rows do not reach are left out of a column's
# subalignment, and one of fewer columns takes weights from the whole alignment.
_END_GAP_FRACTION = 0.1
_FEWEST_COLUMNS = 10
_LENGTH_OFFSET = 30
_SMALL_WEIGHT = 1e-8
_BINS = 21


def is_known(rows: Int[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Tell where there is one of the twenty residues, neither a gap nor unknown."""
    return np.asarray(rows < UNKNOWN_INDEX)


def residues_of_columns(alignment: Alignment) -> Int64[np.ndarray, " column"]:
    """Count the rows that have a residue, known or not, in each column; the query counts."""
    return np.asarray(alignment.is_residue.sum(0, dtype=np.int64))


def coverage_of_rows(alignment: Alignment) -> Float64[np.ndarray, " row"]:
    """Give the part of the columns in which each row has a known residue, 0..1."""
    return np.asarray(is_known(alignment.rows).mean(1))


def identity_to_query(alignment: Alignment) -> Float64[np.ndarray, " row"]:
    """Give the part of each row's known residues that the query shares, 0..1; 0 without any."""
    known = is_known(alignment.rows)
    same = (known & (alignment.rows == alignment.rows[0])).sum(1)
    return np.asarray(same / np.maximum(known.sum(1), 1))


def count_same(
    rows: UInt8[np.ndarray, "row column"], row: UInt8[np.ndarray, " column"]
) -> Int64[np.ndarray, " row"]:
    """Count the columns in which each of `rows` has the known residue of `row`."""
    wanted = np.where(is_known(row), row, 255)
    same: Int64[np.ndarray, " row"] = (rows == wanted).sum(1, dtype=np.uint16).astype(np.int64)
    return same


def row_weights(alignment: Alignment, *, identity: float = IDENTITY) -> Float64[np.ndarray, " row"]:
    """Weigh each row by how many others stand for it.

    The weight is 1 / (rows, itself among them, that have `identity` or more of its known residues
    in the same columns). A fragment is thus stood for by a whole sequence, not the other way
    round. Rows without a known residue weigh 0. This is the weighting of EVcouplings (Hopf et al.
    2019, Bioinformatics 35, 1582) with gaps left out; the time grows with the square of the rows.

    Args:
        alignment: The alignment.
        identity: From which part of equal residues on, 0..1.
    """
    rows = alignment.rows
    residues = is_known(rows).sum(1)
    enough = np.maximum(np.ceil(identity * residues - 1e-9), 1)
    neighbours = np.ones(len(rows))
    for first in range(len(rows) - 1):
        same = count_same(rows[first + 1 :], rows[first])
        neighbours[first] += (same >= enough[first]).sum()
        neighbours[first + 1 :] += same >= enough[first + 1 :]
    return np.asarray(np.where(residues > 0, 1.0 / neighbours, 0.0))


def neff(alignment: Alignment, *, identity: float = IDENTITY) -> float:
    """Return the number of effective sequences: the sum of `row_weights`."""
    return float(row_weights(alignment, identity=identity).sum())


def neff_of_columns(
    alignment: Alignment, *, identity: float = IDENTITY
) -> Float64[np.ndarray, " column"]:
    """Sum the weights of the rows that have a known residue in each column.

    AlphaFold 2 draws its accuracy against the median of such depths (Jumper et al. 2021, figure
    5a), with weights from clusters at 80 % identity.
    """
    return np.asarray(row_weights(alignment, identity=identity) @ is_known(alignment.rows))


def neff_entropy(alignment: Alignment) -> float:
    """Return HH-suite's Neff: how many kinds of residue a column has, between 1 and 20.

    For each column, of the rows that have a known residue there: position-based weights (Henikoff
    and Henikoff 1994), with them the frequencies in all columns that at least 90 % of those rows
    reach, and 2 to the mean entropy in bits of these. Neff is the mean over the columns. All rows
    count; HH-suite's programs filter first, by 90 % identity unless told.

    Source: Remmert et al. 2012, Nat. Methods 9, 173; HH-suite 3.3 `hhmake`, whose NEFF line this
    gives for `-id 100 -diff 0`.
    """
    known = is_known(alignment.rows)
    beyond = ~_between_ends(known)
    # A bin for each kind of residue in each column, and one for all that is no known residue.
    places = np.arange(alignment.length) * _BINS + np.where(known, alignment.rows, _BINS - 1)
    whole = _position_weights(places) / (known.sum(1) + _LENGTH_OFFSET)
    values = np.zeros(alignment.length)
    for column in range(alignment.length):
        if column and (known[:, column] == known[:, column - 1]).all():
            values[column] = values[column - 1]
            continue
        taken = np.flatnonzero(known[:, column])
        if not len(taken):
            continue
        reached = np.flatnonzero(beyond[taken].sum(0) <= _END_GAP_FRACTION * len(taken))
        start, end = int(reached[0]), int(reached[-1]) + 1
        part = places[taken, start:end] - start * _BINS
        weights = whole[taken] if end - start < _FEWEST_COLUMNS else _position_weights(part)
        values[column] = 2.0 ** _entropy(part, weights).mean()
    return float(values.mean())


def _between_ends(known: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    forward = np.logical_or.accumulate(known, axis=1)
    backward = np.logical_or.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(forward & backward)


def _position_weights(places: Int[np.ndarray, "row column"]) -> Float64[np.ndarray, " row"]:
    """Sum over the columns 1 / (kinds of residue there x rows that share the row's residue)."""
    columns = places.shape[1]
    counts = np.bincount(places.ravel(), minlength=columns * _BINS).reshape(columns, _BINS)
    kinds = (counts[:, :-1] > 0).sum(1, keepdims=True)
    share = 1.0 / np.maximum(kinds * counts, 1)
    share[:, -1] = 0.0
    return np.asarray(share.ravel()[places].sum(1) + _SMALL_WEIGHT)


def _entropy(
    places: Int[np.ndarray, "row column"], weights: Float64[np.ndarray, " row"]
) -> Float64[np.ndarray, " column"]:
    """Give the entropy in bits of the weighted residues of each column; 0 without any."""
    columns = places.shape[1]
    each = np.repeat(weights, columns)
    counts = np.bincount(places.ravel(), weights=each, minlength=columns * _BINS)
    counts = counts.reshape(columns, _BINS)[:, :-1]
    frequency = counts / np.maximum(counts.sum(1, keepdims=True), 1e-30)
    return np.asarray(-(frequency * np.log2(np.maximum(frequency, 1e-30))).sum(1))
