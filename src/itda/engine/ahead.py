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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from itda.engine.codec_evidence import ALIGNMENT as ALIGNMENT_CODEC
from itda.engine.codec_evidence import TEMPLATES as TEMPLATES_CODEC
from itda.engine.gather import (
    ALIGNMENT,
    TEMPLATES,
    alignment_inputs,
    refuse_changed,
    templates_inputs,
)
from itda.engine.searches import ManyTemplateSource
from itda.errors import ItdaError
from itda.job.entities import Protein
from itda.search.sources.source import ManySource
from itda.store.workplace import BusyError, Workplace, refuse_to_wait

if TYPE_CHECKING:
    from itda.engine.searches import FoundTemplates, Searches
    from itda.engine.stages import Codec, Stage, Stages
    from itda.job.model import Job
    from itda.progress import Progress
    from itda.search.alignments.alignment import Alignment
    from itda.search.sources.source import Source

Value = TypeVar("Value")

FIRST_AT_ONCE = 8
"""Queries of the first search of a run."""
GROWTH = 4
"""How many times as many the next one takes."""
RESIDUES_AT_ONCE = 100_000
"""Of all queries of a search: what lies between its steps grows with them."""
RECENT_CELLS = 20_000_000
"""Rows times columns of the alignments that a search for templates may take along."""


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


def wanted_templates(jobs: Iterable[Job], most: int) -> list[Wanted]:
    """List the proteins of some jobs that bring no alignment and fewer templates than are taken."""
    first: dict[str, str] = {}
    mixed: set[str] = set()
    for job in jobs:
        for entity in job.entities:
            if isinstance(entity, Protein) and len(entity.templates) < most:
                first.setdefault(entity.sequence, job.name)
                if entity.msa is not None:
                    # Its templates depend on a file that is read when its turn comes.
                    mixed.add(entity.sequence)
    return [Wanted(job, query) for query, job in first.items() if query not in mixed]


class _Ahead(Generic[Value]):
    """What is common to searches that take along those that come next.

    Used by one thread. What is found for a later query is in the store when that one's turn comes;
    where it cannot be kept there, it is held here until then.

    Args:
        stage: Whose result is searched.
        codec: How it is kept.
        stages: Keeps it.
    """

    def __init__(self, stage: Stage, codec: Codec[Value], stages: Stages) -> None:
        self._stage = stage
        self._codec = codec
        self._stages = stages
        self._coming: dict[str, Wanted] = {}
        self._size = FIRST_AT_ONCE
        self._held: dict[str, Value | ItdaError] = {}

    def expect(self, wanted: Iterable[Wanted]) -> None:
        """Say which queries come, in their order; others may be asked too."""
        for one in wanted:
            self._coming.setdefault(one.query, one)

    def _found_before(self, query: str) -> Value | None:
        """Return what was found for a query with an earlier one and could not be kept."""
        found = self._held.pop(query, None)
        if isinstance(found, ItdaError):
            raise found
        return found

    def _pass(self, query: str) -> None:
        """Forget the queries up to one: their turn is over."""
        if query in self._coming:
            passed = itertools.takewhile(lambda coming: coming != query, list(self._coming))
            for one in (*passed, query):
                del self._coming[one]

    def _along(
        self,
        residues: int,
        most: int,
        places: contextlib.ExitStack,
        inputs_of: Callable[[Wanted], Mapping[str, object] | None],
    ) -> list[_Along]:
        """Take the next queries that nobody has searched or searches now.

        Args:
            residues: Of the query whose turn it is.
            most: Queries at once.
            places: Gives their folders back.
            inputs_of: All that the result of a query depends on; None where that is not yet known.
        """
        size, self._size = min(self._size, most), min(self._size * GROWTH, most)
        # Not two searches where one would do.
        limit = min(2 * size, most) - 1
        along: list[_Along] = []
        for one in self._coming.values():
            if len(along) > limit or residues + len(one.query) > RESIDUES_AT_ONCE:
                break
            inputs = inputs_of(one)
            place = None if inputs is None else self._place_of(one, inputs, places)
            if inputs is not None and place is not None:
                residues += len(one.query)
                along.append(_Along(one, inputs, place))
        return along if len(along) <= limit else along[: size - 1]

    def _place_of(
        self, one: Wanted, inputs: Mapping[str, object], places: contextlib.ExitStack
    ) -> Workplace | None:
        """Give the folder of a query that is to be searched, unless another process has it."""
        if one.query in self._held or self._stages.has(self._stage, inputs):
            return None
        try:
            place = places.enter_context(self._stages.place(self._stage, inputs, refuse_to_wait))
        except BusyError:
            return None
        # The process that had the folder until now may have finished the search.
        return None if self._stages.has(self._stage, inputs) else place

    def _keep(self, along: _Along, found: Value | ItdaError) -> None:
        if not isinstance(found, ItdaError):
            self._stages.keep(along.one.job, self._stage, along.inputs, found, self._codec)
            if self._stages.has(self._stage, along.inputs):
                along.place.finish()
                return
        self._held[along.one.query] = found

    def _share(self, began: float, own: Mapping[str, object], along: Sequence[_Along]) -> None:
        """Say how long each query took: its part of the whole."""
        share = (time.perf_counter() - began) / (1 + len(along))
        for inputs in (own, *(one.inputs for one in along)):
            self._stages.note_computed(self._stage, inputs, share)


