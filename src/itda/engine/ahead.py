"""Searches for the jobs of a run, several at a time.

A search with many queries costs little more than one with a single query, where the program takes
many at once. So a job's search takes those of the jobs that follow along; what is found for them is
put in the store, where each finds it when its turn comes. The first search takes few, so that the
model has something to fold soon, and each further one takes more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.codec_evidence import ALIGNMENT as ALIGNMENT_CODEC
from itda.engine.gather import ALIGNMENT, alignment_inputs, refuse_changed
from itda.errors import ItdaError
from itda.job.entities import Protein
from itda.search.sources.source import ManySource
from itda.store.workplace import BusyError, Workplace, refuse_to_wait

if TYPE_CHECKING:
    from itda.engine.searches import Searches
    from itda.engine.stages import Stages
    from itda.job.model import Job
    from itda.search.alignments.alignment import Alignment
    from itda.search.sources.source import Progress, Source

FIRST_AT_ONCE = 8
"""Queries of the first search of a run."""
GROWTH = 4
"""How many times as many the next one takes."""
RESIDUES_AT_ONCE = 100_000
"""Of all queries of a search: what lies between its steps grows with them."""


@dataclass(frozen=True)
class Wanted:
    """A protein to be searched.

    Attributes:
        job: Name of the first job that needs it.
        query: One-letter sequence.
    """

    job: str
    query: str


def wanted_alignments(jobs: Iterable[Job]) -> list[Wanted]:
    """List the proteins of some jobs that bring no alignment, each once, in their order."""
    first: dict[str, str] = {}
    for job in jobs:
        for entity in job.entities:
            if isinstance(entity, Protein) and entity.msa is None:
                first.setdefault(entity.sequence, job.name)
    return [Wanted(job, query) for query, job in first.items()]


class AlignmentsAhead:
    """A source that searches several of the queries to come at once.

    Used by one thread. What it found for a later query is in the store when that one's turn comes;
    where it cannot be kept there, it is held here until then.

    Args:
        source: What searches.
        key: What `source.key()` gave when the run began.
        stages: Keeps what is found.
    """

    def __init__(self, source: Source, key: Mapping[str, object], stages: Stages) -> None:
        self._source = source
        self._key = key
        self._stages = stages
        self._coming: dict[str, Wanted] = {}
        self._size = FIRST_AT_ONCE
        self._held: dict[str, Alignment | ItdaError] = {}

    def expect(self, wanted: Iterable[Wanted]) -> None:
        """Say which queries come, in their order; others may be asked too."""
        for one in wanted:
            self._coming.setdefault(one.query, one)

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        return self._source.title

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query; see `Source.key`."""
        return self._source.key()

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search, and take along those that come next; see `Source.search`."""
        found = self._held.pop(query, None)
        if found is None:
            found = self._search(query, work, progress)
        if isinstance(found, ItdaError):
            raise found
        return found

    def _search(self, query: str, work: Path, progress: Progress) -> Alignment | ItdaError:
        for passed in list(itertools.takewhile(lambda coming: coming != query, self._coming)):
            del self._coming[passed]
        self._coming.pop(query, None)
        if not isinstance(self._source, ManySource):
            return self._source.search(query, work=work, progress=progress)
        with contextlib.ExitStack() as places:
            along = self._along(len(query), self._source.most_at_once, places)
            began = time.perf_counter()
            searched = self._source.search_many(
                [query, *(one.query for one, _ in along)],
                works=[work, *(place.folder for _, place in along)],
                progress=progress,
            )
            _, own = next(searched)
            for (one, place), (_, found) in zip(along, searched, strict=True):
                self._keep(one, place, found)
            share = (time.perf_counter() - began) / (1 + len(along))
        for searched_query in (query, *(one.query for one, _ in along)):
            inputs = alignment_inputs(searched_query, self._key)
            self._stages.note_computed(ALIGNMENT, inputs, share)
        return own

    def _along(
        self, residues: int, most: int, places: contextlib.ExitStack
    ) -> list[tuple[Wanted, Workplace]]:
        """Take the next queries that nobody has searched or searches now, with their folders."""
        size, self._size = min(self._size, most), min(self._size * GROWTH, most)
        # Not two searches where one would do.
        limit = min(2 * size, most) - 1
        along: list[tuple[Wanted, Workplace]] = []
        for one in self._coming.values():
            residues += len(one.query)
            if len(along) > limit or residues > RESIDUES_AT_ONCE:
                break
            place = self._place_of(one, places)
            if place is not None:
                along.append((one, place))
        return along if len(along) <= limit else along[: size - 1]

    def _place_of(self, one: Wanted, places: contextlib.ExitStack) -> Workplace | None:
        """Give the folder of a query that is to be searched, unless another process has it."""
        inputs = alignment_inputs(one.query, self._key)
        if one.query in self._held or self._stages.has(ALIGNMENT, inputs):
            return None
        try:
            place = places.enter_context(self._stages.place(ALIGNMENT, inputs, refuse_to_wait))
        except BusyError:
            return None
        # The process that had the folder until now may have finished the search.
        return None if self._stages.has(ALIGNMENT, inputs) else place

    def _keep(self, one: Wanted, place: Workplace, found: Alignment | ItdaError) -> None:
        if isinstance(found, ItdaError):
            self._held[one.query] = found
            return
        refuse_changed(self._source, self._key)
        if found.query != one.query:
            raise RuntimeError(f"{self.title} gave an alignment of another sequence")
        inputs = alignment_inputs(one.query, self._key)
        self._stages.keep(one.job, ALIGNMENT, inputs, found, ALIGNMENT_CODEC)
        if self._stages.has(ALIGNMENT, inputs):
            place.finish()
        else:
            self._held[one.query] = found


def ahead(
    jobs: Iterable[Job],
    searches: Searches,
    keys: Mapping[str, Mapping[str, object]],
    stages: Stages,
) -> Searches:
    """Return searches that take along what the next jobs need.

    Args:
        jobs: In the order in which they are gathered.
        searches: What is searched for each.
        keys: What `searches.key()` gave when the run began.
        stages: Keeps what is found.
    """
    if searches.alignments is None:
        return searches
    alignments = AlignmentsAhead(searches.alignments, keys["alignments"], stages)
    alignments.expect(wanted_alignments(jobs))
    return dataclasses.replace(searches, alignments=alignments)
