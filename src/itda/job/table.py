"""Tables of sequences (CSV, TSV): a first line that names the columns, then one record a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from itda.errors import InputError
from itda.job.fasta import FastaRecord
from itda.language import Message

_DELIMITERS = "\t,;|"
_SMART = str.maketrans("\u201c\u201d\u201e\u00a0", '""" ')
_SEQUENCE = re.compile(r"(.*_)?(sequences?|seq|aaseq|aa)")
_HEAVY = re.compile(r"(.*_)?(heavy|vh|h_chain|hc)(_.*)?")
_LIGHT = re.compile(r"(.*_)?(light|vl|l_chain|lc)(_.*)?")
_NAMES = (
    *("id", "name", "identifier", "record", "entry", "entry_name", "accession", "title", "protein"),
    *("target", "header", "gene", "uniprot", "pdb", "description"),
)
_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Where a table has what.

    Attributes:
        delimiter: Between columns.
        sequence: Columns of the sequence; two where heavy and light chain have one each.
        name: Column of the name; None where there is none.
        left_out: Names of those that are not read.
    """

    delimiter: str
    sequence: tuple[int, ...]
    name: int | None
    left_out: tuple[str, ...]


def columns_of(first_line: str) -> Columns | None:
    """Find the columns of a table in its first line; None where it names no sequence.

    Raises:
        InputError: Several columns could be the sequence.

    >>> columns_of("id,sequence")
    Columns(delimiter=',', sequence=(1,), name=0, left_out=())
    """
    line = first_line.translate(_SMART)
    for delimiter in _DELIMITERS:
        try:
            names = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        except csv.Error:
            return None
        if len(names) == 1 and delimiter != _DELIMITERS[-1]:
            continue
        keys = [re.sub(r"\W+", "_", name.lower()).strip("_") for name in names]
        sequence = _sequence_columns(keys, names)
        if not sequence:
            continue
        rest = [place for place in range(len(names)) if place not in sequence]
        named = [keys.index(key) for key in _NAMES if key in keys and keys.index(key) in rest]
        name = named[0] if named else (rest[0] if rest else None)
        left_out = tuple(names[place] for place in rest if place != name)
        return Columns(delimiter, sequence, name, left_out)
    return None


def _sequence_columns(keys: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    exact = [place for place, key in enumerate(keys) if key in ("sequence", "seq", "sequences")]
    heavy = [place for place, key in enumerate(keys) if _HEAVY.fullmatch(key)]
    light = [place for place, key in enumerate(keys) if _LIGHT.fullmatch(key)]
    found = exact or [place for place, key in enumerate(keys) if _SEQUENCE.fullmatch(key)]
    if not exact and len(heavy) == len(light) == 1:
        return (heavy[0], light[0])
    if len(found) > 1:
        listed = " and ".join(names[place] for place in found[:2])
        raise InputError(
            Message("the columns {listed} could both hold the sequence", listed=listed),
            hint=Message("call one column `sequence`; the chains of a complex stand in it as A:B"),
        )
    return tuple(found)


def table_records(lines: Iterable[str], notes: list[str]) -> Iterator[FastaRecord]:
    """Read the rows of a table as records, their chains parted by `:`.

    Args:
        lines: Of the file.
        notes: Columns that are not read are told here.

    Raises:
        InputError: The first line names no column of sequences, or several.
    """
    stream = (line.translate(_SMART) for line in lines)
    skipped, first = 1, next(stream, "")
    while not first.strip() or first.startswith("#") or _SEPARATOR_LINE.fullmatch(first.strip()):
        skipped, first = skipped + 1, next(stream)
    columns = columns_of(first)
    if columns is None:
        raise InputError(
            Message("no column is called `sequence`"),
            hint=Message("begin with the line id,sequence"),
        )
    if columns.left_out:
        notes.append(Message("columns that are not read: {left_out:,}", left_out=columns.left_out))
    reader = csv.reader(stream, delimiter=columns.delimiter)
    index = 0
    line = skipped + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                index += 1
                yield _record(row, columns, index, line)
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            Message("the table cannot be read at line {line}: {error}", line=line, error=error),
            hint=Message("close each quote, or give the sequences as FASTA"),
        ) from error


def _record(row: Sequence[str], columns: Columns, index: int, line: int) -> FastaRecord:
    cells = [row[place].strip() if place < len(row) else "" for place in columns.sequence]
    name = "" if columns.name is None or columns.name >= len(row) else row[columns.name].strip()
    text = ":".join(cells) if any(cells) else ""
    parts = [(line, part) for part in text.splitlines() if part.strip()]
    return FastaRecord(index, line, "", parts, label=name)
