"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Container, Iterator
from pathlib import Path

from itda import storage
from itda.errors import OutputError

_HINTS = {
    errno.ENOSPC: "free some space and run the same command again: what was computed is kept",
    errno.EDQUOT: "your quota is used up: free some space and run the same command again",
    errno.EACCES: "choose a folder that you may write to, with --out",
    errno.EPERM: "choose a folder that you may write to, with --out",
    errno.EROFS: "choose a folder that is not read-only, with --out",
    errno.ENAMETOOLONG: "give the record a shorter name",
}


class DiskFullError(OutputError):
    """There is no room for a result; further ones would meet the same."""


def output_error(path: Path, error: OSError) -> OutputError:
    """Return the user's error for a path that the system would not write."""
    kind = DiskFullError if error.errno in storage.FULL_DISK else OutputError
    hint = _HINTS.get(error.errno or 0, "choose another folder with --out")
    return kind(f"{path}: cannot be written: {error.strerror or error}", hint=hint)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; what is there becomes `path` when the block ends well.

    Raises:
        OutputError: The file cannot be written; `path` is as it was.
    """
    try:
        with storage.replacing(path) as waiting:
            yield waiting
    except OSError as error:
        raise output_error(path, error) from error


def remove_leftovers(folder: Path, names: Container[str]) -> None:
    """Remove what killed runs left of files that they were writing; of these names and no others.

    Raises:
        OutputError: One cannot be removed.
    """
    for path in storage.leftovers(folder, names):
        remove_file(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file.

    Raises:
        OutputError: It cannot be written; what was there is as it was.
    """
    with replacing(path) as waiting:
        waiting.write_bytes(content)


def remove_file(path: Path) -> None:
    """Remove a file; harmless where there is none.

    Raises:
        OutputError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON.

    Raises:
        OutputError: It cannot be written; what was there is as it was.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
    # A byte that was not UTF-8 in the input stands as a lone surrogate, which JSON can escape.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))
