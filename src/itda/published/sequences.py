"""Sequences of a published file: FASTA as it is, or the clusters of a ColabFold archive."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from itda.errors import DataError, InputError
from itda.hub.fetch import OnTransfer
from itda.language import Message
from itda.progress import Progress
from itda.published.bring import Brought, bring
from itda.published.plan import Plan
from itda.search.databases.compression import BlockReader
from itda.search.databases.sources import OpenedFasta
from itda.search.mmseqs import run_mmseqs

_COPY_BYTES = 1 << 20
# As MMseqs2 numbers them.
_HEADERS, _AMINO_ACIDS = "12", "0"
_FETCHED = 0.3
_CONVERTED = 0.7


@dataclass(frozen=True)
class PublishedFasta:
    """Sequences that are fetched for one build.

    Attributes:
        plan: Of the fetch.
        folder: Where the file comes to be, and where a stopped fetch goes on.
        on_transfer: Told the bytes so far; may raise to stop.
    """

    plan: Plan
    folder: Path
    on_transfer: OnTransfer

    @contextmanager
    def open(self, work: Path, progress: Progress) -> Iterator[OpenedFasta]:
        """Open; see `FastaSource`.

        Raises:
            DownloadError: The file cannot be fetched, or is not as published; it was removed.
            OutputError: The disk is full.
            DataError: The archive lacks what is needed, or MMseqs2 failed.
        """
        progress(0.0, "fetching")
        brought = bring(self.plan, self.folder, self.on_transfer, progress)
        source = source_of(self.plan, brought)
        try:
            with self._fasta(brought.path, work, progress) as (fasta, begin):
                yield OpenedFasta([fasta], source, begin=begin)
        except InputError:
            # Damaged, and no digest could tell: the next fetch is to begin anew.
            if not self.plan.md5:
                brought.path.unlink(missing_ok=True)
            raise

    @contextmanager
    def _fasta(self, path: Path, work: Path, progress: Progress) -> Iterator[tuple[Path, float]]:
        """Give FASTA, and the share of the whole build that is done by then."""
        if self.plan.entry.kind == "fasta":
            yield path, _FETCHED
            return
        with tempfile.TemporaryDirectory(prefix=".converted-", dir=work) as name:
            stem = path.name.removesuffix(".tar.gz")
            yield clusters_fasta(path, stem, Path(name), progress), _CONVERTED


def source_of(plan: Plan, brought: Brought) -> dict[str, Any]:
    """Say in a manifest what was fetched."""
    assert plan.remote is not None
    facts: dict[str, Any] = {
        "name": plan.remote.shown,
        "bytes": brought.size,
        "sha256": brought.sha256,
    }
    if plan.md5:
        facts["published_md5"] = plan.md5
    return {
        "name": plan.entry.title,
        "release": plan.release,
        "licence": plan.entry.licence,
        "files": [facts],
    }


def clusters_fasta(archive: Path, stem: str, work: Path, progress: Progress) -> Path:
    """Write the sequence of each cluster of a ColabFold archive as FASTA, with its header.

    The archive holds tables of number and text (MMseqs2, `tsv2exprofiledb`): `STEM.tsv` has the
    sequences that a search is against, one a cluster, and `STEM_h.tsv` the headers of these and
    of all members.

    Args:
        archive: A tar archive, compressed with gzip.
        stem: How its tables begin.
        work: An empty folder with room for the two tables twice.
        progress: Told how far it is, from `_FETCHED` to `_CONVERTED` of the whole.

    Raises:
        DataError: The archive lacks a table, or MMseqs2 failed.
        InputError: The archive is cut or damaged.
        OSError: The folder cannot be written.
    """
    tables = {f"{stem}.tsv": work / "sequences.tsv", f"{stem}_h.tsv": work / "headers.tsv"}
    reader = BlockReader(archive)
    stream = _Blocks(reader)
    missing = set(tables)
    try:
        with tarfile.open(fileobj=cast("Any", stream), mode="r|") as members:
            for member in members:
                share = reader.bytes_read / reader.size
                progress(
                    _FETCHED + 0.9 * (_CONVERTED - _FETCHED) * share, f"unpacking {archive.name}"
                )
                name = Path(member.name).name
                content = members.extractfile(member) if name in missing else None
                if content is not None:
                    with tables[name].open("wb") as table:
                        shutil.copyfileobj(content, table, _COPY_BYTES)
                    missing.remove(name)
        # What is behind the tar archive's end holds the checksum of gzip.
        while stream.read(_COPY_BYTES):
            pass
    except tarfile.TarError as error:
        raise InputError(
            Message("{path}: is no tar archive: {error}", path=archive, error=error),
            hint=Message("fetch the file again"),
        ) from error
    if missing:
        raise DataError(
            Message("{archive} holds no {table}", archive=archive, table=min(missing)),
            hint=Message("it is another archive than ColabFold's; fetch it again"),
        )
    database, fasta = work / "clusters", work / "clusters.fasta"
    for part, suffix, kind in (("headers", "_h", _HEADERS), ("sequences", "", _AMINO_ACIDS)):
        progress(_CONVERTED, f"MMseqs2 reads the {part}")
        target = database.with_name(database.name + suffix)
        run_mmseqs(["tsv2db", str(work / f"{part}.tsv"), str(target), "--output-dbtype", kind])
        (work / f"{part}.tsv").unlink()
    progress(_CONVERTED, "MMseqs2 writes FASTA")
    run_mmseqs(["convert2fasta", str(database), str(fasta)])
    for path in work.glob("clusters*"):
        if path != fasta:
            path.unlink()
    return fasta


class _Blocks(io.RawIOBase):
    """A compressed file's content as a stream; cut or damaged data is an error that says so."""

    def __init__(self, reader: BlockReader) -> None:
        self._blocks = reader.blocks()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
