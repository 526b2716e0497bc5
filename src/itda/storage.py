"""Folders that appear whole or not at all, locks, digests of files, and where a user's data is."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError

HOME_VARIABLE = "ITDA_HOME"


def user_data_folder() -> Path:
    """Return `$ITDA_HOME`, else `itda` in the user's data folder; made only when it is used."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen)
    user_data = os.environ.get("XDG_DATA_HOME")
    if user_data:
        return Path(user_data) / "itda"
    try:
        return Path.home() / ".local" / "share" / "itda"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"itda-{os.getuid()}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder that takes the name `folder` only when the block ends well.

    Args:
        folder: The name to take.
        overwrite: Whether a folder of that name is replaced.

    Raises:
        OutputError: The folder exists and is not to be replaced, or cannot be written.
    """
    if folder.exists() and not overwrite:
        raise OutputError(
            f"{folder} exists already", hint="choose another --out, or pass --overwrite"
        )
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder", hint="choose another --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"cannot write in {folder.parent}: {error.strerror}") from error
    try:
        yield work
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def locked(path: Path, *, on_busy: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock over all processes of this machine, which goes with the process however it ends.

    Args:
        path: The lock's file; removed at the end.
        on_busy: Told the number of the process that holds the lock, "unknown" where it has not
            said; called again and again, so it waits a little, or raises to give up.

    Raises:
        OSError: The folder cannot be written, or cannot hold locks.
    """
    descriptor = _acquire(path, on_busy)
    try:
        yield
    finally:
        # While it is held: whoever waits for this file sees that it is gone and makes another.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path, on_busy: Callable[[str], None]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        held, holder = False, None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed the file between our opening and our locking it.
            held = _is_at(descriptor, path)
            if held:
                os.truncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        finally:
            if not held:
                os.close(descriptor)
        if holder is not None:
            on_busy(holder)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
