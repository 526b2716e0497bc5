"""Builds a database in a folder that nobody reads yet."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from itda.errors import DependencyError, InputError, OutputError
from itda.language import Message
from itda.progress import Progress
from itda.search.databases.compression import BlockReader
from itda.search.databases.database import (
    CHAINS,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    SHARDS,
    Kind,
    content_digest,
)
from itda.search.databases.duplicates import RepeatedNames
from itda.search.databases.fasta import Record, read_records
from itda.search.databases.files_mmseqs import MmseqsFiles
from itda.search.databases.meter import RECORDS_BETWEEN_REPORTS, Meter
from itda.search.databases.rejected import RejectedTable
from itda.search.databases.shards import ShardWriter
from itda.search.databases.sources import FastaSource, OpenedFasta
from itda.search.databases.structures import StructureSource
from itda.search.databases.writing import (
    FileFacts,
    below,
    file_facts,
    folder_bytes,
)
from itda.storage import write_whole
from itda.structure.chains.build import build_dataset
from itda.structure.chains.rejection import REJECTED_TABLE, Rejection, summarise_rejections
from itda.version import itda_version

DEFAULT_SHARD_RESIDUES = 500_000_000
"""MMseqs2 needs about 7 bytes of memory a residue and 1 GB, so such a shard fits into 5 GB."""

INDEX_BYTES = 900_000_000
"""The least size of a shard's index, whatever it holds."""


class BuildOptions(TypedDict, total=False):
    """What `Databases.add_sequences` and `Databases.add_structures` both take; see there."""

    shards: int | None
    shard_residues: int | None
    index: bool
    gpu: bool
    mmseqs: bool
    threads: int


@dataclass(frozen=True)
class BuildSettings:
    """How a database is laid out; see `Databases.add_sequences`."""

    shards: int | None = None
    shard_residues: int | None = None
    index: bool = False
    gpu: bool = False
    mmseqs: bool = True
    skip_bad: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        if self.shards is not None and self.shard_residues is not None:
            raise InputError(
                Message("both a number of shards and their residues were given"),
                hint=Message("give one of them"),
            )
        if (self.index or self.gpu) and not self.mmseqs:
            raise InputError(
                Message("an index or files for a GPU were asked for without MMseqs2 files"),
                hint=Message("leave {--no-mmseqs} out"),
            )
        if self.index and self.gpu:
            raise InputError(
                Message("an index and files for a GPU were asked for together"),
                hint=Message("a search on a GPU uses no index; leave one of the two out"),
            )
        for value in (self.shards, self.shard_residues, self.threads):
            if value is not None and value < 1:
                raise InputError(
                    Message("shards, residues and threads are 1 or more, not {value}", value=value)
                )

    def program(self) -> MmseqsFiles | None:
        """Find MMseqs2 where it is needed.

        Raises:
            DependencyError: It is not installed.
        """
        if not self.mmseqs:
            return None
        try:
            return MmseqsFiles.find(index=self.index, gpu=self.gpu, threads=self.threads)
        except DependencyError as error:
            raise DependencyError(
                error.problem,
                hint=Message(
                    "{hint}; or pass {--no-mmseqs} for a database that hmmer alone searches",
                    hint=error.hint,
                ),
            ) from error


def build_sequences(
    work: Path,
    name: str,
    source: FastaSource,
    settings: BuildSettings,
    progress: Progress,
) -> None:
    """Build a database of FASTA files; see `Databases.add_sequences`.

    Args:
        work: The folder; may hold finished shards of a build that was killed.
        name: Of the database.
        source: Of the sequences.
        settings: How.
        progress: Told how far it is.
    """
    program = settings.program()
    _clear_all_but_shards(work)
    with source.open(work, progress) as opened:
        _build_opened(work, name, opened, settings, program, progress)
    progress(1.0, "done")


def _build_opened(
    work: Path,
    name: str,
    opened: OpenedFasta,
    settings: BuildSettings,
    program: MmseqsFiles | None,
    progress: Progress,
) -> None:
    readers = [BlockReader(path) for path in opened.files]
    _check_room(work, sum(reader.size for reader in readers), settings)
    table = RejectedTable(work / REJECTED_TABLE)
    limit: float = settings.shard_residues or DEFAULT_SHARD_RESIDUES
    begin = opened.begin
    if settings.shards is not None:
        start, begin = begin, begin + 0.25 * (1 - begin)
        limit = _even_limit(
            opened.files,
            settings,
            lambda share: progress(start + (begin - start) * share, "counting"),
        )
    meter = Meter(readers, begin=begin, progress=progress)
    names = RepeatedNames()
    changed = 0
    with table, ShardWriter(work, limit, program, meter.finishing) as writer:
        for reader in readers:
            for item in read_records(reader):
                meter.reading()
                if isinstance(item, Rejection):
                    if not settings.skip_bad:
                        raise _refusal(reader.path, item)
                    table.add(item)
                    continue
                changed += item.changed
                names.add(item.name)
                writer.add(item.header, item.sequence)
        if not writer.has_records:
            raise InputError(
                Message(
                    "no record of {files:,} can be used: {kinds:,}",
                    files=(str(path) for path in opened.files),
                    kinds=table.kinds,
                ),
                hint=Message("give protein sequences in FASTA"),
            )
        writer.finish()
    repeated = names.find(work / shard.folder for shard in writer.finished)
    _write_manifest(
        work,
        name,
        kind="sequences",
        source=opened.source
        or {
            "files": [
                {"name": str(reader.path.absolute()), "bytes": reader.size, "sha256": reader.sha256}
                for reader in readers
            ]
        },
        parameters={"skip_bad": settings.skip_bad},
        counts={
            "changed": changed,
            "repeated_names": repeated.count,
            "repeated_examples": list(repeated.examples),
            "left_out": table.kinds,
        },
        writer=writer,
        program=program,
        chains={},
    )


