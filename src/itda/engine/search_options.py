"""From what a user writes to what is searched: `--msa`, `--db`, `--templates` and their limits."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.searches import FoundTemplates, Searches, refuse_searches
from itda.errors import DataError, InputError
from itda.machine import usable_cores

if TYPE_CHECKING:
    from itda.models.family import Family
    from itda.search.alignments.alignment import Alignment
    from itda.search.databases.database import Database
    from itda.search.sources.source import Progress
    from itda.search.templates.selection import TemplateLimits

NONE = "none"
_SERVER = "server:"
_SEARCHED_IN_DATABASES = ("mmseqs", "hmmer")
_WORDS = f"{NONE}, mmseqs, hmmer, hmmer:phmmer or server:URL"


@dataclass(frozen=True)
class SearchOptions:
    """What a user asks to be searched.

    Attributes:
        msa: `none`, `mmseqs`, `hmmer`, `hmmer:phmmer` or `server:URL`; None is `none`.
        databases: Names of sequence databases; where it is empty, the only one there is.
        templates: Name of a database of structures, or `none`.
        max_template_date: The latest day of release, ISO 8601.
        max_template_identity: The largest identity to the query, 0..1.
        template_count: Most templates of a protein; the search's own number where it is None.
        threads: Processor cores; all that this process may use where it is None.
    """

    msa: str | None = None
    databases: Sequence[str] = ()
    templates: str | None = None
    max_template_date: str | None = None
    max_template_identity: float | None = None
    template_count: int | None = None
    threads: int | None = None

    @property
    def searches_alignments(self) -> bool:
        """Whether alignments are to be searched."""
        return self.msa not in (None, NONE)

    @property
    def searches_templates(self) -> bool:
        """Whether templates are to be searched."""
        return self.templates not in (None, NONE)


@dataclass(frozen=True)
class DatabaseTemplates:
    """Templates from a database that `itda db add-structures` made.

    Attributes:
        database: Where they are looked for.
        limits: What is asked of them.
        threads: Processor cores to use.
    """

    database: Database
    limits: TemplateLimits
    threads: int = 1

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        from itda.search.templates.find import choose_program

        program = choose_program(self.database)
        return f"{program} in {self.database.name} ({self.database.sequences:,} structures)"

    @property
    def most(self) -> int:
        """Most templates that it gives a protein."""
        return self.limits.count

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside query and alignment.

        Raises:
            DataError: The database is gone, damaged, or another one has its name.
            DependencyError: No program that searches it is installed.
        """
        from itda.search.databases.database import open_database
        from itda.search.templates.find import template_key

        if open_database(self.database.folder).digest != self.database.digest:
            raise DataError(
                f"database {self.database.name}: was replaced since the run began",
                hint="the same command searches what is there now",
            )
        return template_key(self.database, self.limits)

    def search(
        self, query: str, *, alignment: Alignment | None, work: Path, progress: Progress
    ) -> FoundTemplates:
        """Search; see `TemplateSource`."""
        from itda.search.templates.find import search_templates

        search = search_templates(
            query,
            alignment=alignment,
            database=self.database,
            limits=self.limits,
            work=work,
            progress=progress,
            threads=self.threads,
        )
        refused = search.selection.refused
        return FoundTemplates(
            search.templates, "; ".join(f"{count} {reason}" for reason, count in refused.items())
        )


def split_msa(msa: str | Path | None) -> tuple[str | None, Path | None]:
    """Tell a way to search from the path of an alignment.

    Returns:
        The way and None, or None and the path.

    Raises:
        InputError: It is no way to search and there is nothing at that path.

    Example:
        >>> split_msa("hmmer:phmmer"), split_msa(None)
        (('hmmer:phmmer', None), (None, None))
    """
    if msa is None:
        return None, None
    if isinstance(msa, str) and (
        msa in (NONE, *_SEARCHED_IN_DATABASES) or msa.startswith(("hmmer:", _SERVER))
    ):
        return msa, None
    if not Path(msa).exists():
        close = difflib.get_close_matches(str(msa).lower(), (NONE, *_SEARCHED_IN_DATABASES), n=1)
        raise InputError(
            f"msa {msa}: there is no such file or folder",
            hint=f"did you mean {close[0]}?"
            if close
            else f"give an alignment, a folder of alignments, or one of {_WORDS}",
        )
    return None, Path(msa)


def choose_searches(options: SearchOptions, family: Family) -> Searches:
    """Find the databases and programs that a user asks for.

    Args:
        options: What is asked.
        family: The chosen family.

    Raises:
        CapabilityError: The family takes no alignment or no template.
        InputError: Options contradict one another, or dates are limited in a database without any.
        DataError: A database is missing, damaged or of the wrong kind, or several would do.
        DependencyError: A program is not installed.
    """
    refuse_searches(
        family, alignments=options.searches_alignments, templates=options.searches_templates
    )
    _refuse_contradictions(options)
    threads = options.threads or usable_cores()
    alignments = templates = None
    if options.searches_alignments:
        from itda.search.sources.choose import choose_source

        assert options.msa is not None
        alignments = choose_source(
            options.msa, databases=_sequence_databases(options), threads=threads
        )
    if options.searches_templates:
        assert options.templates is not None
        database, limits = _structure_database(options.templates), _limits(options)
        if limits.max_date is not None:
            from itda.search.templates.find import check_dates

            check_dates(database.chains(), limits, database.name)
        templates = DatabaseTemplates(database, limits, threads)
    return Searches(alignments, templates)


def _refuse_contradictions(options: SearchOptions) -> None:
    msa = options.msa or NONE
    if options.databases and not msa.startswith(_SEARCHED_IN_DATABASES):
        raise InputError(
            f"--db {options.databases[0]}: --msa {msa} searches no database of this machine",
            hint="add --msa mmseqs or --msa hmmer, or leave --db out",
        )
    if options.searches_templates:
        return
    for option, value in (
        ("--max-template-date", options.max_template_date),
        ("--max-template-identity", options.max_template_identity),
        ("--template-count", options.template_count),
    ):
        if value is not None:
            raise InputError(
                f"{option} {value}: no templates are searched",
                hint=f"name a database of structures with --templates, or leave {option} out",
            )


def _sequence_databases(options: SearchOptions) -> list[Database]:
    from itda.search.databases.choose import sequence_databases

    assert options.msa is not None
    if not options.msa.startswith(_SEARCHED_IN_DATABASES):
        return []
    return sequence_databases(options.databases, program=options.msa)


def _structure_database(name: str) -> Database:
    from itda.search.databases.registry import Databases

    databases = Databases()
    database = databases.get(name)
    if database.kind != "structures":
        others = [one.name for one in databases.list() if one.kind == "structures"]
        raise DataError(
            f"--templates {name}: the database holds sequences, no structures",
            hint=f"there are structures in {', '.join(others)}"
            if others
            else "make one with `itda db add-structures NAME DIR`",
        )
    return database


def _limits(options: SearchOptions) -> TemplateLimits:
    from itda.search.templates.selection import TemplateLimits

    limits = TemplateLimits(
        max_date=_date(options.max_template_date), max_identity=options.max_template_identity
    )
    if options.template_count is None:
        return limits
    return dataclasses.replace(limits, count=options.template_count)


def _date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"--max-template-date {text}: is no date", hint="write it as 2021-09-30"
        ) from error
