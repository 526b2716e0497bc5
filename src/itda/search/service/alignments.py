"""Alignments that a search server made, kept by what went into them."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from itda.errors import InputError
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import read_alignment
from itda.search.service.protocol import digest_of
from itda.search.sources.source import Progress, Source
from itda.storage import write_whole

FORMAT = 1


class AlignmentCache:
    """Searches with a source, and keeps what it finds under query and source.

    For several threads; one sequence is searched by one of them, others wait for it.

    Args:
        source: Where alignments come from.
        folder: Where they are kept, and the work folders of searches under way.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self._alignments = folder / "alignments"
        self._work = folder / "work"
        self._guard = threading.Lock()
        self._busy: dict[str, _Place] = {}

    def digest(self) -> str:
        """Return the digest of the source's key.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        return digest_of({"format": FORMAT, "source": dict(self.source.key())})

    def search(self, query: str, progress: Progress) -> Alignment:
        """Return the alignment of a sequence, from the cache where it is there.

        Args:
            query: One-letter protein sequence.
            progress: As for `Source.search`; what it raises leaves a work folder that the next
                search of the same sequence goes on from.

        Raises:
            ItdaError: As `Source.search`.
        """
        key = digest_of([self.digest(), query])
        path = self._alignments / key[:2] / f"{key}.a3m"
        with self._alone(key, progress):
            kept = _read(path, query)
            if kept is not None:
                with contextlib.suppress(OSError):
                    os.utime(path)
                return kept
            work = self._work / key
            work.mkdir(parents=True, exist_ok=True)
            alignment = self.source.search(query, work=work, progress=progress)
            write_whole(path, alignment.to_a3m().encode())
            shutil.rmtree(work, ignore_errors=True)
            return alignment

    def sweep(self, older_than_seconds: float) -> int:
        """Remove alignments and work folders that nobody used since; return how many."""
        oldest = time.time() - older_than_seconds
        removed = 0
        for path in (*self._alignments.glob("*/*.a3m"), *self._work.glob("*")):
            with self._guard, contextlib.suppress(OSError):
                if path.stem in self._busy or path.stat().st_mtime >= oldest:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed += 1
        return removed

    @contextmanager
    def _alone(self, key: str, progress: Progress) -> Iterator[None]:
        with self._guard:
            place = self._busy.setdefault(key, _Place())
            place.users += 1
        try:
            while not place.lock.acquire(timeout=0.2):
                progress(0.0, "another ticket searches the same sequence; waiting for it")
            try:
                yield
            finally:
                place.lock.release()
        finally:
            with self._guard:
                place.users -= 1
                if not place.users:
                    del self._busy[key]


@dataclass
class _Place:
    """The work on one key, and how many threads want it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


def _read(path: Path, query: str) -> Alignment | None:
    if not path.is_file():
        return None
    try:
        return read_alignment(path, query=query)
    except InputError:
        return None
