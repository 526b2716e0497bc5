"""Files written for good, and what the system says when they cannot be."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError
from itda.language import Message
from itda.storage import FULL_DISK, file_digest, sync

_FULL = (*FULL_DISK, errno.EFBIG)

FileFacts = dict[str, int | str]
"""`bytes` and `sha256` of a file."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the system in the block into one that the user can mend.

    Args:
        folder: Of the databases.

    Raises:
        OutputError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else folder
        hint = Message("set $ITDA_DATABASES to a folder that you may write to")
        if error.errno in _FULL:
            hint = Message(
                "free some space and run the same command again: finished shards are kept"
            )
        raise OutputError(
            Message("{where}: cannot be written: {strerror}", where=where, strerror=error.strerror),
            hint=hint,
        ) from error


def file_facts(folder: Path, pattern: str = "*") -> dict[str, FileFacts]:
    """Sync the files below a folder to the disk and return size and digest of each, by name."""
    facts: dict[str, FileFacts] = {}
    for path in sorted(folder.rglob(pattern)):
        if path.is_file():
            sync(path)
            facts[path.relative_to(folder).as_posix()] = {
                "bytes": path.stat().st_size,
                "sha256": file_digest(path),
            }
    return facts


def below(prefix: str, facts: Mapping[str, FileFacts]) -> dict[str, FileFacts]:
    """Return the facts as the folder above names the files.

    Example:
        >>> below("shards", {"a": {"bytes": 1}})
        {'shards/a': {'bytes': 1}}
    """
    return {f"{prefix}/{name}": dict(values) for name, values in facts.items()}


def free_bytes(folder: Path) -> int:
    """Return the room on the disk of a folder, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        except OSError:
            continue
    return total
