"""Results of stages, kept under a hash of everything that went into them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

FORMAT = 1
MANIFEST = "entry.json"
ABANDONED_AFTER_SECONDS = 24 * 3600.0


class DamagedEntryError(Exception):
    """A stored entry that is torn, altered, or of another format; it must not be used."""


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON: sorted keys, no spaces, no NaN.

    Example:
        >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
        True
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A folder of stage results that several processes may share.

    An entry is a folder of files with a manifest of their sizes and digests. It is written beside
    its place, synced, and renamed into it, so that a reader finds all of it or none; each read
    compares every byte with the manifest.

    Args:
        folder: Where entries live; made at the first `put`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(stage: str, version: int, inputs: Mapping[str, object]) -> str:
        """Return the key of a stage's result.

        Args:
            stage: The stage's name.
            version: The stage's version; raised when the stage gives another result.
            inputs: Everything that the result depends on, as JSON values.
        """
        return digest_of({"stage": stage, "version": version, "inputs": dict(inputs)})

    def get(self, key: str) -> dict[str, bytes] | None:
        """Return an entry's files by name, or None where there is no entry.

        Raises:
            DamagedEntryError: The entry is there but is not what was put.
        """
        folder = self._folder_of(key)
        if not folder.exists():
            return None
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            if manifest["format"] != FORMAT or manifest["key"] != key:
                raise DamagedEntryError(f"{folder}: not the entry that its place says")
            files = {
                name: _read_verified(folder / name, **expected)
                for name, expected in manifest["files"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedEntryError(f"{folder}: cannot be read ({error})") from error
        return files

    def put(self, key: str, files: Mapping[str, bytes]) -> None:
        """Keep an entry; one that is there already stays.

        Raises:
            OSError: The folder cannot be written or the disk is full; nothing is left behind.
        """
        place = self._folder_of(key)
        waiting = self.folder / "waiting" / uuid.uuid4().hex
        waiting.mkdir(parents=True)
        try:
            for name, content in files.items():
                _write_synced(waiting / name, content)
            manifest = {
                "format": FORMAT,
                "key": key,
                "files": {
                    name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                    for name, content in files.items()
                },
            }
            _write_synced(waiting / MANIFEST, json.dumps(manifest, indent=1).encode())
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                # Another process may have put the same result since: rename then fails.
                with contextlib.suppress(FileExistsError):
                    _rename(waiting, place)
        finally:
            shutil.rmtree(waiting, ignore_errors=True)
            self._sweep()

    def discard(self, key: str) -> None:
        """Remove an entry; harmless where there is none."""
        place = self._folder_of(key)
        gone = self.folder / "waiting" / uuid.uuid4().hex
        with contextlib.suppress(FileNotFoundError):
            gone.parent.mkdir(parents=True, exist_ok=True)
            place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _folder_of(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _sweep(self) -> None:
        """Remove what killed processes left half written a day ago or more."""
        oldest = time.time() - ABANDONED_AFTER_SECONDS
        with contextlib.suppress(OSError):
            for folder in (self.folder / "waiting").iterdir():
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)


def _read_verified(path: Path, *, size: int, sha256: str) -> bytes:
    content = path.read_bytes()
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedEntryError(f"{path}: its bytes are not those that were stored")
    return content


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if target.exists():
            raise FileExistsError(target) from None
        raise
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
