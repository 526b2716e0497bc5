"""Protein chains laid along each other, with gaps where residues are missing.

Sequence alone cannot tell which of two equal residues beside a gap is the one that was seen. A
chain says more: where its backbone is broken, residues are missing and a gap is likely; where it is
bonded, a gap is an insertion or deletion of evolution, as rare as ever. So gap costs depend on the
place (BLOSUM62, affine gaps of 11 and 1, free ends; cheap where a chain is broken), going on past a
break as if nothing were missing costs too, and residue numbers decide what is left equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from biotite.sequence.align import SubstitutionMatrix
from jaxtyping import Bool, Float, Int, UInt8

_UNIT = 1000
"""Scores are whole numbers, so that the same chains give the same alignment everywhere."""

_GAP_OPEN, _GAP_EXTEND = 11 * _UNIT, _UNIT
_GAP_OPEN_AT_JUMP = 8 * _UNIT
_GAP_OPEN_AT_BREAK, _GAP_EXTEND_AT_BREAK = 3 * _UNIT, _UNIT // 50
_PAST_A_BREAK = 5 * _UNIT
"""For two residues on the sides of a break that are laid along two that are bonded."""

_SAME_NUMBER = 3 * _UNIT // 100
_CLOSE = _UNIT // 5
_CLOSE_SCALE_ANGSTROM = 2.0
_BOUND = _UNIT
"""Where chains are known to be numbered alike, residues of one number score at least this, others
at most."""

_AGREEING_PART = 0.9
_SHARED_PART = 0.5
_CODES = 256
_WIDEST_SHIFT = 10_000_000
_NOWHERE = -(2**30)
_CELLS_AT_ONCE = 20_000_000
_FROM_MATCH, _FROM_ROW_GAP, _FROM_COLUMN_GAP = 0, 1, 2
_ROW_GAP_BITS, _COLUMN_GAP_BITS = 2, 4
"""A cell's origins in one byte: two bits each for a pair and for a gap along row and column."""


