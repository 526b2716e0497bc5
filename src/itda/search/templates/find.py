"""From a query to its templates."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from itda.errors import DependencyError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.mmseqs import BINARY_VARIABLE, find_mmseqs, mmseqs_version
from itda.search.sources.source import Progress
from itda.search.templates.hits import TemplateHit
from itda.search.templates.hmmer import pyhmmer_version, search_with_hmmer
from itda.search.templates.mmseqs import (
    FOLDER_PREFIX,
    align_many,
    search_with_profile,
)
from itda.search.templates.progress import ignore_progress
from itda.search.templates.selection import Selection, TemplateLimits, select_hits
from itda.search.templates.settings import SearchSettings
from itda.search.templates.template import Template
from itda.structure.chains.dataset import ChainDataset

HITS_UNDER_LIMITS = 10_000
"""Hits that are aligned where a limit may refuse the nearest ones, such as all antibodies."""

VERSION = 2
"""Raised when the same search with the same settings gives other templates."""

Program = Literal["mmseqs", "hmmer"]

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
    chains = database.chains()
    check_dates(chains, limits, database.name)
    settings = settings or SearchSettings()
    if limits.max_identity is not None or limits.max_date is not None or limits.exclude_ids:
        settings = replace(settings, max_hits=max(settings.max_hits, HITS_UNDER_LIMITS))
    _remove_leftovers(work)
    program = choose_program(database)
    step = f"templates in {database.name}"

    def tell(fraction: float, part: str) -> None:
        progress(_SEARCHED * fraction, f"{step}: {part}")

    tell(0.0, program)
    hits: tuple[TemplateHit, ...]
    if program == "hmmer":
        hits = search_with_hmmer(
            query, alignment, chains, settings=settings, threads=threads, progress=tell
        )
    elif alignment is not None and len(alignment) > 1:
        hits = search_with_profile(
            alignment, query, database, settings=settings, threads=threads, work=work, progress=tell
        )
    else:
        found = align_many(
            [query], database, settings=settings, threads=threads, work=work, progress=tell
        )
        ((_, hits),) = found
    selection = select_hits(query, hits, chains, limits)
    templates = tuple(make_template(hit, chains, database.name) for hit in selection.hits)
    _log.info("%s: %s", step, selection)
    progress(1.0, f"{step}: {selection}")
    return TemplateSearch(templates, selection)


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
    """Choose MMseqs2 where it is installed and the database has its files, else HMMER.

    Raises:
        DependencyError: Neither is installed, or `$ITDA_MMSEQS` names no program.
    """
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


def check_dates(chains: ChainDataset, limits: TemplateLimits, name: str) -> None:
    """Refuse a limit of dates that no chain can pass, since the database knows none.

    Raises:
        InputError: There is a limit, and no chain has a release date.
    """
    if limits.max_date is None or limits.allow_unknown_dates or any(chains.release_dates):
        return
    raise InputError(
        f"database {name} holds no release dates, so structures released by "
        f"{limits.max_date.isoformat()} cannot be told from later ones",
        hint="structures of promod3-data have no dates; use a database made of mmCIF files, or "
        "leave out the limit and hold templates off by identity",
    )


def make_template(hit: TemplateHit, chains: ChainDataset, source: str) -> Template:
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
    if program == "mmseqs":
        return f"mmseqs {mmseqs_version()}"
    return f"hmmer by pyhmmer {pyhmmer_version()}"
