"""How much the store may hold: as the environment says, as the user set it, or a sensible share."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from itda.atomic import output_error
from itda.errors import InputError
from itda.language import Message
from itda.storage import write_whole

VARIABLE = "ITDA_CACHE_LIMIT"
MOST_BYTES_BY_DEFAULT = 20_000_000_000
SHARE_OF_DISK_BY_DEFAULT = 0.1

_FILE = "limit"
_NONE = "none"
_HINT = Message("write a size such as 5G, 500M or 20GiB, or none for no limit")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class Limit:
    """How much a store may hold.

    Attributes:
        size_bytes: The most; None for no limit.
        source: Who said so, for people.
    """

    size_bytes: int | None
    source: str


def parse_size(text: str, *, what: str) -> int:
    """Read a size; K, M, G and T are powers of 1000, Ki, Mi, Gi and Ti of 1024.

    Args:
        text: As the user wrote it.
        what: Where it stood, for the message.

    Returns:
        Bytes.

    Raises:
        InputError: It is no size.

    Example:
        >>> parse_size("5G", what="--to"), parse_size("1.5 KiB", what="--to")
        (5000000000, 1536)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise InputError(Message("{what}: {text!r} is no size", what=what, text=text), hint=_HINT)
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _UNITS[match[2].lower()])


def limit_of(folder: Path) -> Limit:
    """Return the limit of a store.

    Raises:
        InputError: `ITDA_CACHE_LIMIT`, or what was set, is no size.
    """
    if said := os.environ.get(VARIABLE):
        return Limit(_parse_limit(said, f"${VARIABLE}"), f"${VARIABLE}")
    path = folder / _FILE
    try:
        kept = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Limit(_default(folder), "the default")
    return Limit(_parse_limit(kept, str(path)), "`itda cache limit`")


def set_limit(folder: Path, text: str | None) -> None:
    """Keep the limit of a store for all runs to come.

    Args:
        folder: Of the store; made if missing.
        text: A size or `none`; None goes back to the default.

    Raises:
        InputError: It is no size.
        OutputError: It cannot be kept.
    """
    path = folder / _FILE
    if text is not None:
        _parse_limit(text, "limit")
    try:
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, f"{text.strip()}\n".encode())
    except OSError as error:
        # Not as of result files: their hints are for --out.
        hint = Message("choose a folder that you may write to, with {--cache} or $ITDA_CACHE")
        raise output_error(path, error).but(hint=hint) from error


def _parse_limit(text: str, what: str) -> int | None:
    return None if text.strip().lower() == _NONE else parse_size(text, what=what)


def _default(folder: Path) -> int:
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        disk = shutil.disk_usage(there).total
    except OSError:
        return MOST_BYTES_BY_DEFAULT
    return min(MOST_BYTES_BY_DEFAULT, int(disk * SHARE_OF_DISK_BY_DEFAULT))
