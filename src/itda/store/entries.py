"""Entries of the store: a folder of files with a manifest of their sizes and digests."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itda import storage
from itda.storage import write_pieces
from itda.version import itda_version

FORMAT = 1
MANIFEST = "entry.json"
UNKNOWN_STAGE = "unknown"
"""Of entries whose manifest does not name its stage, as older ones, or cannot be read."""

_BLOCK_BYTES = 4096
_KEY = re.compile(r"[0-9a-f]{64}")


class DamagedEntryError(Exception):
    """A stored entry that is torn, altered, or of another format; it must not be used."""


@dataclass(frozen=True)
class Entry:
    """One kept result.

    Attributes:
        key: What it is found by.
        folder: Where it is.
        used: When it was put or last found, in seconds since 1970.
        size_bytes: What it takes on the disk.
    """

    key: str
    folder: Path
    used: float
    size_bytes: int

    @functools.cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What its manifest says; empty where that cannot be read."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_bytes())
        except (OSError, ValueError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    @property
    def stage(self) -> str:
        """The stage that it is the result of."""
        return str(self.manifest.get("stage") or UNKNOWN_STAGE)


def place_of(root: Path, key: str) -> Path:
    """Return the folder of a key's entry."""
    return root / key[:2] / key


def list_entries(root: Path) -> Iterator[Entry]:
    """Yield the entries of a store, in no order; other files and folders are passed over."""
    for shard in _folders(root):
        for folder in _folders(shard):
            if not _KEY.fullmatch(folder.name) or folder.name[:2] != shard.name:
                continue
            try:
                yield Entry(folder.name, folder, folder.stat().st_mtime, bytes_on_disk(folder))
            except FileNotFoundError:
                continue


def bytes_on_disk(folder: Path) -> int:
    """Return what a folder and all in it take on a disk with blocks of 4 KiB.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    total = _BLOCK_BYTES
    with os.scandir(folder) as found:
        for one in found:
            try:
                if one.is_dir(follow_symlinks=False):
                    total += bytes_on_disk(Path(one.path))
                else:
                    size = one.stat(follow_symlinks=False).st_size
                    total += -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
            except FileNotFoundError:
                continue
    return total


def write_entry(
    folder: Path, key: str, files: Mapping[str, bytes], *, stage: str, version: int, sync: bool
) -> None:
    """Write an entry's files and then its manifest; wait for the disk where `sync` says so.

    Raises:
        OSError: They cannot be written.
    """
    described = {}
    for name, content in files.items():
        sha256, size = write_pieces(folder / name, [content], synced=sync)
        described[name] = {"size": size, "sha256": sha256}
    manifest = {
        "format": FORMAT,
        "key": key,
        "stage": stage,
        "version": version,
        "itda": itda_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": described,
    }
    write_pieces(folder / MANIFEST, [json.dumps(manifest, indent=1).encode()], synced=sync)
    if sync:
        storage.sync(folder)


def read_entry(folder: Path, key: str) -> dict[str, bytes]:
    """Return an entry's files by name; every byte is compared with the manifest.

    Raises:
        DamagedEntryError: It is not what was put.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT or manifest["key"] != key:
            raise DamagedEntryError(f"{folder}: not the entry that its place says")
        return {
            name: _read_verified(folder / name, **expected)
            for name, expected in manifest["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedEntryError(f"{folder}: cannot be read ({error})") from error


def _read_verified(path: Path, *, size: int, sha256: str) -> bytes:
    content = path.read_bytes()
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedEntryError(f"{path}: its bytes are not those that were stored")
    return content


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            names = [one.name for one in found if one.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(names):
        yield folder / name
