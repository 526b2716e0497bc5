"""Alignments that a search server made, kept by what went into them."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from itda.errors import InputError, ItdaError
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import read_alignment
from itda.search.protocol import digest_of
from itda.search.sources.source import ManySource, Source
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

    def search(self, queries: Sequence[str], progress: Progress) -> list[Alignment]:
        """Return the alignment of each sequence, from the cache where it is there.

        What is not there is searched at once, where the source takes many queries.

        Args:
            queries: One-letter protein sequences.
            progress: As for `Source.search`; what it raises leaves work folders that the next
                search of the same sequences goes on from.

        Raises:
            ItdaError: As `Source.search`; what was found of other sequences is kept.
        """
        source = self.digest()
        keys = {query: digest_of([source, query]) for query in queries}
        found: dict[str, Alignment] = {}
        failed: list[ItdaError] = []
        with contextlib.ExitStack() as held:
            # In one order, so that no two tickets wait for one another.
            for key in sorted(set(keys.values())):
                held.enter_context(self._alone(key, progress))
            for query, key in keys.items():
                kept = _read(self._path(key), query)
                if kept is not None:
                    found[query] = kept
                    with contextlib.suppress(OSError):
                        os.utime(self._path(key))
            missing = [query for query in keys if query not in found]
            for query, alignment in self._searched(missing, keys, progress):
                if isinstance(alignment, ItdaError):
                    failed.append(alignment)
                    continue
                write_whole(self._path(keys[query]), alignment.to_a3m().encode())
                shutil.rmtree(self._work / keys[query], ignore_errors=True)
                found[query] = alignment
        for error in failed:
            raise error
        return [found[query] for query in queries]

    def _searched(
        self, queries: Sequence[str], keys: Mapping[str, str], progress: Progress
    ) -> Iterator[tuple[str, Alignment | ItdaError]]:
        works = [self._work / keys[query] for query in queries]
        for work in works:
            work.mkdir(parents=True, exist_ok=True)
        if not isinstance(self.source, ManySource):
            for query, work in zip(queries, works, strict=True):
                yield query, self.source.search(query, work=work, progress=progress)
            return
        most = self.source.most_at_once
        for start in range(0, len(queries), most):
            some = queries[start : start + most]
            searched = self.source.search_many(
                some, works=works[start : start + most], progress=progress
            )
            for number, alignment in searched:
                yield some[number], alignment

    def _path(self, key: str) -> Path:
        return self._alignments / key[:2] / f"{key}.a3m"

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
