"""Files of jobs, each named by what it holds, so that equal ones are kept once.

A file is put before the row that names it. What a crash leaves between the two is a file that no
row names, and `collect` removes those that are old enough for no row to be on its way.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import sqlalchemy
from sqlalchemy import Connection

from itda.errors import OutputError
from itda.language import Message
from itda.server.database.database import Database
from itda.server.database.tables import artefacts, job_files
from itda.server.errors import NotFoundError
from itda.storage import pieces_of, sync, write_pieces

_ROWS_AT_ONCE = 500
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WAITING = "waiting"
_LOCK = ".lock"


@dataclass(frozen=True)
class Damage:
    """A file that is not what its name says, or is not there.

    Attributes:
        digest: Its name.
        problem: What is wrong.
    """

    digest: str
    problem: str


class Artefacts:
    """A folder of files `ab/cdef…`, the SHA-256 of what they hold, that processes share.

    Args:
        folder: Where they are; made when the first is put.
        database: Whose rows name them.
        clock: Seconds since 1970.
    """

    def __init__(
        self, folder: Path, database: Database, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._database = database
        self._clock = clock

    def put(self, content: bytes | Path) -> tuple[str, int]:
        """Keep a file; once this returns, a power cut does not cost it.

        The row that names it must be written before `collect` takes it for left behind.

        Args:
            content: What it holds, or a file that is copied.

        Returns:
            Its digest and its size in bytes.

        Raises:
            OutputError: It cannot be written; nothing is left behind.
        """
        waiting = self.folder / _WAITING / uuid.uuid4().hex
        try:
            waiting.parent.mkdir(parents=True, exist_ok=True)
            pieces = [content] if isinstance(content, bytes) else pieces_of(content)
            digest, size = write_pieces(waiting, pieces)
            place = self._place(digest)
            place.parent.mkdir(exist_ok=True)
            with self._lock(fcntl.LOCK_SH):
                if _size(place) == size:
                    os.utime(place, (self._clock(), self._clock()))
                else:
                    os.utime(waiting, (self._clock(), self._clock()))
                    waiting.replace(place)
            sync(place.parent)
            sync(self.folder)
        except OSError as error:
            raise OutputError(
                Message(
                    "{folder}: cannot be written: {strerror}",
                    folder=self.folder,
                    strerror=error.strerror or error,
                ),
                hint=Message("free some space, or let the server's account write there"),
            ) from error
        finally:
            with contextlib.suppress(OSError):
                waiting.unlink()
        return digest, size

    def path(self, digest: str) -> Path:
        """Return where a file is; it must not be changed.

        Raises:
            NotFoundError: There is none of this digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise NotFoundError(Message("{digest!r} is no SHA-256", digest=digest[:80]))
        place = self._place(digest)
        if not place.is_file():
            raise NotFoundError(
                Message("file {digest}: is not in {folder}", digest=digest, folder=self.folder),
                hint=Message(
                    "it was removed, or the folder is not the one that the database belongs to"
                ),
            )
        return place

    def open(self, digest: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            NotFoundError: There is none of this digest.
        """
        return self.path(digest).open("rb")

    def collect(self, min_age_seconds: float) -> int:
        """Remove files that no job names and that were not put again lately; return how many.

        Args:
            min_age_seconds: How long nobody may have put it; longer than any time between a `put`
                and its row.
        """
        latest = self._clock() - min_age_seconds
        removed = 0
        old = [digest for digest in self._digests() if self._is_old(digest, latest)]
        for start in range(0, len(old), _ROWS_AT_ONCE):
            # No `put` may find a file between the look at its age and its removal.
            with self._lock(fcntl.LOCK_EX):
                chunk = [d for d in old[start : start + _ROWS_AT_ONCE] if self._is_old(d, latest)]
                with self._database.write() as connection:
                    unnamed = _forget_unnamed(connection, chunk)
                for digest in unnamed:
                    self._place(digest).unlink(missing_ok=True)
                    removed += 1
        with contextlib.suppress(OSError):
            for waiting in (self.folder / _WAITING).iterdir():
                if waiting.stat().st_mtime < latest:
                    waiting.unlink(missing_ok=True)
        return removed

    def verify(self) -> list[Damage]:
        """Compare every file with its name, and every row with its file; return what is wrong."""
        with self._database.read() as connection:
            rows = connection.execute(sqlalchemy.select(artefacts.c.digest, artefacts.c.bytes))
            sizes = {row.digest: row.bytes for row in rows}
        found = list(self._digests())
        damages = [Damage(digest, "is missing") for digest in sorted(sizes.keys() - set(found))]
        for digest in found:
            try:
                with self._place(digest).open("rb") as file:
                    actual = hashlib.file_digest(file, "sha256").hexdigest()
                    size = file.tell()
            except FileNotFoundError:  # collected meanwhile
                continue
            except OSError as error:
                damages.append(Damage(digest, f"cannot be read: {error.strerror}"))
                continue
            if actual != digest:
                damages.append(Damage(digest, "holds something else"))
            elif sizes.get(digest, size) != size:
                damages.append(Damage(digest, f"has {size} bytes, its row says {sizes[digest]}"))
        return damages

    def unnamed(self) -> list[str]:
        """Return the digests of files that no job names, old or new."""
        with self._database.read() as connection:
            named = set(connection.execute(sqlalchemy.select(job_files.c.digest)).scalars())
        return sorted(set(self._digests()) - named)

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _is_old(self, digest: str, latest: float) -> bool:
        try:
            return self._place(digest).stat().st_mtime < latest
        except FileNotFoundError:
            return False

    def _digests(self) -> Iterator[str]:
        if not self.folder.is_dir():
            return
        for folder in sorted(self.folder.iterdir()):
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            for file in sorted(folder.iterdir()):
                if _DIGEST.fullmatch(folder.name + file.name):
                    yield folder.name + file.name

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        # To write, although nothing is: some network file systems lock only what may be written.
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _forget_unnamed(connection: Connection, digests: list[str]) -> list[str]:
    """Remove the rows of files that no job names; return which they are."""
    select = sqlalchemy.select(job_files.c.digest).where(job_files.c.digest.in_(digests))
    unnamed = sorted(set(digests) - set(connection.execute(select).scalars()))
    connection.execute(sqlalchemy.delete(artefacts).where(artefacts.c.digest.in_(unnamed)))
    return unnamed


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
