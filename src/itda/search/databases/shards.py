"""Cuts records into shards, each finished before the next begins and kept through a kill.

A shard is made in a folder of its own and takes its place when its files and their digests are on
the disk. A build that comes after a killed one reads the source again from the start; where the
FASTA file of a shard comes out the same, the finished shard, MMseqs2 files and index and all, is
taken over.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from itda.search.databases.database import FASTA, MMSEQS, SHARDS
from itda.search.databases.files_mmseqs import MmseqsFiles
from itda.search.databases.writing import FileFacts, below, file_facts
from itda.storage import write_whole

SHARD_FACTS = "shard.json"
_UNFINISHED = "unfinished-"


@dataclass(frozen=True)
class FinishedShard:
    """A shard in its place.

    Attributes:
        folder: Relative to the database.
        sequences: Number of records.
        residues: Letters of all records.
        files: Size and digest of each file, by name relative to the database.
        reused: Whether a killed build had made it.
    """

    folder: str
    sequences: int
    residues: int
    files: dict[str, FileFacts]
    reused: bool


class ShardWriter:
    """Takes records one by one; use it as a context manager.

    Args:
        database: The folder of the database that is being built.
        limit: Residues of a shard: the k-th is full when k times as many have been written.
        mmseqs: What makes the MMseqs2 files; None for none.
        report: Told what is being done; may raise to stop.

    Attributes:
        finished: The shards so far.
    """

    def __init__(
        self,
        database: Path,
        limit: float,
        mmseqs: MmseqsFiles | None,
        report: Callable[[str], None],
    ) -> None:
        self.finished: list[FinishedShard] = []
        self._database = database
        self._limit = limit
        self._mmseqs = mmseqs
        self._report = report
        self._folder: Path | None = None
        self._stream: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self._sequences = self._residues = self._written = 0
        (database / SHARDS).mkdir(exist_ok=True)
        _remove_unfinished(database)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        if self._stream is not None:
            self._stream.close()
        _remove_unfinished(self._database)

    @property
    def has_records(self) -> bool:
        """Whether anything was added."""
        return self._written > 0

    def add(self, header: bytes, sequence: bytes) -> None:
        """Append a record; a shard that is full is finished first.

        Raises:
            DataError: MMseqs2 failed.
        """
        if self._written >= self._limit * (len(self.finished) + 1):
            self._finish()
        if self._stream is None:
            parent = self._database / SHARDS
            self._folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
            self._stream = (self._folder / FASTA).open("wb")
            self._digest = hashlib.sha256()
            self._sequences = self._residues = 0
        text = b">%b\n%b\n" % (header, sequence)
        self._stream.write(text)
        self._digest.update(text)
        self._sequences += 1
        self._residues += len(sequence)
        self._written += len(sequence)

    def finish(self) -> None:
        """Finish the last shard, and remove what an earlier build left beyond it.

        Raises:
            DataError: MMseqs2 failed.
        """
        self._finish()
        wanted = {shard.folder for shard in self.finished}
        for path in (self._database / SHARDS).iterdir():
            if f"{SHARDS}/{path.name}" not in wanted:
                shutil.rmtree(path)

    def _finish(self) -> None:
        if self._stream is None or self._folder is None:
            return
        self._stream.close()
        self._stream = None
        number = len(self.finished) + 1
        place = self._database / SHARDS / f"{number:04d}"
        content: dict[str, Any] = {
            "sequences": self._sequences,
            "residues": self._residues,
            "sha256": self._digest.hexdigest(),
            "mmseqs": self._mmseqs.facts() if self._mmseqs is not None else None,
        }
        self._report(f"shard {number}")
        files = _take_over(place, content)
        reused = files is not None
        if files is None:
            if self._mmseqs is not None:
                self._mmseqs.make(
                    self._folder / FASTA,
                    self._folder / MMSEQS,
                    self._sequences,
                    lambda step: self._report(f"shard {number}: {step}"),
                )
            files = file_facts(self._folder)
            text = json.dumps({**content, "files": files})
            write_whole(self._folder / SHARD_FACTS, text.encode())
            files |= file_facts(self._folder, SHARD_FACTS)
            if place.exists():
                shutil.rmtree(place)
            self._folder.chmod(0o755)
            self._folder.rename(place)
        else:
            shutil.rmtree(self._folder)
        folder = f"{SHARDS}/{place.name}"
        self.finished.append(
            FinishedShard(
                folder=folder,
                sequences=content["sequences"],
                residues=content["residues"],
                files=below(folder, files),
                reused=reused,
            )
        )


def finished_shards(database: Path) -> list[Path]:
    """Return the folders of finished shards of a database that is being built."""
    return sorted(path.parent for path in (database / SHARDS).glob(f"*/{SHARD_FACTS}"))


def _take_over(place: Path, content: dict[str, Any]) -> dict[str, FileFacts] | None:
    """Return the files of a finished shard, if it is what `content` says and unaltered."""
    try:
        there = json.loads((place / SHARD_FACTS).read_text(encoding="utf-8"))
        files: dict[str, FileFacts] = there.pop("files")
        found = file_facts(place)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    own = {SHARD_FACTS: found.pop(SHARD_FACTS)}
    return files | own if there == content and found == files else None


def _remove_unfinished(database: Path) -> None:
    for path in (database / SHARDS).glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)
