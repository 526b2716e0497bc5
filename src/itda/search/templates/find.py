"""From a query to its templates."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from itda.errors import DataError, DependencyError, InputError, ItdaError
from itda.language import Message
from itda.progress import Progress, ignore_progress, part_of
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.databases.known_folds import KnownFolds
from itda.search.mmseqs import BINARY_VARIABLE, find_mmseqs, mmseqs_version
from itda.search.templates.hits import TemplateHit
from itda.search.templates.hmmer import pyhmmer_version, search_targets, search_with_hmmer
from itda.search.templates.mmseqs import (
    FOLDER_PREFIX,
    align_many,
    search_with_profiles,
)
from itda.search.templates.profiles import VERSION as PROFILES_VERSION
from itda.search.templates.profiles import by_likeness, profiles_of
from itda.search.templates.selection import Selection, TemplateLimits, select_hits
from itda.search.templates.settings import SearchSettings
from itda.search.templates.template import Template
from itda.structure.chains.known import KnownChains

HITS_UNDER_LIMITS = 10_000
"""Hits that are aligned where a limit may refuse the nearest ones, such as all antibodies."""

VERSION = 2
"""Raised when the same search with the same settings gives other templates."""

Program = Literal["mmseqs", "hmmer", "profiles"]

_SEARCHED = 0.95
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TemplateSearch:
    """What a search found.

    Attributes:
        templates: Best first.
        selection: The hits they were made of, and why others were refused.
    """

    templates: tuple[Template, ...]
    selection: Selection


def search_templates(
    query: str,
    *,
    alignment: Alignment | None,
    database: Database,
    limits: TemplateLimits,
    work: Path,
    progress: Progress = ignore_progress,
    settings: SearchSettings | None = None,
    threads: int = 1,
) -> TemplateSearch:
    """Find the templates of a query, and tell what was refused.

    Args:
        query: One-letter protein sequence.
        alignment: Relatives of the query, which make the profile that is searched with; None, or
            the query alone, to search with the sequence in rounds.
        database: One that `itda db add-structures` made.
        limits: What is asked of a template.
        work: Folder for what lies between; what a killed search left there is removed.
        progress: Told the fraction done and the step as the search goes on; what it raises stops
            the search.
        settings: Parameters of the search.
        threads: Processor cores to use.

    Returns:
        The templates, none where none was found or allowed, and the reasons of the refused hits.

    Raises:
        DependencyError: Neither MMseqs2 nor pyhmmer is installed.
        DataError: The database is damaged, holds no structures, or the program failed.
        InputError: The limits refuse every chain of the database, or the query is no protein.
    """
    ((_, found),) = search_many_templates(
        [query],
        alignments=[alignment],
        database=database,
        limits=limits,
        work=work,
        progress=progress,
        settings=settings,
        threads=threads,
    )
    if isinstance(found, ItdaError):
        raise found
    return found


def search_many_templates(
    queries: Sequence[str],
    *,
    alignments: Sequence[Alignment | None],
    database: Database,
    limits: TemplateLimits,
    work: Path,
    progress: Progress = ignore_progress,
    settings: SearchSettings | None = None,
    threads: int = 1,
) -> Iterator[tuple[int, TemplateSearch | ItdaError]]:
    """Find the templates of several queries in one search; each gets what it gets alone.

    Args:
        queries: One-letter protein sequences.
        alignments: Of each, as for `search_templates`.
        database: As for `search_templates`, and so are the others.
        limits: What is asked of a template.
        work: Folder for what lies between.
        progress: Told how far all of them are.
        settings: Parameters of the search.
        threads: Processor cores to use.

    Yields:
        Index of each query, in order and without exception, and what was found, or why nothing
        could be; one that fails says nothing of the others.

    Raises:
        DependencyError: Neither MMseqs2 nor pyhmmer is installed.
        DataError: The database is damaged or holds no structures.
        InputError: The limits refuse every chain of the database.
    """
    limits = limits_by_dates(database, limits)
    settings = settings or SearchSettings()
    if limits.max_identity is not None or limits.max_date is not None or limits.exclude_ids:
        settings = replace(settings, max_hits=max(settings.max_hits, HITS_UNDER_LIMITS))
    _remove_leftovers(work)
    program = choose_program(database)
    step = f"templates in {database.name}"
    if len(queries) > 1:
        step += f", {len(queries)} queries"

    def tell(fraction: float, part: str) -> None:
        progress(_SEARCHED * fraction, f"{step}: {part}")

    tell(0.0, program)
    search = _Search(database, limits, settings, threads, work, tell)
    if isinstance(database, KnownFolds):
        found = search.with_profiles(queries, alignments, database)
    elif program == "hmmer":
        found = search.with_hmmer(queries, alignments)
    else:
        found = search.with_mmseqs(queries, alignments)
    (said,) = found.values() if len(found) == 1 else ("found",)
    progress(1.0, f"{step}: {said.selection if isinstance(said, TemplateSearch) else said}")
    yield from sorted(found.items())


@dataclass(frozen=True)
class _Search:
    """One search of a database with several queries.

    What was found of a query is chosen from before the next is read: there may be ten thousand
    hits of each.
    """

    database: Database
    limits: TemplateLimits
    settings: SearchSettings
    threads: int
    work: Path
    tell: Progress

    def with_hmmer(
        self, queries: Sequence[str], alignments: Sequence[Alignment | None]
    ) -> dict[int, TemplateSearch | ItdaError]:
        """Search one query after the other."""
        chains = self.database.chains()
        targets = search_targets(chains)
        found: dict[int, TemplateSearch | ItdaError] = {}
        for number, (query, alignment) in enumerate(zip(queries, alignments, strict=True)):
            try:
                hits = search_with_hmmer(
                    query,
                    alignment,
                    chains,
                    settings=self.settings,
                    targets=targets,
                    threads=self.threads,
                    progress=part_of(self.tell, number / len(queries), (number + 1) / len(queries)),
                )
                found[number] = self._chosen(query, hits)
            except (DataError, InputError) as error:
                found[number] = error
        return found

    def with_profiles(
        self,
        queries: Sequence[str],
        alignments: Sequence[Alignment | None],
        library: KnownFolds,
    ) -> dict[int, TemplateSearch | ItdaError]:
        """Search among the profiles of a library, and once among its sequences.

        A sequence that no evolution made, such as one with many mutations drawn at random, fits no
        profile, and is like its own chain all the same. An alignment knows what one sequence does
        not.
        """
        chains = library.chains()
        targets = search_targets(chains)
        once = replace(self.settings, iterations=1)
        found: dict[int, TemplateSearch | ItdaError] = {}
        searched = profiles_of(chains).search(
            queries, e_value=self.settings.e_value, progress=self.tell
        )
        for number, (hits, query, alignment) in enumerate(
            zip(searched, queries, alignments, strict=True)
        ):
            try:
                by_sequence = search_with_hmmer(
                    query,
                    alignment,
                    chains,
                    settings=once,
                    targets=targets,
                    threads=self.threads,
                )
                merged = merge_hits(hits, by_sequence)
                found[number] = self._chosen(query, merged[: self.settings.max_hits])
            except (DataError, InputError) as error:
                found[number] = error
        return found

    def with_mmseqs(
        self, queries: Sequence[str], alignments: Sequence[Alignment | None]
    ) -> dict[int, TemplateSearch | ItdaError]:
        """Search with all profiles in one call, and with all queries that have none in another."""
        profiles = {
            number: alignment
            for number, alignment in enumerate(alignments)
            if alignment is not None and len(alignment) > 1
        }
        others = [number for number in range(len(queries)) if number not in profiles]
        found: dict[int, TemplateSearch | ItdaError] = {}
        done = 0
        for numbers in (list(profiles), others):
            if numbers:
                told = part_of(self.tell, done / len(queries), (done + len(numbers)) / len(queries))
                found |= self._in_halves(numbers, queries, profiles, told)
                done += len(numbers)
        return found

    def _in_halves(
        self,
        numbers: Sequence[int],
        queries: Sequence[str],
        profiles: Mapping[int, Alignment],
        told: Progress,
    ) -> dict[int, TemplateSearch | ItdaError]:
        """Search with some queries; where that fails, in halves, so that one fails alone."""
        some = [queries[number] for number in numbers]
        try:
            if numbers[0] in profiles:
                searched = search_with_profiles(
                    [profiles[number] for number in numbers],
                    some,
                    self.database,
                    settings=self.settings,
                    threads=self.threads,
                    work=self.work,
                    progress=told,
                )
            else:
                searched = align_many(
                    some,
                    self.database,
                    settings=self.settings,
                    # As few queries are searched, so that each finds what it finds alone.
                    exhaustive=True,
                    threads=self.threads,
                    work=self.work,
                    progress=told,
                )
            return {numbers[place]: self._chosen(some[place], hits) for place, hits in searched}
        except (DataError, InputError) as error:
            if len(numbers) == 1:
                return {numbers[0]: error}
        half = (len(numbers) + 1) // 2
        return {
            **self._in_halves(numbers[:half], queries, profiles, told),
            **self._in_halves(numbers[half:], queries, profiles, told),
        }

    def _chosen(self, query: str, hits: Sequence[TemplateHit]) -> TemplateSearch:
        chains, name = self.database.chains(), self.database.name
        selection = select_hits(query, hits, chains, self.limits)
        templates = tuple(make_template(hit, chains, name) for hit in selection.hits)
        _log.info("templates in %s: %s", name, selection)
        found = tuple(replace(hit, source=name) for hit in selection.found)
        return TemplateSearch(templates, replace(selection, found=found))


def template_key(
    database: Database, limits: TemplateLimits, settings: SearchSettings | None = None
) -> dict[str, object]:
    """Give all that decides which templates are found, beside query and alignment, as JSON values.

    Raises:
        DependencyError: Neither MMseqs2 nor pyhmmer is installed.
    """
    return {
        "version": VERSION,
        "program": _program_title(choose_program(database)),
        "settings": (settings or SearchSettings()).key(),
        "limits": limits.key(),
        "database": database.digest,
    }


def choose_program(database: Database) -> Program:
    """Choose profiles for the library, MMseqs2 where it is there for a database, else HMMER.

    Raises:
        DependencyError: Neither is installed, or `$ITDA_MMSEQS` names no program.
    """
    if isinstance(database, KnownFolds):
        pyhmmer_version()
        return "profiles"
    if database.has_mmseqs:
        try:
            find_mmseqs()
            return "mmseqs"
        except DependencyError:
            # A program that the user names and that cannot be run is not passed over.
            if os.environ.get(BINARY_VARIABLE):
                raise
    pyhmmer_version()
    return "hmmer"


def merge_hits(*searches: Iterable[TemplateHit]) -> tuple[TemplateHit, ...]:
    """Join what several searches found; a chain's hits are those of the first that found it."""
    merged: list[TemplateHit] = []
    for hits in searches:
        known = {hit.chain for hit in merged}
        merged += [hit for hit in hits if hit.chain not in known]
    return by_likeness(merged)


