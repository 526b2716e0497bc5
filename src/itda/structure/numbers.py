"""Columns of text as numbers, and as codes of the few words that there are."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

_CHARGE = re.compile(r"([+-]?)(\d{0,2})(?:\.0*)?([+-]?)")


def read_numbers(
    words: np.ndarray, default: float, convert: Callable[[str], float] = float
) -> tuple[Float[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Read a column of numbers.

    Args:
        words: Text, '' where nothing is told.
        default: Taken there, and for what is no number; NaN tells them apart from it.
        convert: Reads one of them where not all are plain numbers.

    Returns:
        The numbers, and True where something stands that is none.
    """
    try:
        values = words.astype(np.float64)
    except ValueError:
        found, codes = distinct(words)
        numbers = np.array([_converted(word.strip(), default, convert) for word in found])
        values = numbers[codes]
    bad = ~np.isfinite(values)
    values[bad] = default
    return values, bad


def _converted(word: str, default: float, convert: Callable[[str], float]) -> float:
    if not word:
        return default
    try:
        return convert(word)
    except ValueError:
        return np.nan


def distinct(column: np.ndarray | list[str]) -> tuple[list[str], Int[np.ndarray, " row"]]:
    """Give the words of a column once each, as they come, and which of them stands in each row."""
    words = column if isinstance(column, list) else column.tolist()
    index = {word: code for code, word in enumerate(dict.fromkeys(words))}
    return list(index), np.fromiter(map(index.__getitem__, words), np.int64, len(words))


def read_charges(
    words: np.ndarray,
) -> tuple[Int[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Read a column of charges, with the sign before the number, behind it, or alone.

    Args:
        words: Text, '' where nothing is told.

    Returns:
        The charges, 0 where nothing is told, and True where something stands that is none.
    """
    found, codes = distinct(words)
    charges = [_charge(word) for word in found]
    values = np.array([charge or 0 for charge in charges], dtype=np.int64)[codes]
    return values, np.array([charge is None for charge in charges], dtype=bool)[codes]


def _charge(word: str) -> int | None:
    if not word:
        return 0
    found = _CHARGE.fullmatch(word)
    if found is None:
        return None
    before, number, behind = found.groups()
    if (before and behind) or not (before or number or behind):
        return None
    size = int(number) if number else 1
    return -size if "-" in (before, behind) else size


def hybrid_36(word: str, width: int) -> int:
    """Read a number of PDB, which goes on with letters where its columns are full (cctbx).

    >>> hybrid_36("9999", 4), hybrid_36("A000", 4), hybrid_36("a000", 4)
    (9999, 10000, 1223056)

    Raises:
        ValueError: If it is neither.
    """
    if len(word) == width and word[0].isalpha() and word.isalnum() and word.isascii():
        if word == word.upper():
            return int(word, 36) - 10 * int(36 ** (width - 1)) + int(10**width)
        if word == word.lower():
            return int(word, 36) + 16 * int(36 ** (width - 1)) + int(10**width)
    return int(word)


def number_the_rest(
    numbers: Int[np.ndarray, " atom"],
    known: Bool[np.ndarray, " atom"],
    places: list[np.ndarray],
    atom_names: np.ndarray,
) -> None:
    """Number residues that have no number, counted on from the highest.

    Args:
        numbers: Changed where they are not known.
        known: Where they are.
        places: What tells residues apart besides, such as chain and name.
        atom_names: An atom that comes again begins a new residue.
    """
    number = int(numbers[known].max(initial=0))
    rows = np.flatnonzero(~known)
    place: tuple[str, ...] = ()
    seen: set[str] = set()
    columns = [column[rows].tolist() for column in places]
    for row, name, *now in zip(rows, atom_names[rows].tolist(), *columns, strict=True):
        if tuple(now) != place or name in seen:
            number, place, seen = number + 1, tuple(now), set()
        seen.add(name)
        numbers[row] = number