def build_structures(
    work: Path, name: str, source: StructureSource, settings: BuildSettings, progress: Progress
) -> None:
    """Build a database of structures; see `Databases.add_structures`.

    Args:
        work: The folder; may hold finished shards of a build that was killed.
        name: Of the database.
        source: Of the chains.
        settings: How.
        progress: Told how far it is.
    """
    program = settings.program()
    _clear_all_but_shards(work)
    with source.open(lambda share: progress(0.7 * share, "reading structures")) as opened:
        dataset, rejections = build_dataset(
            work / CHAINS,
            opened.items,
            source=opened.source,
            parameters=opened.parameters,
            overwrite=True,
        )
    (work / CHAINS / REJECTED_TABLE).replace(work / REJECTED_TABLE)
    progress(0.7, "writing sequences")
    limit: float = settings.shard_residues or DEFAULT_SHARD_RESIDUES
    if settings.shards is not None:
        limit = float(dataset.lengths.sum()) / settings.shards
    with ShardWriter(work, limit, program, lambda step: progress(0.8, step)) as writer:
        for chain_id, sequence in zip(dataset.ids, dataset.sequences, strict=True):
            writer.add(chain_id.encode(), sequence.encode())
        writer.finish()
    progress(0.95, "computing digests")
    dates = [date for date in dataset.release_dates if date]
    _write_manifest(
        work,
        name,
        kind="structures",
        source=opened.source,
        parameters=opened.parameters,
        counts={
            "release_dates": {
                "known": len(dates),
                "first": min(dates, default=""),
                "last": max(dates, default=""),
            },
            "left_out": summarise_rejections(rejections),
        },
        writer=writer,
        program=program,
        chains=file_facts(work / CHAINS),
    )
    progress(1.0, "done")


def _clear_all_but_shards(work: Path) -> None:
    """Remove what a killed build left that may not be this one's."""
    for path in work.iterdir():
        if path.is_dir() and path.name != SHARDS:
            shutil.rmtree(path)
        elif not path.is_dir():
            path.unlink()


def _even_limit(
    files: Sequence[Path], settings: BuildSettings, share: Callable[[float], None]
) -> float:
    """Return the residues of a shard when all are cut into equal parts."""
    readers = [BlockReader(path) for path in files]
    total_bytes = sum(reader.size for reader in readers)
    residues = records = 0
    for reader in readers:
        for item in read_records(reader):
            records += 1
            if records % RECORDS_BETWEEN_REPORTS == 0:
                share(sum(each.bytes_read for each in readers) / total_bytes)
            if isinstance(item, Record):
                residues += len(item.sequence)
            elif not settings.skip_bad:
                raise _refusal(reader.path, item)
    return max(residues / (settings.shards or 1), 1.0)


def _refusal(path: Path, item: Rejection) -> InputError:
    return InputError(
        Message(
            "{parent}{what}: {reason}",
            parent=path.parent / item.source,
            what=Message(" ({item})", item=item.id) if item.id else "",
            reason=item.reason,
        ),
        hint=Message(
            "mend the file, or pass {--skip-bad}: such records are then left out and listed "
            "in {rejected_table}",
            rejected_table=REJECTED_TABLE,
        ),
    )


def _check_room(work: Path, source_bytes: int, settings: BuildSettings) -> None:
    """Refuse what cannot fit before any work; compressed files count as if they were plain.

    Raises:
        OutputError: There is too little room.
    """
    needed = source_bytes * (2 if settings.mmseqs else 1)
    if settings.index:
        needed += INDEX_BYTES * (settings.shards or 1)
    free = shutil.disk_usage(work).free + folder_bytes(work)
    if needed > free:
        raise OutputError(
            Message(
                "{parent} has {free:,.0f} MB free; the database needs at least {needed:,.0f} MB",
                parent=work.parent,
                free=free / 1e6,
                needed=needed / 1e6,
            ),
            hint=Message("free some space, or set $ITDA_DATABASES to a larger disk"),
        )


def _write_manifest(
    work: Path,
    name: str,
    *,
    kind: Kind,
    source: Mapping[str, Any],
    parameters: Mapping[str, Any],
    counts: Mapping[str, Any],
    writer: ShardWriter,
    program: MmseqsFiles | None,
    chains: Mapping[str, FileFacts],
) -> None:
    shards = writer.finished
    files: dict[str, FileFacts] = {}
    for shard in shards:
        files.update(shard.files)
    files.update(below(CHAINS, chains))
    files[REJECTED_TABLE] = file_facts(work, REJECTED_TABLE)[REJECTED_TABLE]
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "kind": kind,
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "itda": itda_version(),
        "source": source,
        "parameters": parameters,
        "counts": {
            "sequences": sum(shard.sequences for shard in shards),
            "residues": sum(shard.residues for shard in shards),
            **counts,
        },
        "digest": "",
        "mmseqs": program.facts() if program is not None else None,
        "shards": [
            {
                "folder": shard.folder,
                "sequences": shard.sequences,
                "residues": shard.residues,
            }
            for shard in shards
        ],
        "files": files,
    }
    manifest["digest"] = content_digest(manifest)
    write_whole(work / MANIFEST, f"{json.dumps(manifest, indent=1)}\n".encode())
