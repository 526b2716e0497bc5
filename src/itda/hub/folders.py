"""Where weights lie on this machine.

weights/                        `weights_folder()`
  NAME/source/FILE              as published, each file verified before it gets this name
  NAME/source/received.json     digest of each file on its arrival
  NAME/download/                half a download, which the next `itda weights pull` goes on with
  NAME/converted-DIGEST.safetensors and .json
  stamps/                       which files were verified, and how they looked then
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.errors import OutputError
from itda.language import Message
from itda.storage import FULL_DISK, user_data_folder

FOLDER_VARIABLE = "ITDA_WEIGHTS"
RECEIVED = "received.json"
_FULL = (*FULL_DISK, errno.EFBIG)


def weights_folder() -> Path:
    """Return `$ITDA_WEIGHTS`, else `weights` in the user's data folder of Itda."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else user_data_folder() / "weights"


def set_folder(name: str) -> Path:
    """Return the folder of a set; it may not exist."""
    return weights_folder() / name


def source_folder(name: str) -> Path:
    """Return the folder of a set's files as published; it may not exist."""
    return set_folder(name) / "source"


def download_folder(name: str) -> Path:
    """Return the folder of a set's unfinished downloads; it may not exist."""
    return set_folder(name) / "download"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says about writing below a folder into an error with a hint.

    Raises:
        OutputError: The disk is full, or the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(folder: Path, error: OSError) -> OutputError:
    """Return the user's error for a folder that the system would not write to."""
    if error.errno in _FULL:
        return OutputError(
            Message(
                "{folder} has no room left: {strerror}", folder=folder, strerror=error.strerror
            ),
            hint=Message(
                "free some space, or set ${folder_variable} to a folder on a larger disk; "
                "the same command goes on",
                folder_variable=FOLDER_VARIABLE,
            ),
        )
    return OutputError(
        Message(
            "{folder} cannot be written: {strerror}",
            folder=folder,
            strerror=error.strerror or error,
        ),
        hint=Message(
            "set ${folder_variable} to a folder that you may write to",
            folder_variable=FOLDER_VARIABLE,
        ),
    )


def require_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse before any work what cannot fit on the disk of a folder.

    Args:
        folder: Need not exist.
        needed_bytes: That are to be written.
        what: For the message.

    Raises:
        OutputError: There is less room.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if needed_bytes > free:
        raise OutputError(
            Message(
                "{what} needs {needed_bytes} in {folder}, and {free} are free",
                what=what,
                needed_bytes=shown_bytes(needed_bytes),
                folder=folder,
                free=shown_bytes(free),
            ),
            hint=Message(
                "free some space, or set ${folder_variable} to a folder on a larger disk",
                folder_variable=FOLDER_VARIABLE,
            ),
        )


def shown_bytes(size: float) -> str:
    """Return a size for people.

    >>> shown_bytes(393), shown_bytes(28_869_531), shown_bytes(8.44e9)
    ('393 bytes', '28.9 MB', '8.4 GB')
    """
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
