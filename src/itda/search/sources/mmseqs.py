"""Iterative profile search with MMseqs2, in the steps of ColabFold's own server.

Reference: Mirdita et al. 2022, Nat. Methods 19, 679; colabfold/mmseqs/search.py,
`mmseqs_search_monomer` with filters on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from itda.errors import DataError, InputError, ItdaError
from itda.language import Message
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database, Shard
from itda.search.mmseqs import gpu_is_usable, is_padded, mmseqs_version
from itda.search.sources.mmseqs_shard import ShardSearch, ShardSettings, Told
from itda.search.sources.rows import (
    FoundRow,
    check_databases,
    database_keys,
    databases_title,
    decode_rows,
    encode_rows,
    gather,
)
from itda.search.sources.steps import Steps

SENSITIVITY = 8.0
ITERATIONS = 3
E_VALUE = 0.1
MAXIMUM_TARGETS = 10_000

MOST_AT_ONCE = 128
"""Queries of one call. Tables of the database are built once a call and round; with so many queries
they are a few hundredths of the time, and what a kill costs is still bounded."""

PROFILE_STEP = "start"
"""The step that holds the profile which the first shard's search ended with."""


@dataclass(frozen=True)
class MmseqsSource:
    """Finds relatives in databases with MMseqs2.

    Each shard of each database is searched `iterations` times, each time with the profile of what
    the last search of it found. As ColabFold goes from UniRef30 to the environmental sequences, the
    first shard is searched with the sequence, every further one with the profile that the first one
    ended with. Several queries go through each program together, which gives each what it gets
    alone. E-value limits are those of the whole database: a shard with a tenth of its residues
    is searched with a tenth of the limit.

    Attributes:
        databases: What is searched, in turn.
        threads: Processor cores to use.
        sensitivity: MMseqs2's -s; a search on a GPU has none.
        iterations: Searches of each shard.
        e_value: The largest E-value of a hit that goes into the profile.
        maximum_targets: Of each shard, how many pass the prefilter.
        use_gpu: Whether a GPU searches; None where it does if the program, the machine and the
            databases (`itda db add --gpu`) allow it.
    """

    databases: tuple[Database, ...]
    threads: int = 1
    sensitivity: float = SENSITIVITY
    iterations: int = ITERATIONS
    e_value: float = E_VALUE
    maximum_targets: int = MAXIMUM_TARGETS
    use_gpu: bool | None = None

    def __post_init__(self) -> None:
        check_databases("mmseqs", self.databases)
        if self.iterations < 2:
            raise InputError(
                Message(
                    "a profile search needs 2 iterations or more, not {iterations}",
                    iterations=self.iterations,
                ),
                hint=Message("ColabFold makes {iterations}", iterations=ITERATIONS),
            )
        for database in self.databases:
            database.require_mmseqs()

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        return f"mmseqs in {databases_title(self.databases)}"

    @cached_property
    def gpu(self) -> bool:
        """Whether a GPU searches.

        Raises:
            DataError: It was asked for, and a database was not made for it.
        """
        if self.use_gpu is False:
            return False
        for database in self.databases:
            if not all(is_padded(shard.mmseqs) for shard in database.shards):
                if self.use_gpu:
                    raise DataError(
                        Message(
                            "database {database} was not made for searches on a GPU",
                            database=database.name,
                        ),
                        hint=Message(
                            "`itda db remove {database}` and add it again with {--gpu}, or "
                            "search without a GPU",
                            database=database.name,
                        ),
                    )
                return False
        return self.use_gpu or gpu_is_usable()

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query.

        Raises:
            DataError: A database is missing, unfinished or altered.
            DependencyError: MMseqs2 is not installed.
        """
        return {
            "source": "mmseqs",
            "version": mmseqs_version(),
            "prefilter": "gpu" if self.gpu else f"sensitivity {self.sensitivity:g}",
            "iterations": self.iterations,
            "e_value": self.e_value,
            "maximum_targets": self.maximum_targets,
            "databases": database_keys(self.databases),
        }

    @property
    def settings(self) -> ShardSettings:
        """How each shard is searched."""
        return ShardSettings(
            self.threads,
            self.sensitivity,
            self.iterations,
            self.e_value,
            self.maximum_targets,
            self.gpu,
        )

    @property
    def most_at_once(self) -> int:
        """Most queries of one call; see `ManySource`."""
        return MOST_AT_ONCE

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search; see `Source.search`.

        Args:
            query: One-letter protein sequence.
            work: Holds the finished shards; each is a step.
            progress: Called at least twice a second.
        """
        ((_, found),) = self.search_many([query], works=[work], progress=progress)
        if isinstance(found, ItdaError):
            raise found
        return found

    def search_many(
        self, queries: Sequence[str], *, works: Sequence[Path], progress: Progress
    ) -> Iterator[tuple[int, Alignment | ItdaError]]:
        """Search with several queries in one call of each program; see `ManySource.search_many`.

        Args:
            queries: One-letter protein sequences.
            works: Of each query, as for `search`.
            progress: Called at least twice a second.
        """
        key = self.key()
        steps = [
            Steps(work, query=query, key=key) for query, work in zip(queries, works, strict=True)
        ]
        failed: dict[int, ItdaError] = {}
        with contextlib.ExitStack() as held:
            for own in steps:
                held.enter_context(own.held(progress))
            self._search_shards(queries, steps, failed, progress)
            progress(1.0, "found")
            for number, query in enumerate(queries):
                if number in failed:
                    yield number, failed[number]
                    continue
                try:
                    yield number, self._alignment(query, steps[number])
                except ItdaError as error:
                    yield number, error

    def _search_shards(
        self,
        queries: Sequence[str],
        steps: Sequence[Steps],
        failed: dict[int, ItdaError],
        progress: Progress,
    ) -> None:
        """Leave the step of every shard behind for every query, or an error in `failed`."""
        total = sum(database.residues for database in self.databases) or 1
        done = 0
        for database in self.databases:
            for number, shard in enumerate(database.shards, start=1):
                name = database.name
                if len(database.shards) > 1:
                    name += f" shard {number} of {len(database.shards)}"
                step = f"{database.name}-{number}"
                is_first = shard is self.databases[0].shards[0]
                search = _OneShard(self, shard, shard.residues / database.residues, step, is_first)
                waiting = [
                    place
                    for place, own in enumerate(steps)
                    if place not in failed and not search.is_done(own)
                ]
                if len(queries) > 1:
                    name += f", {len(waiting)} queries" if len(waiting) > 1 else ", 1 query"
                told = _span(progress, done / total, (done + shard.residues) / total, name)
                search.run(waiting, queries, steps, failed, told)
                done += shard.residues

    def _alignment(self, query: str, steps: Steps) -> Alignment:
        """Make the alignment of the steps of all shards."""
        found = []
        for database in self.databases:
            rows: list[FoundRow] = []
            for number in range(1, len(database.shards) + 1):
                rows += decode_rows(steps.read(f"{database.name}-{number}") or b"")
            if len(database.shards) > 1:
                rows.sort(key=lambda row: row.e_value)
            found.append((database.name, rows))
        return gather(query, found)


