"""Iterative profile search with MMseqs2, in the steps of ColabFold's own server.

Reference: Mirdita et al. 2022, Nat. Methods 19, 679; colabfold/mmseqs/search.py,
`mmseqs_search_monomer` with filters on.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from itda.errors import DataError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database, Shard
from itda.search.mmseqs import gpu_is_usable, is_padded, mmseqs_version, run_mmseqs
from itda.search.sources.rows import (
    FoundRow,
    check_databases,
    database_keys,
    databases_title,
    decode_rows,
    encode_rows,
    gather,
)
from itda.search.sources.source import Progress
from itda.search.sources.steps import Steps

SENSITIVITY = 8.0
ITERATIONS = 3
E_VALUE = 0.1
MAXIMUM_TARGETS = 10_000
# Of the alignment with the final profile, before the filters.
ALIGN_E_VALUE = 10.0

_FILTER_HITS = ("--qid", "0", "--qsc", "0.8", "--diff", "0", "--max-seq-id", "1.0")
_FILTER_ROWS = (
    *("--filter-msa", "1", "--filter-min-enable", "1000", "--diff", "3000"),
    *("--qid", "0.0,0.2,0.4,0.6,0.8,1.0", "--qsc", "0", "--max-seq-id", "0.95"),
)
_EXPAND = ("--expansion-mode", "0", "-e", "inf", "--expand-filter-clusters", "1")
# The step that holds the profile which the first shard's search ended with.
_PROFILE_STEP = "profile"
# Parts of the time that a shard takes.
_SEARCH_PART, _ALIGN_PART = 0.9, 0.05
_FIRST_ROUND = ("prefilter", "align")
_ROUND = ("result2profile", "prefilter", "subtractdbs", "align", "mergedbs")

_Told = Callable[[float, float, str], Callable[[float, str], None]]


@dataclass(frozen=True)
class MmseqsSource:
    """Finds relatives in databases with MMseqs2.

    Each shard of each database is searched `iterations` times, each time with the profile of what
    the last search of it found. As ColabFold goes from UniRef30 to the environmental sequences, the
    first shard is searched with the sequence, every further one with the profile that the first one
    ended with. E-value limits are those of the whole database: a shard with a tenth of its residues
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
                f"a profile search needs 2 iterations or more, not {self.iterations}",
                hint=f"ColabFold makes {ITERATIONS}",
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
                        f"database {database.name} was not made for searches on a GPU",
                        hint=f"`itda db remove {database.name}` and add it again with --gpu, or "
                        "search without a GPU",
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

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search; see `Source.search`.

        Args:
            query: One-letter protein sequence.
            work: Holds the finished shards; each is a step.
            progress: Called at least twice a second.
        """
        steps = Steps(work, query=query, key=self.key())
        total = sum(database.residues for database in self.databases) or 1
        with steps.held(progress):
            done = 0
            found = []
            for database in self.databases:
                rows: list[FoundRow] = []
                for number, shard in enumerate(database.shards, start=1):
                    name = database.name
                    if len(database.shards) > 1:
                        name += f" shard {number} of {len(database.shards)}"
                    told = _span(progress, done / total, (done + shard.residues) / total, name)
                    step = f"{database.name}-{number}"
                    rows += self._shard_rows(query, shard, database.residues, steps, step, told)
                    done += shard.residues
                if len(database.shards) > 1:
                    rows.sort(key=lambda row: row.e_value)
                found.append((database.name, rows))
        progress(1.0, "found")
        return gather(query, found)

    def _shard_rows(
        self, query: str, shard: Shard, residues: int, steps: Steps, step: str, told: _Told
    ) -> list[FoundRow]:
        is_first = shard is self.databases[0].shards[0]
        profile = steps.read(_PROFILE_STEP)
        kept = steps.read(step)
        if kept is not None and not (is_first and profile is None):
            return decode_rows(kept)
        with steps.scratch() as scratch:
            run = _ShardSearch(self, shard, shard.residues / residues, scratch, told)
            rows = run.rows(query, None if is_first else profile)
            if is_first:
                steps.write(_PROFILE_STEP, _pack(scratch))
        steps.write(step, encode_rows(rows))
        return rows


@dataclass(frozen=True)
class _ShardSearch:
    source: MmseqsSource
    shard: Shard
    share: float
    scratch: Path
    told: _Told

    def rows(self, query: str, profile: bytes | None) -> list[FoundRow]:
        """Search the shard with the query, or with a packed profile of it."""
        told, target = self.told, self.shard.mmseqs.resolve()
        (self.scratch / "query.fasta").write_text(f">query\n{query}\n", encoding="ascii")
        self._run("createdb", "query.fasta", "query")
        start = "query"
        if profile is not None:
            _unpack(profile, self.scratch)
            self._run("lndb", "query_h", "start_h")
            start = "start"
        self._run(
            *("search", start, target, "found", "temporary", *self._search_options()),
            progress=told(0.0, _SEARCH_PART, "profile search"),
            modules=(*_FIRST_ROUND, *_ROUND * (self.source.iterations - 1)),
        )
        # The profile that the last iteration searched with.
        last = f"temporary/latest/profile_{self.source.iterations - 2}"
        self._run("mvdb", last, "profile")
        self._run("lndb", "query_h", "profile_h")
        hits = "found"
        clustered, members = Path(f"{target}_seq"), Path(f"{target}_aln")
        if Path(f"{clustered}.dbtype").exists() and Path(f"{members}.dbtype").exists():
            self._run(
                *("expandaln", "query", clustered, hits, members, "expanded", *_EXPAND),
                *("--max-seq-id", "0.95", *self._threads),
            )
            target, hits = clustered, "expanded"
        self._run(
            *("align", "profile", target, hits, "aligned", "-e", self._limit(ALIGN_E_VALUE)),
            *("--max-accept", "100000", "--alt-ali", "10", "-a", *self._threads),
            progress=told(_SEARCH_PART, _ALIGN_PART, "alignment"),
        )
        self._run(
            *("filterresult", "query", target, "aligned", "filtered", *_FILTER_HITS),
            *("--filter-min-enable", "100", *self._threads),
        )
        self._run(
            *("result2msa", "query", target, "filtered", "rows", "--msa-format-mode", "6"),
            *(*_FILTER_ROWS, *self._threads),
            progress=told(_SEARCH_PART + _ALIGN_PART, _ALIGN_PART, "rows"),
        )
        self._run(
            *("convertalis", "query", target, "filtered", "headers.tsv"),
            *("--format-output", "target,theader", *self._threads),
        )
        return _read_rows(self.scratch, self.share)

    def _run(
        self,
        *arguments: object,
        progress: Callable[[float, str], None] | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        run_mmseqs(
            [str(argument) for argument in arguments],
            progress=progress or self.told(0.0, 0.0, str(arguments[0])),
            modules=modules,
            folder=self.scratch,
        )

    def _search_options(self) -> tuple[str, ...]:
        source = self.source
        index = Path(f"{self.shard.mmseqs}.idx.dbtype").exists()
        limit = self._limit(source.e_value)
        return (
            *("--num-iterations", str(source.iterations), "-a", "-e", limit, "--e-profile", limit),
            *("--max-seqs", str(source.maximum_targets), "--db-load-mode", "2" if index else "0"),
            *(
                ("--gpu", "1", "--prefilter-mode", "1")
                if source.gpu
                else ("--prefilter-mode", "0", "-s", f"{source.sensitivity:.1f}")
            ),
            *self._threads,
        )

    @property
    def _threads(self) -> tuple[str, ...]:
        return ("--threads", str(self.source.threads))

    def _limit(self, e_value: float) -> str:
        return f"{e_value * self.share:.6g}"


def _span(progress: Progress, start: float, end: float, name: str) -> _Told:
    """Give the parts of one shard's share of the progress."""
    state = {"reached": start}

    def told(part_start: float, part_width: float, what: str) -> Callable[[float, str], None]:
        def report(fraction: float, module: str) -> None:
            reached = start + (end - start) * (part_start + part_width * fraction)
            state["reached"] = max(state["reached"], min(reached, end))
            progress(state["reached"], f"mmseqs in {name}: {what}, {module}")

        return report

    return told


def _read_rows(scratch: Path, share: float) -> list[FoundRow]:
    """Read A3M whose headers are identifier, bits, identity, E-value and six places."""
    lines = (scratch / "headers.tsv").read_text("utf-8", "replace").split("\n")[:-1]
    headers = dict(line.split("\t", 1) for line in lines)
    records = (scratch / "rows").read_text("utf-8", "replace").rstrip("\0").split("\n>")
    rows = []
    for record in records[1:]:
        head, text = record.split("\n", 1)
        identifier, _, _, e_value, *_ = head.split("\t")
        name = headers.get(identifier, identifier).strip()
        rows.append(FoundRow(float(e_value) / share, text.strip().replace("\n", ""), name))
    return rows


def _pack(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for suffix in ("", ".index", ".dbtype"):
            archive.add(folder / f"profile{suffix}", arcname=f"start{suffix}")
    return packed.getvalue()


def _unpack(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