@dataclass(frozen=True, eq=False)
class Numbering:
    """Numbers by which the residues of a chain may be told.

    Attributes:
        keys: One whole number for each residue number with its insertion code.
        trusted: Whether the numbers jump wherever the chain is broken. Those of a file that was
            numbered anew do not, and tell little.
    """

    keys: Int[np.ndarray, " residue"]
    trusted: bool = False

    @classmethod
    def from_numbers(
        cls, numbers: Int[np.ndarray, " residue"], codes: Sequence[str] = ()
    ) -> Numbering:
        """Take residue numbers with their insertion codes, if they have any."""
        keys = numbers.astype(np.int64) * _CODES
        if codes:
            keys += np.array([ord(code[0]) % _CODES if code else 0 for code in codes])
        return cls(keys)

    @property
    def jumps(self) -> Bool[np.ndarray, " gap"]:
        """Whether numbers are left out between neighbours."""
        return np.asarray(np.diff(self.keys // _CODES) > 1)

    def given(self, broken: Bool[np.ndarray, " gap"]) -> Numbering:
        """Tell from where the chain is broken whether the numbers are trusted."""
        return Numbering(self.keys, not (broken & ~self.jumps).any())


@dataclass(frozen=True, eq=False)
class Strand:
    """What an alignment sees of a chain.

    Attributes:
        sequence: One letter each, the twenty amino acids and X.
        broken: Whether residues are missing between neighbours.
        jumps: Whether the numbers of neighbours leave out some.
        numberings: Ways in which the residues are numbered, the author's first; none where only
            the sequence is known.
    """

    sequence: str
    broken: Bool[np.ndarray, " gap"]
    jumps: Bool[np.ndarray, " gap"]
    numberings: tuple[Numbering, ...] = ()

    def __len__(self) -> int:
        return len(self.sequence)

    @classmethod
    def of_sequence(cls, sequence: str) -> Strand:
        """Give a chain of which nothing but the sequence is known."""
        nowhere = np.zeros(max(len(sequence) - 1, 0), dtype=bool)
        return cls(sequence, nowhere, nowhere)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for chains that align alike."""
        numbers = tuple((one.keys.tobytes(), one.trusted) for one in self.numberings)
        return self.sequence, self.broken.tobytes(), self.jumps.tobytes(), numbers


def align(
    first: Strand,
    second: Strand,
    *,
    distances: Float[np.ndarray, "first second"] | None = None,
) -> Int[np.ndarray, "pair 2"]:
    """Pair the residues of two chains.

    Args:
        first: A chain.
        second: Another.
        distances: Of their residues in a superposition, in angstrom; they decide between
            alignments that sequence, breaks and numbers leave equal.

    Returns:
        In each row the 0-based residues, of the first and the second, that correspond; both rise.
    """
    if distances is None and (pairs := _without_gaps(first, second)) is not None:
        return pairs
    close = None
    if distances is not None:
        share = _CLOSE / (1.0 + np.square(distances / _CLOSE_SCALE_ANGSTROM))
        close = np.rint(np.nan_to_num(share)).astype(np.int32)[np.newaxis]
    return _align_block(first, [second], close)[0]


def align_many(first: Strand, others: Sequence[Strand]) -> list[Int[np.ndarray, "pair 2"]]:
    """Pair the residues of a chain with those of each of several others, as `align` does."""
    found: dict[tuple[object, ...], Int[np.ndarray, "pair 2"]] = {}
    waiting: dict[tuple[object, ...], Strand] = {}
    for other in others:
        if (pairs := _without_gaps(first, other)) is not None:
            found[other.key] = pairs
        else:
            waiting.setdefault(other.key, other)
    for block in _blocks(first, sorted(waiting.values(), key=len)):
        for other, pairs in zip(block, _align_block(first, block, None), strict=True):
            found[other.key] = pairs
    return [found[other.key] for other in others]


def numbers_decide(first: Strand, second: Strand) -> bool:
    """Tell whether two chains are numbered alike beyond doubt."""
    common = _common_numbers(first, second)
    return common is not None and common.established


def substitution_scores(first: str, second: str) -> Int[np.ndarray, "first second"]:
    """Give the BLOSUM62 score of each residue of one sequence with each of another."""
    code_of, table = _substitutions()
    rows, columns = ([code_of[letter] for letter in one] for one in (first, second))
    return np.asarray(table[rows][:, columns] // _UNIT)


def similarity(first: Strand, second: Strand, pairs: Int[np.ndarray, "pair 2"]) -> float:
    """Give the score of an alignment by BLOSUM62 and the count of its gaps alone, in its units."""
    if len(pairs) == 0:
        return 0.0
    code_of, table = _substitutions()
    letters = [
        [code_of[strand.sequence[place]] for place in places]
        for strand, places in zip((first, second), pairs.T, strict=True)
    ]
    gaps = int((np.diff(pairs, axis=0) > 1).any(axis=-1).sum())
    return float(table[letters[0], letters[1]].sum() - gaps * _GAP_OPEN) / _UNIT


def _without_gaps(first: Strand, second: Strand) -> Int[np.ndarray, "pair 2"] | None:
    """Pair chains of which one lies whole in the other, at one place, and is as broken as it."""
    swapped = len(first) > len(second)
    short, long = (second, first) if swapped else (first, second)
    start = long.sequence.find(short.sequence)
    if start < 0 or long.sequence.find(short.sequence, start + 1) >= 0:
        return None
    if (long.broken[start : start + len(short.broken)] != short.broken).any():
        return None
    place = np.arange(len(short))
    return np.stack([place + start, place] if swapped else [place, place + start], axis=-1)


def _blocks(first: Strand, others: Sequence[Strand]) -> Iterator[list[Strand]]:
    """Part strands, shortest first, so that a block's table stays within memory."""
    block: list[Strand] = []
    for other in others:
        if block and len(first) * len(other) * (len(block) + 1) > _CELLS_AT_ONCE:
            yield block
            block = []
        block.append(other)
    if block:
        yield block


def _align_block(
    first: Strand, others: Sequence[Strand], close: Int[np.ndarray, "other first second"] | None
) -> list[Int[np.ndarray, "pair 2"]]:
    """Align by dynamic programming (Gotoh 1982), rows being residues of the first chain.

    All of `others` go through each row together, padded at their ends.
    """
    width = max(map(len, others)) + 1
    scores = _Scores(first, others, width)
    row_open, row_extend = _gap_costs(first, len(first) + 1)
    costs = [_gap_costs(other, width) for other in others]
    column_open, column_extend = (np.stack(one) for one in zip(*costs, strict=True))
    # Where both chains lack residues at one place, the second gap costs no break of its own.
    row_open_again, column_open_again = (
        np.maximum(opening - _GAP_OPEN_AT_BREAK, 0) for opening in (row_open, column_open)
    )
    row_broken = np.concatenate([[False], first.broken, [False]])
    column_broken = _padded([other.broken for other in others], width - 2, False)
    # What it costs to go on from a place of the first chain that is whole, and from one broken.
    past_break = np.zeros((2, len(others), width - 1), dtype=np.int32)
    past_break[0, :, 1:] = _PAST_A_BREAK * column_broken
    past_break[1, :, 1:] = _PAST_A_BREAK * ~column_broken
    place = np.arange(width, dtype=np.int32)

    origins = np.zeros((len(first) + 1, len(others), width), dtype=np.uint8)
    origins[0, :, 1:] = _FROM_ROW_GAP << _ROW_GAP_BITS
    origins[0, :, 1] = _FROM_MATCH << _ROW_GAP_BITS
    matched = np.full((len(others), width), _NOWHERE, dtype=np.int32)
    row_gap, column_gap = matched.copy(), matched.copy()
    matched[:, 0], row_gap[:, 1:] = 0, 0
    for row in range(1, len(first) + 1):
        origin = origins[row]
        entering = matched[:, :-1]
        if row > 1:
            entering = entering - past_break[int(row_broken[row - 1])]
        entered = np.maximum(entering, row_gap[:, :-1])
        from_row_gap = row_gap[:, :-1] > entering
        from_column_gap = column_gap[:, :-1] > entered
        np.maximum(entered, column_gap[:, :-1], out=entered)
        origin[:, 1:] = np.where(from_column_gap, np.uint8(_FROM_COLUMN_GAP), from_row_gap)
        entered += scores.row(row - 1)
        if close is not None:
            entered += close[:, row - 1]
        opening, again = matched - column_open, row_gap - column_open_again
        going_on = column_gap - column_extend
        best = np.maximum(opening, again)
        column_gap = np.maximum(best, going_on)
        origin |= np.where(
            going_on > best,
            np.uint8(_FROM_COLUMN_GAP << _COLUMN_GAP_BITS),
            (again > opening).view(np.uint8) << np.uint8(_COLUMN_GAP_BITS),
        )
        matched = np.full_like(matched, _NOWHERE)
        matched[:, 1:] = entered
        again = column_gap + (row_open[row] - row_open_again[row])
        reach = np.maximum(matched, again)
        from_column_gap = (again > matched)[:, :-1]
        reach += row_extend[row] * place
        furthest = np.maximum.accumulate(reach, axis=1)
        opened = (reach == furthest)[:, :-1]
        row_gap = np.full_like(matched, _NOWHERE)
        row_gap[:, 1:] = furthest[:, :-1] - (row_open[row] + row_extend[row] * place[:-1])
        opened_from = from_column_gap.view(np.uint8) << np.uint8(_FROM_COLUMN_GAP - 1)
        row_origin = np.where(opened, opened_from, np.uint8(_FROM_ROW_GAP))
        origin[:, 1:] |= row_origin << np.uint8(_ROW_GAP_BITS)
    return [
        _trace(
            origins[:, index],
            len(other),
            [table[index, len(other)] for table in (matched, row_gap, column_gap)],
        )
        for index, other in enumerate(others)
    ]


def _trace(
    origins: UInt8[np.ndarray, "row column"], column: int, ends: Sequence[int]
) -> Int[np.ndarray, "pair 2"]:
    row = len(origins) - 1
    state = int(np.argmax(ends))
    pairs = []
    while row or column:
        origin = int(origins[row, column])
        if state == _FROM_MATCH:
            row, column = row - 1, column - 1
            pairs.append((row, column))
            state = origin & 3
        elif state == _FROM_ROW_GAP:
            column -= 1
            state = origin >> _ROW_GAP_BITS & 3
        else:
            row -= 1
            state = origin >> _COLUMN_GAP_BITS & 3
    return np.array(pairs[::-1], dtype=np.int64).reshape(-1, 2)


def _gap_costs(
    strand: Strand, width: int
) -> tuple[Int[np.ndarray, " boundary"], Int[np.ndarray, " boundary"]]:
    """Give what leaving out residues of another chain costs before, between and after its own."""
    opening, extending = np.zeros((2, width), dtype=np.int32)
    inside = slice(1, len(strand))
    opening[inside] = np.where(strand.jumps, _GAP_OPEN_AT_JUMP, _GAP_OPEN)
    extending[inside] = _GAP_EXTEND
    opening[inside][strand.broken] = _GAP_OPEN_AT_BREAK
    extending[inside][strand.broken] = _GAP_EXTEND_AT_BREAK
    return opening, extending


def _padded(arrays: Sequence[np.ndarray], width: int, value: Any) -> np.ndarray:
    result = np.full((len(arrays), max(width, 0)), value, dtype=arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[: len(array)] = array
    return result


@cache
def _substitutions() -> tuple[dict[str, int], Int[np.ndarray, "letter letter"]]:
    matrix = SubstitutionMatrix.std_protein_matrix()
    letters = matrix.get_alphabet1().get_symbols()
    table = matrix.score_matrix().astype(np.int32) * _UNIT
    return {letter: code for code, letter in enumerate(letters)}, table


class _Scores:
    """What pairing a residue of the first chain with each of the others' scores, row by row."""

    def __init__(self, first: Strand, others: Sequence[Strand], width: int) -> None:
        code_of, table = _substitutions()
        codes = [np.array([code_of[letter] for letter in one.sequence]) for one in others]
        self._letters = [code_of[letter] for letter in first.sequence]
        self._by_letter = table[:, _padded(codes, width - 1, 0)]
        found = [_common_numbers(first, other) for other in others]
        nothing = np.zeros(0, dtype=np.int64)
        self._first = _padded([one.first if one else nothing for one in found], len(first), -1)
        self._second = _padded([one.second if one else nothing for one in found], width - 1, -2)
        self._numbered = any(one is not None for one in found)
        self._established = np.array([one is not None and one.established for one in found])

    def row(self, index: int) -> Int[np.ndarray, "other second"]:
        """Give the scores of one residue of the first chain."""
        result = self._by_letter[self._letters[index]]
        if not self._numbered:
            return np.asarray(result)
        same = self._second == self._first[:, index, np.newaxis]
        if self._established.any():
            bound = np.where(same, np.maximum(result, _BOUND), np.minimum(result, _BOUND))
            result = np.where(self._established[:, np.newaxis], bound, result)
        return np.asarray(result + np.int32(_SAME_NUMBER) * same)


@dataclass(frozen=True, eq=False)
class _CommonNumbers:
    """Numbers of two chains, shifted so that most equal residues have equal ones.

    Attributes:
        first: Of the first chain.
        second: Of the second.
        established: Whether they tell beyond doubt which residues correspond.
    """

    first: Int[np.ndarray, " first"]
    second: Int[np.ndarray, " second"]
    established: bool


def _common_numbers(first: Strand, second: Strand) -> _CommonNumbers | None:
    most = 0
    best = None
    for own in first.numberings:
        for other in second.numberings:
            shift, equal = _commonest_shift(first.sequence, own.keys, second.sequence, other.keys)
            if equal > most:
                keys = own.keys + shift
                shared = int(np.isin(keys, other.keys).sum())
                established = (
                    own.trusted
                    and other.trusted
                    and equal >= _AGREEING_PART * shared
                    and shared >= _SHARED_PART * min(len(first), len(second))
                )
                most, best = equal, _CommonNumbers(keys, other.keys, established)
    return best


def _commonest_shift(
    first: str,
    first_keys: Int[np.ndarray, " first"],
    second: str,
    second_keys: Int[np.ndarray, " second"],
) -> tuple[int, int]:
    """Find the shift of numbers that gives most residues of the same letter the same number.

    Returns:
        What to add to the keys of the first chain, and how many residues then agree.
    """
    letters = [np.frombuffer(one.encode("ascii"), np.uint8) for one in (first, second)]
    low = int(second_keys.min() - first_keys.max())
    span = int(second_keys.max() - first_keys.min()) - low + 1
    if span // _CODES > _WIDEST_SHIFT:
        return 0, 0
    counts = np.zeros(span // _CODES + 2, dtype=np.int64)
    base = low // _CODES
    for letter in sorted(set(first) & set(second) - {"X"}):
        own, other = (
            keys[one == ord(letter)]
            for keys, one in zip((first_keys, second_keys), letters, strict=True)
        )
        steps, rest = np.divmod(np.subtract.outer(other, own).ravel(), _CODES)
        counts += np.bincount(steps[rest == 0] - base, minlength=len(counts))
    most = int(counts.max())
    shifts = (np.flatnonzero(counts == most) + base).tolist()
    return min(shifts, key=lambda shift: (abs(shift), shift)) * _CODES, most
