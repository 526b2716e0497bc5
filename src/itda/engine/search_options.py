"""From what a user writes to what is searched: `--msa`, `--db`, `--templates` and their limits."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.searches import FoundTemplates, Searches, refuse_searches
from itda.errors import DataError, InputError, ItdaError
from itda.language import Message
from itda.machine import usable_cores

if TYPE_CHECKING:
    from itda.job.options import RunOptions
    from itda.models.family import Family
    from itda.progress import Progress
    from itda.search.alignments.alignment import Alignment
    from itda.search.databases.database import Database
    from itda.search.templates.selection import TemplateLimits

NONE = "none"
_SERVER = "server:"
_SEARCHED_IN_DATABASES = ("mmseqs", "hmmer")
_WORDS = f"{NONE}, mmseqs, hmmer, hmmer:phmmer or server:URL"


TEMPLATE_QUERIES_AT_ONCE = 32
"""Queries of one search for templates: each may have ten thousand hits on the disk."""


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
        from itda.search.templates.find import template_key

        if self.database.reopened().digest != self.database.digest:
            raise DataError(
                Message(
                    "database {database}: was replaced since the run began",
                    database=self.database.name,
                ),
                hint=Message("the same command searches what is there now"),
            )
        return template_key(self.database, self.limits)

    def search(
        self, query: str, *, alignment: Alignment | None, work: Path, progress: Progress
    ) -> FoundTemplates:
        """Search; see `TemplateSource`."""
        searched = self.search_many([query], alignments=[alignment], work=work, progress=progress)
        ((_, found),) = searched
        if isinstance(found, ItdaError):
            raise found
        return found

    @property
    def most_at_once(self) -> int:
        """Most queries of one search; see `ManyTemplateSource`."""
        return TEMPLATE_QUERIES_AT_ONCE

    def search_many(
        self,
        queries: Sequence[str],
        *,
        alignments: Sequence[Alignment | None],
        work: Path,
        progress: Progress,
    ) -> Iterator[tuple[int, FoundTemplates | ItdaError]]:
        """Search for several queries; see `ManyTemplateSource`."""
        from itda.search.templates.find import search_many_templates

        searched = search_many_templates(
            queries,
            alignments=alignments,
            database=self.database,
            limits=self.limits,
            work=work,
            progress=progress,
            threads=self.threads,
        )
        for number, search in searched:
            if isinstance(search, ItdaError):
                yield number, search
                continue
            refused = search.selection.refused
            yield (
                number,
                FoundTemplates(
                    search.templates,
                    "; ".join(f"{count} {reason}" for reason, count in refused.items()),
                    search.selection.found,
                ),
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
            Message("msa {msa}: there is no such file or folder", msa=msa),
            hint=Message("did you mean {close}?", close=close[0])
            if close
            else Message(
                "give an alignment, a folder of alignments, or one of {words}", words=_WORDS
            ),
        )
    return None, Path(msa)


def choose_searches(options: RunOptions, family: Family) -> Searches:
    """Find the databases and programs that a user asks for.

    Args:
        options: What is asked.
        family: The chosen family.

    Raises:
        CapabilityError: The family takes no alignment or no template.
        InputError: Options contradict one another, name a file that is not there, or limit dates in
            a database without any.
        DataError: A database is missing, damaged or of the wrong kind, or several would do.
        DependencyError: A program is not installed.
    """
    way = split_msa(options.msa)[0] or NONE
    templates_of = options.templates or default_templates(family, options.weights)
    refuse_searches(family, alignments=way != NONE, templates=templates_of != NONE)
    _refuse_contradictions(options, way, templates_of)
    threads = options.threads or usable_cores()
    alignments = templates = limits = None
    if way != NONE:
        from itda.search.sources.choose import choose_source

        databases = _sequence_databases(options, way)
        alignments = choose_source(way, databases=databases, threads=threads)
    if templates_of != NONE:
        database, limits = _structure_database(templates_of), _limits(options, family)
        if limits.max_date is not None:
            from itda.search.templates.find import limits_by_dates

            limits_by_dates(database, limits)
        templates = DatabaseTemplates(database, limits, threads)
    return Searches(alignments, templates, limits)


def default_templates(family: Family, weights: str | Path | None) -> str:
    """Name the database that templates are taken from unless the user names another.

    Args:
        family: The chosen one.
        weights: Of the user's own; a card of sizes that know no templates means none.
    """
    from itda.search.databases.known_folds import NAME, has_known_folds

    if "template" not in family.capabilities.inputs or not has_known_folds():
        return NONE
    if weights is None or _know_templates(family, Path(weights)):
        return NAME
    return NONE


def _know_templates(family: Family, weights: Path) -> bool:
    from itda.hub.weights import card_path, read_card
    from itda.models.family import Templated

    if not isinstance(family, Templated) or not card_path(weights).is_file():
        return True
    try:
        return family.knows_templates(read_card(weights).config)
    except ItdaError:
        # What is wrong with a card is for the loading of the weights to say.
        return True


def _refuse_contradictions(options: RunOptions, way: str, templates_of: str) -> None:
    if options.databases and not way.startswith(_SEARCHED_IN_DATABASES):
        raise InputError(
            Message(
                "{--db:{databases}}: {--msa:{way}} searches no database of this machine",
                databases=options.databases[0],
                way=way,
            ),
            hint=Message("add {--msa:mmseqs} or {--msa:hmmer}, or leave {--db} out"),
        )
    if templates_of != NONE:
        return
    for option, value in (
        ("--max-template-date", options.max_template_date),
        ("--max-template-identity", options.max_template_identity),
        ("--template-count", options.template_count),
    ):
        if value is not None:
            raise InputError(
                Message("{option} {value}: no templates are searched", option=option, value=value),
                hint=Message(
                    "name a database of structures with {--templates}, or leave {option} out",
                    option=option,
                ),
            )


def _sequence_databases(options: RunOptions, way: str) -> list[Database]:
    from itda.search.databases.choose import sequence_databases

    if not way.startswith(_SEARCHED_IN_DATABASES):
        return []
    return sequence_databases(options.databases, program=way)


def _structure_database(name: str) -> Database:
    from itda.search.databases.registry import Databases

    databases = Databases()
    database = databases.get(name)
    if database.kind != "structures":
        others = [one.name for one in databases.list() if one.kind == "structures"]
        raise DataError(
            Message("{--templates:{name}}: the database holds sequences, no structures", name=name),
            hint=Message("there are structures in {others:,}", others=others)
            if others
            else Message("make one with `itda db add-structures NAME DIR`"),
        )
    return database


def _limits(options: RunOptions, family: Family) -> TemplateLimits:
    from itda.search.templates.candidates import CANDIDATES
    from itda.search.templates.selection import TemplateLimits

    limits = TemplateLimits(
        # As many whatever the effort, so that the search is found again with another one.
        candidates=CANDIDATES if family.capabilities.template_sets else None,
        max_date=options.max_template_date,
        max_identity=options.max_template_identity,
    )
    if options.template_count is None:
        return limits
    return dataclasses.replace(limits, count=options.template_count)
