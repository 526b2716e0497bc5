"""One build of a name at a time, over all processes of this machine."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError


@contextmanager
def build_lock(path: Path, name: str) -> Iterator[None]:
    """Hold a lock that goes with the process, however it ends.

    Args:
        path: The lock's file; removed at the end.
        name: Of the database, for the message.

    Raises:
        OutputError: Another process or thread holds it, or the folder cannot hold locks.
    """
    descriptor = _acquire(path, name)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, name: str) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{path.parent} cannot be written: {error.strerror}",
                hint="set $ITDA_DATABASES to a folder that you may write to",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise OutputError(
                    f"{path.parent} cannot hold locks: {error.strerror}",
                    hint="set $ITDA_DATABASES to a folder on a local disk",
                ) from error
            raise OutputError(
                f"database {name} is being built or removed by process {holder or 'unknown'}",
                hint="wait until it is done, or choose another name",
            ) from error
        # Its last holder may have removed the file between our opening and our locking it.
        if _is_at(descriptor, path):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    own = os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)
