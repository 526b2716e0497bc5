"""jackhmmer and phmmer in this process, by pyhmmer.

References: Eddy 2011, PLOS Comput. Biol. 7, e1002195; Larralde & Zeller 2023, Bioinformatics 39,
btad214.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

from itda.errors import DependencyError, InputError
from itda.language import Message
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.sources.hmmer_settings import SETTINGS, Program
from itda.search.sources.rows import check_databases, database_keys, databases_title, gather
from itda.search.sources.steps import Steps

MAXIMUM_ROWS = 10_000


@dataclass(frozen=True)
class HmmerSource:
    """Finds relatives in databases with jackhmmer or phmmer.

    Databases are read a chunk at a time, so that they need not fit in memory, and each is searched
    for itself. E-values are those of a search of the whole database, however it is cut: Z is the
    number of its sequences, and domains are judged once all its reported sequences are counted.

    Attributes:
        databases: What is searched, in turn.
        program: `jackhmmer` with the limits of AlphaFold 3, or `phmmer` with its own.
        iterations: Of jackhmmer; AlphaFold 3 makes 1. More search again with the profile of what
            was found, up to the one that finds nothing new.
        threads: Processor cores to use.
        maximum_rows: Of each database, the best that are kept.
    """

    databases: tuple[Database, ...]
    program: Program = "jackhmmer"
    iterations: int = 1
    threads: int = 1
    maximum_rows: int = MAXIMUM_ROWS

    def __post_init__(self) -> None:
        check_databases("hmmer", self.databases)
        if util.find_spec("pyhmmer") is None:
            raise DependencyError(
                Message("pyhmmer is not installed; jackhmmer and phmmer need it"),
                hint=Message("pip install pyhmmer"),
            )
        if self.iterations < 1 or (self.program == "phmmer" and self.iterations != 1):
            raise InputError(
                Message(
                    "{program} cannot make {iterations} iterations",
                    program=self.program,
                    iterations=self.iterations,
                ),
                hint=Message("phmmer makes 1, jackhmmer 1 or more"),
            )

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        times = f", {self.iterations} iterations," if self.iterations > 1 else ""
        return f"{self.program}{times} in {databases_title(self.databases)}"

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        return {
            "source": self.program,
            "version": f"pyhmmer {metadata.version('pyhmmer')}",
            "settings": asdict(SETTINGS[self.program]),
            "iterations": self.iterations,
            "maximum_rows": self.maximum_rows,
            "databases": database_keys(self.databases),
        }

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search; see `Source.search`.

        Args:
            query: One-letter protein sequence.
            work: Holds the finished shards of the last iteration, and the profiles of those before.
            progress: Called after each chunk of a database.
        """
        # Imports pyhmmer, which the rest of the program does without.
        from itda.search.sources.hmmer_search import HmmerSearch

        steps = Steps(work, query=query, key=self.key())
        total = sum(database.residues for database in self.databases) or 1
        done = 0
        found = []
        with steps.held(progress):
            for database in self.databases:
                told = _span(progress, done / total, (done + database.residues) / total)
                search = HmmerSearch(
                    database,
                    query,
                    program=self.program,
                    limits=SETTINGS[self.program],
                    iterations=self.iterations,
                    threads=self.threads,
                    steps=steps,
                    progress=told,
                )
                found.append((database.name, search.rows()[: self.maximum_rows]))
                done += database.residues
        progress(1.0, "found")
        return gather(query, found)


def _span(progress: Progress, start: float, end: float) -> Progress:
    def told(fraction: float, message: str) -> None:
        progress(min(start + (end - start) * fraction, end), message)

    return told
