"""Which source an option of the command line names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from itda.errors import InputError
from itda.language import Message
from itda.search.databases.database import Database
from itda.search.sources.hmmer import HmmerSource
from itda.search.sources.mmseqs import MmseqsSource
from itda.search.sources.none import NoSource
from itda.search.sources.server import ServerSource
from itda.search.sources.source import Source

CHOICES: tuple[tuple[str, str], ...] = (
    ("none", "no alignment"),
    ("mmseqs", "MMseqs2 in the databases of --db"),
    ("hmmer", "jackhmmer in the databases of --db, one iteration, as AlphaFold 3"),
    ("hmmer:jackhmmer:N", "jackhmmer, up to N iterations"),
    ("hmmer:phmmer", "phmmer in the databases of --db"),
    ("server:URL", "a ColabFold server; the sequence leaves this machine"),
)
"""What `choose_source` understands, and what it means."""

_HMMER = re.compile(r"hmmer(?::jackhmmer(?::(?P<iterations>\d{1,2}))?|:(?P<phmmer>phmmer))?")


def choose_source(text: str, *, databases: Sequence[Database] = (), threads: int = 1) -> Source:
    """Give the source that a text names, see `CHOICES`.

    Args:
        text: Without blanks; a path is no source.
        databases: For the sources that search databases of this machine.
        threads: Processor cores that a search may use.

    Raises:
        InputError: The text names no source, a source that searches databases got none, or one that
            searches none got some.
        DataError: A database cannot be searched with the program.
        DependencyError: The program is not installed.
    """
    hmmer = _HMMER.fullmatch(text)
    if text == "mmseqs":
        return MmseqsSource(tuple(databases), threads=threads)
    if hmmer:
        return HmmerSource(
            tuple(databases),
            program="phmmer" if hmmer["phmmer"] else "jackhmmer",
            iterations=int(hmmer["iterations"] or 1),
            threads=threads,
        )
    if text != "none" and not text.startswith("server:"):
        raise InputError(
            Message("{--msa:{text}} names no source of alignments", text=text),
            hint=Message(
                "give {choices:,}", choices=(f"`{name}` ({meaning})" for name, meaning in CHOICES)
            ),
        )
    if databases:
        raise InputError(
            Message(
                "{--msa:{text}} searches no database of this machine, but {--db:names} "
                "{databases:,}",
                text=text,
                databases=(database.name for database in databases),
            ),
            hint=Message("leave out {--db}, or search with {--msa:mmseqs} or {--msa:hmmer}"),
        )
    return NoSource() if text == "none" else ServerSource(text.removeprefix("server:"))