def limits_by_dates(database: Database, limits: TemplateLimits) -> TemplateLimits:
    """Refuse a limit of dates that no chain can pass, since the database knows none.

    Returns:
        The limits; a library that ends before the limit passes whole.

    Raises:
        InputError: There is a limit, and no chain has a release date.
    """
    if limits.max_date is None or limits.allow_unknown_dates:
        return limits
    name = database.name
    if isinstance(database, KnownFolds):
        if limits.max_date >= database.knows_until:
            return replace(limits, allow_unknown_dates=True)
        raise InputError(
            Message(
                "database {name} does not know when its structures were released, only that it "
                "was before {end}; so those released by {max_date} cannot be told from later ones",
                name=name,
                end=database.knows_until.isoformat(),
                max_date=limits.max_date.isoformat(),
            ),
            hint=Message(
                "give {end} or a later day, leave {--max-template-date} out, or use a database "
                "made of mmCIF files",
                end=database.knows_until.isoformat(),
            ),
        )
    if any(database.chains().release_dates):
        return limits
    raise InputError(
        Message(
            "database {name} holds no release dates, so structures released by {max_date} "
            "cannot be told from later ones",
            name=name,
            max_date=limits.max_date.isoformat(),
        ),
        hint=Message(
            "structures of promod3-data have no dates; use a database made of mmCIF files, "
            "or leave out the limit and hold templates off by identity"
        ),
    )


def make_template(hit: TemplateHit, chains: KnownChains, source: str) -> Template:
    """Make a template of a hit.

    Args:
        hit: From this dataset.
        chains: The dataset.
        source: Name of the database.
    """
    chain = chains[hit.chain]
    return Template(
        name=chain.id,
        sequence=chain.sequence,
        coordinates=chain.coordinates,
        atom_mask=chain.atom_mask,
        query_index=hit.query_index,
        template_index=hit.template_index,
        identity=hit.identity,
        release_date=chain.release_date,
        e_value=hit.e_value,
        source=source,
    )


def _remove_leftovers(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob(f"{FOLDER_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _program_title(program: Program) -> str:
    if program == "profiles":
        return f"profiles {PROFILES_VERSION}, hmmer by pyhmmer {pyhmmer_version()}"
    if program == "mmseqs":
        return f"mmseqs {mmseqs_version()}"
    return f"hmmer by pyhmmer {pyhmmer_version()}"