@dataclass(frozen=True)
class _OneShard:
    """The search of one shard, for queries that each keep steps of their own.

    Attributes:
        source: How to search.
        shard: What is searched.
        share: Its part of the whole database.
        step: What its rows are kept as.
        is_first: Whether it is searched with the sequences, and leaves profiles behind.
    """

    source: MmseqsSource
    shard: Shard
    share: float
    step: str
    is_first: bool

    def is_done(self, steps: Steps) -> bool:
        """Whether a query needs this shard no more."""
        lacks_profile = self.is_first and steps.read(PROFILE_STEP) is None
        return steps.read(self.step) is not None and not lacks_profile

    def run(
        self,
        waiting: Sequence[int],
        queries: Sequence[str],
        steps: Sequence[Steps],
        failed: dict[int, ItdaError],
        told: Told,
    ) -> None:
        """Search with some of the queries; where that fails, in halves, so that one fails alone."""
        if not waiting:
            return
        try:
            self._call(waiting, queries, steps, told)
        except DataError as error:
            if len(waiting) == 1:
                failed[waiting[0]] = error
                return
            half = (len(waiting) + 1) // 2
            for part in (waiting[:half], waiting[half:]):
                left = [number for number in part if not self.is_done(steps[number])]
                self.run(left, queries, steps, failed, told)

    def _call(
        self, waiting: Sequence[int], queries: Sequence[str], steps: Sequence[Steps], told: Told
    ) -> None:
        with steps[waiting[0]].scratch() as scratch:
            search = ShardSearch(
                self.shard.mmseqs.resolve(), self.source.settings, self.share, scratch, told
            )
            profiles = None
            if not self.is_first:
                profiles = [steps[number].read(PROFILE_STEP) or b"" for number in waiting]
            found = search.run([queries[number] for number in waiting], profiles)
            for number, (rows, profile) in zip(waiting, found, strict=True):
                if self.is_first:
                    steps[number].write(PROFILE_STEP, profile)
                steps[number].write(self.step, encode_rows(rows))


def _span(progress: Progress, start: float, end: float, name: str) -> Told:
    """Give the parts of one shard's share of the progress."""
    state = {"reached": start}

    def told(part_start: float, part_width: float, what: str) -> Progress:
        def report(fraction: float, module: str) -> None:
            reached = start + (end - start) * (part_start + part_width * fraction)
            state["reached"] = max(state["reached"], min(reached, end))
            progress(state["reached"], f"mmseqs in {name}: {what}, {module}")

        return report

    return told
