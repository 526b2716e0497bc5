"""Rows of an alignment as people and programs write them, brought to A3M.

What is layout and what is a letter is settled as for the sequence that is folded (`itda.job`), so
that an alignment fits its sequence whatever oddity both have.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from itda.errors import InputError
from itda.job.layout import plain
from itda.job.letters import stands_for
from itda.language import Message
from itda.search.alignments.alignment import LOWER_CASE, Molecule

GAPS = "-._~"
STOP = "*"
NO_INSERTIONS = str.maketrans("", "", LOWER_CASE)
_NO_GAPS_OF_COLUMNS = str.maketrans("", "", "-" + STOP)
_TO_GAP = str.maketrans(dict.fromkeys(GAPS, "-"))
_TO_NOTHING = str.maketrans(dict.fromkeys(GAPS + STOP, ""))
_DIGIT = re.compile(r"\d")
_NUMBERS = re.compile(r"^\s*\d+\s+|\s+\d+\s*$")
_TO_RNA = str.maketrans("Tt", "Uu")
_SHOWN_PLACES = 5


def letters_of(line: str) -> str:
    """One line of a row without blanks, and without the residue numbers at its ends.

    >>> letters_of("  1 MKT-AY IA\\u2013K  10")
    'MKT-AYIA-K'
    """
    text = plain(line)
    if _DIGIT.search(text):
        text = _NUMBERS.sub("", _NUMBERS.sub("", text))
    return "".join(text.split())


def to_upper(rows: Sequence[str], notes: list[str]) -> list[str]:
    """Read rows that are in lower case only, where it says nothing, as upper case."""
    if any(row != row.lower() for row in rows):
        return list(rows)
    if any(row != row.upper() for row in rows):
        notes.append(Message("all rows are in lower case, which was read as upper case"))
    return [row.upper() for row in rows]


def by_first_row(names: Sequence[str], rows: Sequence[str], where: str) -> list[str]:
    """Turn rows of one length into A3M whose columns are the residues of the first.

    Raises:
        InputError: A row has another length than the first.
    """
    for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                Message(
                    "{where}: row {number} ({name}) has {count} columns, row 1 {number_of_rows}",
                    where=where,
                    number=number,
                    name=name[:40],
                    count=len(row),
                    number_of_rows=len(rows[0]),
                ),
                hint=Message("rows of Stockholm, CLUSTAL and aligned FASTA have one length"),
            )
    runs = _runs([letter in GAPS for letter in rows[0]])
    return [
        "".join(
            row[start:end].translate(_TO_NOTHING).lower()
            if is_inserted
            else row[start:end].translate(_TO_GAP).upper()
            for start, end, is_inserted in runs
        )
        for row in rows
    ]


def from_a3m(names: Sequence[str], rows: Sequence[str], where: str, notes: list[str]) -> list[str]:
    """Read rows of A3M, A2M, or aligned FASTA, told apart by their lengths and their letters.

    Rows of one length without lower case are aligned FASTA where the first has gaps. A dot pads an
    insertion; where rows only fit with them counted, dots are gaps.
    """
    of_one_length = len({len(row) for row in rows}) == 1
    has_insertions = any(row != row.upper() for row in rows)
    if of_one_length and not has_insertions and any(mark in rows[0] for mark in GAPS):
        return by_first_row(names, rows, where)
    rows = [row.replace("~", "-").replace("_", "-") for row in rows]
    if not any("." in row for row in rows):
        return rows
    padded = [row.replace(".", "") for row in rows]
    if _fit(padded):
        return padded
    gaps = [row.replace(".", "-") for row in rows]
    if _fit(gaps):
        notes.append(Message("dots were read as gaps"))
        return gaps
    return padded


def without_stops(texts: Sequence[str], notes: list[str]) -> list[str]:
    """Take the stop (`*`) at the end of the first row out of the columns, and those of others.

    Args:
        texts: Rows of A3M.
        notes: What was done is added.
    """
    columns = [text.translate(NO_INSERTIONS) for text in texts]
    stops = len(columns[0]) - len(columns[0].rstrip(STOP))
    length = len(columns[0]) - stops
    if not any(column.endswith(STOP) for column in columns):
        return list(texts)
    changed = [
        _with_end_inserted(text, len(column) - length)
        if length < len(column) <= length + max(stops, 1) and (stops or column.endswith(STOP))
        else text
        for text, column in zip(texts, columns, strict=True)
    ]
    if changed != list(texts):
        notes.append(Message("'*' (stop) at the end of rows removed"))
    return changed


def as_rna(texts: Sequence[str], notes: list[str]) -> list[str]:
    """Read rows in the letters of DNA as those of RNA."""
    changed = [text.translate(_TO_RNA) for text in texts]
    if changed != list(texts):
        notes.append("T was read as U")
    return changed


def agree(columns: str, query: str, molecule: Molecule = "protein") -> bool:
    """Whether the first row of an alignment is a sequence, up to rare and unknown letters."""
    same = stands_for if molecule == "protein" else _is_base
    return len(columns) == len(query) and all(map(same, columns, query))


def _is_base(letter: str, other: str) -> bool:
    """Whether two letters of RNA may be one base; N is what `--ambiguous x` makes of others."""
    return letter == other or (other == "N" and letter not in "ACGU-")


def as_query(text: str, query: str, notes: list[str]) -> str:
    """Give the first row the letters of the sequence that it is; see `agree`."""
    letters = iter(query)
    changed = "".join(letter if letter in LOWER_CASE else next(letters) for letter in text)
    places = [
        f"{column} at {place} read as {letter}"
        for place, (column, letter) in enumerate(
            zip(text.translate(NO_INSERTIONS), query, strict=True), start=1
        )
        if column != letter
    ]
    if places:
        more = len(places) - _SHOWN_PLACES
        notes.append(
            Message(
                "row 1 is the sequence but for rare letters: {places:,}{what}",
                places=places[:_SHOWN_PLACES],
                what=Message(" and {more} more", more=more) if more > 0 else "",
            )
        )
    return changed


def _fit(texts: Sequence[str]) -> bool:
    return len({len(text.translate(NO_INSERTIONS)) for text in texts}) == 1


def _with_end_inserted(text: str, count: int) -> str:
    """Turn the last columns of a row into insertions."""
    place = len(text)
    while count:
        place -= 1
        count -= text[place] not in LOWER_CASE
    return text[:place] + text[place:].translate(_NO_GAPS_OF_COLUMNS).lower()


def _runs(flags: Sequence[bool]) -> list[tuple[int, int, bool]]:
    """Return the stretches of equal flags: start, end after the last, and the flag."""
    runs, start = [], 0
    for flag, group in itertools.groupby(flags):
        end = start + sum(1 for _ in group)
        runs.append((start, end, flag))
        start = end
    return runs
