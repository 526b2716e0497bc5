"""What processes that share a store tell one another: which entries they use, how much there is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import uuid
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from itda.storage import locked

RUNNING = "running"
ALIVE_WITHOUT_LOCKS_SECONDS = 24 * 3600.0

_TALLY = "usage"


class Tally:
    """The bytes of a store's entries, as told by those who put and remove them.

    Attributes:
        size_bytes: The bytes; None where they must be counted.
        counted: When they were counted last, in seconds since 1970.

    Args:
        descriptor: Of its file, locked; None where it cannot be, and what others say of it is not
            known.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.size_bytes: int | None = None
        self.counted = 0.0
        if descriptor is not None:
            with contextlib.suppress(OSError, ValueError):
                size, counted = os.pread(descriptor, 64, 0).split()
                self.size_bytes, self.counted = int(size), float(counted)

    def change(self, by_bytes: int) -> None:
        """Note that so many bytes came or went."""
        if self.size_bytes is not None:
            self._write(self.size_bytes + by_bytes, self.counted)

    def count(self, size_bytes: int) -> None:
        """Note that all were counted."""
        self._write(size_bytes, time.time())

    def _write(self, size_bytes: int, counted: float) -> None:
        self.size_bytes, self.counted = max(size_bytes, 0), counted
        if self._descriptor is None:
            return
        # As long each time, so that no rest of an earlier one stands behind it. What cannot be
        # written is at worst counted anew.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, f"{self.size_bytes:30d} {counted:30.3f}\n".encode(), 0)


@contextlib.contextmanager
def tally(root: Path, *, alone: bool) -> Iterator[Tally]:
    """Give the tally of a store, with others or alone; nobody removes an entry meanwhile.

    Where the store cannot be written or locked it is given all the same, but empty, and what is
    noted in it reaches nobody: two that changed it at once would write down what is not so. What is
    removed meanwhile, a reader finds missing and computes anew.

    Args:
        root: The store's folder.
        alone: Whether all others wait; only then it may be changed.
    """
    with contextlib.ExitStack() as stack:
        locked_at = None
        with contextlib.suppress(OSError):
            descriptor = os.open(root / _TALLY, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            locked_at = descriptor
        yield Tally(locked_at)


class Pins:
    """The keys of entries that this process uses, in a file that it holds locked while it lives.

    All is done as well as the disk allows: what cannot be told to others is known here at least.

    Args:
        root: The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / RUNNING
        self._keys: set[str] = set()
        self._path: Path | None = None
        self._lock = threading.Lock()

    def add(self, key: str) -> None:
        """Say that an entry is used; in `tally`, with others."""
        with self._lock:
            if key in self._keys:
                return
            self._keys.add(key)
            with contextlib.suppress(OSError):
                if self._path is None:
                    self._path = self._open()
                with self._path.open("a", encoding="ascii") as file:
                    file.write(f"{key}\n")

    def release(self, keys: Iterable[str] | None = None) -> None:
        """Say that entries are used no more, all of them unless told; in `tally`, with others."""
        with self._lock:
            if keys is None:
                self._keys.clear()
            else:
                self._keys.difference_update(keys)
            if self._path is not None:
                with contextlib.suppress(OSError), self._path.open("r+", encoding="ascii") as file:
                    file.truncate(0)
                    file.writelines(f"{key}\n" for key in [str(os.getpid()), *self._keys])

    def of_all(self) -> set[str]:
        """Return the keys that any running process uses; in `tally`, alone."""
        with self._lock:
            found = set(self._keys)
        for path in _files(self._folder):
            with contextlib.suppress(OSError):
                found.update(_keys_of(path))
        return found

    def _open(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / uuid.uuid4().hex
        stack = contextlib.ExitStack()
        # Another process may look at the file just when it is new, for no longer than this.
        stack.enter_context(locked(path, on_busy=lambda _holder: time.sleep(0.01)))
        weakref.finalize(self, stack.close)
        return path


def _keys_of(path: Path) -> set[str]:
    """Return the keys that a process uses; none, and the file removed, where it has ended."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alive = False
        except BlockingIOError:
            alive = True
        except OSError:
            alive = os.fstat(descriptor).st_mtime > time.time() - ALIVE_WITHOUT_LOCKS_SECONDS
        if not alive:
            path.unlink(missing_ok=True)
            return set()
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return set(file.read().decode("ascii", "replace").split())
    finally:
        os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
