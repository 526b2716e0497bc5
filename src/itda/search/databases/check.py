"""Compares a database with its manifest, byte by byte and record by record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itda.errors import DataError, DependencyError
from itda.language import Message
from itda.progress import Progress
from itda.search.databases.database import (
    FASTA,
    MANIFEST,
    MMSEQS,
    Database,
    content_digest,
    open_database,
    read_manifest,
)
from itda.search.databases.files_mmseqs import count_mmseqs_records
from itda.search.databases.known_folds import KnownFolds
from itda.search.mmseqs import mmseqs_version

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        name: Of the database.
        problems: What makes it unfit for a search; none where it is whole.
        notes: What a user may want to know and that does no harm.
        database: Opened; None where there are problems.
    """

    name: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    database: Database | None


def check_library(library: KnownFolds) -> CheckReport:
    """Compare the library of known folds with its digests."""
    try:
        library.chains().verify()
    except DataError as error:
        return CheckReport(library.name, (error.problem,), (), None)
    return CheckReport(library.name, (), (), library)


def check_database(folder: Path, *, progress: Progress) -> CheckReport:
    """Check a database.

    Every file's size and SHA-256, the records and residues of each shard counted anew, MMseqs2's
    own count, the content digest, and for structures that chain i is record i.

    Args:
        folder: Of the database.
        progress: Told how far it is; may raise to stop.
    """
    name = folder.name
    try:
        manifest = read_manifest(folder)
    except DataError as error:
        return CheckReport(name, (error.problem,), (), None)
    try:
        problems = _files(folder, manifest, progress)
        if not problems:
            problems = _content(folder, manifest)
        database = None if problems else open_database(folder)
        notes = _notes(folder, manifest)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return CheckReport(name, (f"{folder / MANIFEST} is damaged: {error!r}",), (), None)
    except (DataError, OSError) as error:
        return CheckReport(name, (str(getattr(error, "problem", error)),), (), None)
    return CheckReport(name, tuple(problems), tuple(notes), database)


def _files(folder: Path, manifest: dict[str, Any], progress: Progress) -> list[str]:
    problems: list[str] = []
    total = sum(facts["bytes"] for facts in manifest["files"].values())
    done = 0
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            problems.append(Message("{path} is missing", path=path))
        elif path.stat().st_size != facts["bytes"]:
            problems.append(
                Message(
                    "{path} has {st_size:,} bytes, the manifest says {facts:,}",
                    path=path,
                    st_size=path.stat().st_size,
                    facts=facts["bytes"],
                )
            )
        else:
            digest = hashlib.sha256()
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
                    done += len(block)
                    progress(done / max(total, 1), f"{folder.name}: {name}")
            if digest.hexdigest() != facts["sha256"]:
                problems.append(
                    Message("{path} was altered: its SHA-256 is not the manifest's", path=path)
                )
    return problems


def _content(folder: Path, manifest: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    for shard in manifest["shards"]:
        place = folder / shard["folder"]
        counted = _count_records(place / FASTA)
        said = (shard["sequences"], shard["residues"])
        if counted != said:
            problems.append(
                Message(
                    "{place} holds {counted:,} records and {counted_2:,} residues, the "
                    "manifest says {said:,} and {said_2:,}",
                    place=place / FASTA,
                    counted=counted[0],
                    counted_2=counted[1],
                    said=said[0],
                    said_2=said[1],
                )
            )
        if manifest["mmseqs"] is not None:
            stored = count_mmseqs_records(place / MMSEQS)
            if stored != counted[0]:
                problems.append(
                    Message(
                        "{place} holds {stored:,} records, not {counted:,}",
                        place=place / MMSEQS,
                        stored=stored,
                        counted=counted[0],
                    )
                )
            if manifest["mmseqs"]["index"] and not (place / f"{MMSEQS}.idx").is_file():
                problems.append(Message("{place}.idx, the index, is missing", place=place / MMSEQS))
    if content_digest(manifest) != manifest["digest"]:
        problems.append(
            Message("{folder} has a digest that is not that of its files", folder=folder / MANIFEST)
        )
    if not problems and manifest["kind"] == "structures":
        problems += _chains(open_database(folder))
    return problems


def _chains(database: Database) -> list[str]:
    dataset = database.dataset()
    index = 0
    for shard in database.shards:
        with shard.fasta.open(encoding="ascii") as stream:
            for header in stream:
                sequence = next(stream).strip()
                if (
                    index >= len(dataset)
                    or header[1:].strip() != dataset.ids[index]
                    or sequence != dataset.sequence(index)
                ):
                    return [f"record {index + 1} is not chain {index + 1} of {dataset.folder}"]
                index += 1
    if index != len(dataset):
        return [f"{dataset.folder} has {len(dataset):,} chains, the FASTA files {index:,}"]
    return []


def _notes(folder: Path, manifest: dict[str, Any]) -> list[str]:
    notes: list[str] = []
    strangers = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).as_posix() not in manifest["files"]
    )
    strangers = [name for name in strangers if name != MANIFEST]
    if strangers:
        notes.append(
            Message(
                "{count} files are not the database's own, such as {folder}",
                count=len(strangers),
                folder=folder / strangers[0],
            )
        )
    if manifest["mmseqs"] is None:
        return [*notes, "no MMseqs2 files: only hmmer searches it"]
    made_by = manifest["mmseqs"]["version"]
    try:
        installed = mmseqs_version()
    except (DependencyError, DataError) as error:
        return [*notes, f"MMseqs2 files of version {made_by}; {error.problem}"]
    if installed != made_by:
        index = Message(" and index") if manifest["mmseqs"]["index"] else ""
        notes.append(
            Message(
                "MMseqs2 files{index} are of version {made_by}, version {installed} is installed",
                index=index,
                made_by=made_by,
                installed=installed,
            )
        )
    return notes


def _count_records(path: Path) -> tuple[int, int]:
    records = residues = 0
    with path.open("rb") as stream:
        for line in stream:
            if line.startswith(b">"):
                records += 1
            else:
                residues += len(line.strip())
    return records, residues
