"""What a search finds, from shard to alignment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itda.errors import DataError, InputError
from itda.language import Message
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database, open_database

_INSERTIONS = str.maketrans("", "", "abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class FoundRow:
    """A relative of the query.

    Attributes:
        e_value: Over the whole database, not the shard.
        text: The row as A3M writes it.
        name: Header in the database.
    """

    e_value: float
    text: str
    name: str


def encode_rows(rows: Iterable[FoundRow]) -> bytes:
    """Write rows as lines of tab-separated text."""
    return "".join(f"{row.e_value!r}\t{row.text}\t{row.name}\n" for row in rows).encode()


def decode_rows(content: bytes) -> list[FoundRow]:
    """Read what `encode_rows` wrote."""
    rows = []
    for line in content.decode().split("\n")[:-1]:
        e_value, text, name = line.split("\t", 2)
        rows.append(FoundRow(float(e_value), text, name))
    return rows


def gather(query: str, found: Sequence[tuple[str, Sequence[FoundRow]]]) -> Alignment:
    """Make an alignment of what was found in each database.

    Rows that agree in every column are kept once, where they come first, as AlphaFold 3 does when
    it merges searches; but rows of different species are kept each, since a sequence that two
    species share pairs with the partners of both.

    Args:
        query: The sequence that was searched with.
        found: Name of each database and its rows, the best first.
    """
    alignment = Alignment.from_aligned(
        query,
        ["query", *(row.name for _, rows in found for row in rows)],
        [query, *(row.text for _, rows in found for row in rows)],
    )
    source = np.array(["", *(name for name, rows in found for _ in rows)], dtype=object)
    seen = set()
    kept = []
    for index, (text, species) in enumerate(zip(alignment.texts, alignment.species, strict=True)):
        same = (text.translate(_INSERTIONS), species)
        if same not in seen:
            seen.add(same)
            kept.append(index)
    chosen = alignment.select(kept)
    return Alignment(chosen.names, chosen.rows, chosen.texts, tuple(source[kept]), chosen.species)


def database_keys(databases: Iterable[Database]) -> list[Mapping[str, str]]:
    """Return name and digest of each database, checked against what lies on the disk.

    Raises:
        DataError: A database is missing or unfinished, or is no longer what it was when it was
            opened.
    """
    keys: list[Mapping[str, str]] = []
    for database in databases:
        if open_database(database.folder).digest != database.digest:
            raise DataError(
                Message(
                    "database {database} was replaced after it was opened", database=database.name
                ),
                hint=Message("run again to search the new one"),
            )
        keys.append({"name": database.name, "digest": database.digest})
    return keys


def databases_title(databases: Sequence[Database]) -> str:
    """Name databases for people, with their sizes."""
    return ", ".join(
        f"{database.name} ({database.sequences:,} sequences)" for database in databases
    )


def check_databases(program: str, databases: Sequence[Database]) -> None:
    """Check that there is something to search, each database once.

    Raises:
        InputError: There is none, or one is named twice.
    """
    if not databases:
        raise InputError(
            Message("{program} needs a database to search", program=program),
            hint=Message(
                "name one with {--db}; `itda db list` shows those there are, `itda db add "
                "NAME FASTA` makes one"
            ),
        )
    names = [database.name for database in databases]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                Message("database {name} is named twice", name=name),
                hint=Message("name each database once"),
            )
