"""Results of stages, kept under a hash of everything that went into them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from itda import storage
from itda.errors import InputError
from itda.store.entries import (
    DamagedEntryError,
    Entry,
    bytes_on_disk,
    list_entries,
    place_of,
    read_entry,
    write_entry,
)
from itda.store.limit import Limit, limit_of
from itda.store.usage import Pins, tally

__all__ = ["DamagedEntryError", "Pruned", "Store", "digest_of"]

ABANDONED_AFTER_SECONDS = 24 * 3600.0
COUNTED_EVERY_SECONDS = 30 * 24 * 3600.0
UNLOCKED_COUNTED_EVERY_SECONDS = 60.0

_FILLED_AFTER_PRUNING = 0.9
_GROWTH_UNTIL_NEXT_TRY = 0.02


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


@dataclass(frozen=True)
class Pruned:
    """What was removed from a store.

    Attributes:
        removed: Entries that went.
        in_use: Entries that would have gone, and that a running process uses.
        left_bytes: What the entries that stay take on the disk.
    """

    removed: tuple[Entry, ...]
    in_use: tuple[Entry, ...]
    left_bytes: int


class Store:
    """A folder of stage results that several processes may share.

    An entry is a folder of files with a manifest of their sizes and digests. It is written beside
    its place and renamed into it, so that a reader finds all of it or none; each read
    compares every byte with the manifest.

    When a `put` takes the store past its limit, the entries that were not used for longest go. One
    that a running process has put or found stays until that process ends or says `release`.

    Args:
        folder: Where entries live; made at the first `put`.

    Raises:
        InputError: The limit that the environment or the user sets is no size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pins = Pins(folder)
        self._next_try_bytes = 0
        self._next_count = 0.0
        limit_of(folder)

    @staticmethod
    def key(stage: str, version: int, inputs: Mapping[str, object]) -> str:
        """Return the key of a stage's result.

        Args:
            stage: The stage's name.
            version: The stage's version; raised when the stage gives another result.
            inputs: Everything that the result depends on, as JSON values.
        """
        return digest_of({"stage": stage, "version": version, "inputs": dict(inputs)})

    @property
    def limit(self) -> Limit:
        """How much it may hold, as set now.

        Raises:
            InputError: What is set is no size.
        """
        return limit_of(self.folder)

    def get(self, key: str) -> dict[str, bytes] | None:
        """Return an entry's files by name, or None where there is no entry.

        Raises:
            DamagedEntryError: The entry is there but is not what was put.
        """
        place = place_of(self.folder, key)
        if not place.exists():
            return None
        with tally(self.folder, alone=False):
            self._use(key)
        try:
            return read_entry(place, key)
        except DamagedEntryError:
            if not place.exists():  # another process removed it
                return None
            raise

    def has(self, key: str) -> bool:
        """Whether there is an entry, sound or damaged."""
        return place_of(self.folder, key).exists()

    def put(
        self,
        key: str,
        files: Mapping[str, bytes],
        *,
        stage: str = "",
        version: int = 0,
        sync: bool = True,
    ) -> None:
        """Keep an entry; one that is there already stays.

        Args:
            key: What it is found by.
            files: Content by name.
            stage: The stage that it is the result of, for people.
            version: The stage's version, for people.
            sync: Whether to wait until it is on the disk. Otherwise a power cut soon after may
                cost it, which the next `get` sees.

        Raises:
            OSError: The folder cannot be written or the disk is full; nothing is left behind.
        """
        place = place_of(self.folder, key)
        waiting = self._waiting()
        waiting.mkdir(parents=True)
        came = 0
        try:
            write_entry(waiting, key, files, stage=stage, version=version, sync=sync)
            size = bytes_on_disk(waiting)
            place.parent.mkdir(parents=True, exist_ok=True)
            with tally(self.folder, alone=False):
                self._use(key)
            if not place.exists():
                # Another process may have put the same result since: rename then fails.
                with contextlib.suppress(FileExistsError):
                    _rename(waiting, place)
                    came = size
                    if sync:
                        storage.sync(place.parent)
        finally:
            shutil.rmtree(waiting, ignore_errors=True)
            self._sweep()
        self._keep_within_limit(came)

    def release(self, keys: Iterable[str] | None = None) -> None:
        """Say that this process uses entries no more, all of them unless told: they may go."""
        if self.folder.exists():
            with tally(self.folder, alone=False):
                self._pins.release(keys)
        self._next_try_bytes = 0

    def discard(self, key: str) -> None:
        """Remove an entry, even one in use; harmless where there is none.

        Raises:
            OSError: It cannot be removed.
        """
        place = place_of(self.folder, key)
        if not place.exists():
            return
        gone = self._waiting()
        gone.parent.mkdir(parents=True, exist_ok=True)
        with tally(self.folder, alone=True) as held, contextlib.suppress(FileNotFoundError):
            size = bytes_on_disk(place)
            place.rename(gone)
            held.change(-size)
        shutil.rmtree(gone, ignore_errors=True)

    def entries(self) -> list[Entry]:
        """Return what is kept, the last used first."""
        return sorted(list_entries(self.folder), key=lambda entry: entry.used, reverse=True)

    def prune(
        self,
        *,
        stage: str | None = None,
        unused_for_seconds: float = 0.0,
        to_bytes: int = 0,
        dry: bool = False,
    ) -> Pruned:
        """Remove entries, those first that were not used for longest.

        Args:
            stage: Only results of this stage.
            unused_for_seconds: Only those that were not used for as long.
            to_bytes: Stop when all entries together take no more.
            dry: Only say what would be removed.

        Raises:
            OSError: The folder cannot be written.
        """
        latest = time.time() - unused_for_seconds

        def may_go(entry: Entry) -> bool:
            return (unused_for_seconds <= 0 or entry.used <= latest) and (
                stage is None or entry.stage == stage
            )

        if not self.folder.exists():
            return Pruned((), (), 0)
        return self._prune(may_go, to_bytes, dry=dry)

    def _prune(self, may_go: Callable[[Entry], bool], to_bytes: int, *, dry: bool) -> Pruned:
        removed: list[Entry] = []
        in_use: list[Entry] = []
        gone: list[Path] = []
        (self.folder / "waiting").mkdir(exist_ok=True)
        try:
            with tally(self.folder, alone=True) as held:
                pins = self._pins.of_all()
                entries = sorted(list_entries(self.folder), key=lambda entry: entry.used)
                left = sum(entry.size_bytes for entry in entries)
                try:
                    for entry in entries:
                        if left <= to_bytes:
                            break
                        if not may_go(entry):
                            continue
                        if entry.key in pins:
                            in_use.append(entry)
                            continue
                        if not dry:
                            # What is said of it later is read while it is there.
                            _ = entry.manifest
                            gone.append(self._waiting())
                            entry.folder.rename(gone[-1])
                        removed.append(entry)
                        left -= entry.size_bytes
                finally:
                    held.count(left if not dry else sum(entry.size_bytes for entry in entries))
        finally:
            for folder in gone:
                shutil.rmtree(folder, ignore_errors=True)
        return Pruned(tuple(removed), tuple(in_use), left)

    def _keep_within_limit(self, came_bytes: int) -> None:
        """Note what came, and make room where it was too much; the entry is kept in any case."""
        with contextlib.suppress(OSError, InputError):
            limit = limit_of(self.folder).size_bytes
            with tally(self.folder, alone=True) as held:
                held.change(came_bytes)
                size, counted = held.size_bytes, held.counted
            if limit is None:
                return
            if size is None:
                # Where the tally cannot be locked nobody knows, and each look takes long.
                if time.monotonic() < self._next_count:
                    return
                self._next_count = time.monotonic() + UNLOCKED_COUNTED_EVERY_SECONDS
            if size is None or time.time() - counted > COUNTED_EVERY_SECONDS:
                size = self._count()
            if size > limit and size >= self._next_try_bytes:
                aim = int(limit * _FILLED_AFTER_PRUNING)
                left = self._prune(lambda _entry: True, aim, dry=False).left_bytes
                # Where all the rest is in use, looking again after each put would be in vain.
                self._next_try_bytes = (
                    left + int(limit * _GROWTH_UNTIL_NEXT_TRY) if left > limit else 0
                )

    def _count(self) -> int:
        with tally(self.folder, alone=True) as held:
            size = sum(entry.size_bytes for entry in list_entries(self.folder))
            held.count(size)
            return size

    def _use(self, key: str) -> None:
        """Note that this process uses an entry, and that it was used last now."""
        self._pins.add(key)
        # Not the time of access, which many disks do not keep.
        with contextlib.suppress(OSError):
            os.utime(place_of(self.folder, key))

    def _waiting(self) -> Path:
        return self.folder / "waiting" / uuid.uuid4().hex

    def _sweep(self) -> None:
        """Remove what killed processes left half written a day ago or more."""
        oldest = time.time() - ABANDONED_AFTER_SECONDS
        with contextlib.suppress(OSError):
            for folder in (self.folder / "waiting").iterdir():
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if target.exists():
            raise FileExistsError(target) from None
        raise