@dataclass(frozen=True)
class _Along:
    """A query that is taken along."""

    one: Wanted
    inputs: Mapping[str, object]
    place: Workplace


class AlignmentsAhead(_Ahead["Alignment"]):
    """A source that searches several of the queries to come at once.

    Args:
        source: What searches.
        key: What `source.key()` gave when the run began.
        stages: Keeps what is found.
    """

    def __init__(self, source: Source, key: Mapping[str, object], stages: Stages) -> None:
        super().__init__(ALIGNMENT, ALIGNMENT_CODEC, stages)
        self._source = source
        self._key = key
        self.recent: dict[str, Alignment] = {}
        """What was found last, as long as it is no more than `RECENT_CELLS`."""

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        return self._source.title

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query; see `Source.key`."""
        return self._source.key()

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search, and take along those that come next; see `Source.search`."""
        before = self._found_before(query)
        if before is not None:
            return before
        self._pass(query)
        if not isinstance(self._source, ManySource):
            return self._source.search(query, work=work, progress=progress)
        self.recent.clear()
        cells = 0
        with contextlib.ExitStack() as places:
            along = self._along(
                len(query),
                self._source.most_at_once,
                places,
                lambda one: alignment_inputs(one.query, self._key),
            )
            began = time.perf_counter()
            searched = self._source.search_many(
                [query, *(each.one.query for each in along)],
                works=[work, *(each.place.folder for each in along)],
                progress=progress,
            )
            _, own = next(searched)
            for each, (_, found) in zip(along, searched, strict=True):
                if not isinstance(found, ItdaError):
                    refuse_changed(self._source, self._key)
                    if found.query != each.one.query:
                        raise RuntimeError(f"{self.title} gave an alignment of another sequence")
                    cells += found.rows.size
                    if cells <= RECENT_CELLS:
                        self.recent[found.query] = found
                self._keep(each, found)
            self._share(began, alignment_inputs(query, self._key), along)
        if isinstance(own, ItdaError):
            raise own
        return own


class TemplatesAhead(_Ahead["FoundTemplates"]):
    """A source of templates that searches for several of the queries to come at once.

    Those whose alignments are searched are taken along where these were just found.

    Args:
        source: What searches.
        key: What `source.key()` gave when the run began.
        stages: Keeps what is found.
        alignments: Where alignments are searched; None where the queries have none.
    """

    def __init__(
        self,
        source: ManyTemplateSource,
        key: Mapping[str, object],
        stages: Stages,
        alignments: AlignmentsAhead | None,
    ) -> None:
        super().__init__(TEMPLATES, TEMPLATES_CODEC, stages)
        self._source = source
        self._key = key
        self._alignments = alignments

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        return self._source.title

    @property
    def most(self) -> int:
        """Most templates that it gives a protein."""
        return self._source.most

    def key(self) -> Mapping[str, object]:
        """All that decides what is found; see `TemplateSource.key`."""
        return self._source.key()

    def search(
        self, query: str, *, alignment: Alignment | None, work: Path, progress: Progress
    ) -> FoundTemplates:
        """Search, and take along those that come next; see `TemplateSource.search`."""
        before = self._found_before(query)
        if before is not None:
            return before
        self._pass(query)
        with contextlib.ExitStack() as places:
            along = self._along(len(query), self._source.most_at_once, places, self._inputs)
            began = time.perf_counter()
            searched = self._source.search_many(
                [query, *(each.one.query for each in along)],
                alignments=[alignment, *(self._alignment(each.one) for each in along)],
                work=work,
                progress=progress,
            )
            _, own = next(searched)
            for each, (_, found) in zip(along, searched, strict=True):
                refuse_changed(self._source, self._key)
                self._keep(each, found)
            self._share(began, templates_inputs(query, alignment, self._key), along)
        if isinstance(own, ItdaError):
            raise own
        return own

    def _alignment(self, one: Wanted) -> Alignment | None:
        return None if self._alignments is None else self._alignments.recent.get(one.query)

    def _inputs(self, one: Wanted) -> Mapping[str, object] | None:
        alignment = self._alignment(one)
        if alignment is None and self._alignments is not None:
            return None
        return templates_inputs(one.query, alignment, self._key)


def ahead(
    jobs: Sequence[Job],
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
    alignments = None
    if searches.alignments is not None:
        alignments = AlignmentsAhead(searches.alignments, keys["alignments"], stages)
        alignments.expect(wanted_alignments(jobs))
        searches = dataclasses.replace(searches, alignments=alignments)
    if isinstance(searches.templates, ManyTemplateSource):
        templates = TemplatesAhead(searches.templates, keys["templates"], stages, alignments)
        templates.expect(wanted_templates(jobs, searches.templates.most))
        searches = dataclasses.replace(searches, templates=templates)
    return searches
