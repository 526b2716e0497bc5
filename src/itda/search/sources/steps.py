"""The finished steps of a search, kept where a later run finds them whole or not at all.

A step is a file: a line with the digest of the search that it belongs to and the digest of what
follows, then the content. A step that was cut short, altered, or left by another search is as good
as none.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError
from itda.language import Message
from itda.progress import Progress

_FORMAT = b"itda-search-step 1"
_SCRATCH_PREFIX = "scratch-"
_LOCK = "lock"
_WAIT_SECONDS = 0.5


class Steps:
    """Steps of one search in its work folder.

    Args:
        work: The folder; made if it is not there.
        query: The sequence that is searched with.
        key: The source's key.
    """

    def __init__(self, work: Path, *, query: str, key: Mapping[str, object]) -> None:
        self.work = work
        said = json.dumps([query, dict(key)], sort_keys=True).encode()
        self._search = hashlib.sha256(said).hexdigest().encode()

    def read(self, name: str) -> bytes | None:
        """Return a step's content; None where it was not finished or is not of this search."""
        try:
            head, _, content = self._path(name).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(
                Message(
                    "cannot read {name}: {strerror}", name=self._path(name), strerror=error.strerror
                )
            ) from error
        return content if head == self._head(name, content) else None

    def write(self, name: str, content: bytes) -> None:
        """Keep a finished step.

        Raises:
            OutputError: It cannot be written.
        """
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(self._head(name, content) + b"\n" + content)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(part).replace(path)
            finally:
                Path(part).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                Message("cannot write {path}: {strerror}", path=path, strerror=error.strerror)
            ) from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder for what lies between steps; it goes at the end."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=self.work))
        except OSError as error:
            raise OutputError(
                Message(
                    "cannot write in {work}: {strerror}", work=self.work, strerror=error.strerror
                )
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def held(self, progress: Progress) -> Iterator[None]:
        """Have the work folder alone, and free of what a killed search left half done.

        Waits while another process has it; the lock goes with the process that has it.

        Args:
            progress: Called while waiting.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            # Held open for the lock's sake; the operating system closes it with the process.
            descriptor = os.open(self.work / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(
                Message(
                    "cannot write in {work}: {strerror}", work=self.work, strerror=error.strerror
                )
            ) from error
        try:
            while not _is_locked(descriptor):
                progress(0.0, "another process makes this search; waiting for it")
                time.sleep(_WAIT_SECONDS)
            for left in [*self.work.glob(f"{_SCRATCH_PREFIX}*"), *self.work.glob(".*.step.*")]:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        return self.work / f"{name}.step"

    def _head(self, name: str, content: bytes) -> bytes:
        digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest().encode()
        return b" ".join((_FORMAT, self._search, digest))


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # File systems without locks are used unlocked: steps appear whole all the same.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
