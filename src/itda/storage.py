"""Files and folders that appear whole or not at all, locks, digests, and where a user's data is.

What is written here to last is on the disk before it has its name: after a power cut it is whole
or not there. That its name is on the disk too is a matter of `sync` on its folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError
from itda.language import Message

HOME_VARIABLE = "ITDA_HOME"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""The system's numbers for a disk or a quota that is used up."""

_CHUNK_BYTES = 1 << 20
_WAITING = re.compile(r"\.[0-9a-f]{8}-(.+)")


class OtherFormatError(ValueError):
    """What was kept is whole, and was written in another format than is read here."""


def user_data_folder() -> Path:
    """Return `$ITDA_HOME`, else `itda` in the user's data folder; made only when it is used."""
    return user_folder(HOME_VARIABLE, "XDG_DATA_HOME", ".local/share")


def user_folder(variable: str, base_variable: str, base: str) -> Path:
    """Return what a variable names, else `itda` in the user's folder of a kind.

    Args:
        variable: Of the environment, for Itda alone.
        base_variable: The one that names the user's folder for all programs.
        base: That folder below the user's home where no variable names it.
    """
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen)
    for_all = os.environ.get(base_variable)
    if for_all:
        return Path(for_all) / "itda"
    try:
        return Path.home() / base / "itda"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"itda-{os.getuid()}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of files, is on the disk.

    Raises:
        OSError: The disk cannot take it, or the file system cannot do this for a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; what is there is synced and becomes `path` if the block ends well.

    Raises:
        OSError: The file cannot be written; `path` is as it was, and nothing is left.
    """
    waiting = waiting_path(path)
    try:
        yield waiting
        sync(waiting)
        waiting.replace(path)
    finally:
        with contextlib.suppress(OSError):
            waiting.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all; its folder is made where there is none.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as waiting:
        waiting.write_bytes(content)


def waiting_path(path: Path) -> Path:
    """Return a new name beside a file, for its content until that is whole."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")


def leftovers(folder: Path, names: Container[str]) -> list[Path]:
    """Return what killed processes left of files of these names that they were writing."""
    found = ((path, _WAITING.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, match in found if match is not None and match[1] in names]


def write_pieces(
    path: Path, pieces: Iterable[bytes | memoryview], *, synced: bool = True
) -> tuple[str, int]:
    """Write a new file piece by piece, and wait for the disk unless told otherwise.

    Returns:
        Its SHA-256 as hexadecimal text, and its size in bytes.

    Raises:
        OSError: It is there already, or cannot be written; what was written of it is left.
    """
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
        size = file.tell()
        file.flush()
        if synced:
            os.fsync(file.fileno())
    return digest.hexdigest(), size


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, a mebibyte at a time."""
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


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
            Message("{folder} exists already", folder=folder),
            hint=Message("choose another {--out}, or pass {--overwrite}"),
        )
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            Message("{folder} is a file, not a folder", folder=folder),
            hint=Message("choose another {--out}"),
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(
            Message(
                "cannot write in {parent}: {strerror}",
                parent=folder.parent,
                strerror=error.strerror,
            )
        ) from error
    try:
        yield work
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise OutputError(
            Message(
                "cannot write {folder}: {strerror}", folder=folder, strerror=error.strerror or error
            )
        ) from error
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
