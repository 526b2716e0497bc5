"""A folder for one long computation that survives a kill and has one user at a time."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from itda.progress import Progress
from itda.storage import locked
from itda.store.store import Store

ABANDONED_AFTER_SECONDS = 7 * 24 * 3600.0

_POLL_SECONDS = 0.2
_LOCK_SUFFIX = ".lock"
_KEY = re.compile(r"[0-9a-f]{64}")


class Workplace:
    """Where a computation leaves its steps.

    Attributes:
        folder: Empty, or as a killed computation of the same key left it.
        problem: Why it goes with the computation though there is a store; else empty.
        waited_seconds: For another process that had it.
    """

    def __init__(self, folder: Path, problem: str = "", waited_seconds: float = 0.0) -> None:
        self.folder = folder
        self.problem = problem
        self.waited_seconds = waited_seconds
        self._finished = False

    def finish(self) -> None:
        """Say that the result is kept elsewhere and the steps are needed no more."""
        self._finished = True

    @property
    def finished(self) -> bool:
        """Whether the folder may go."""
        return self._finished


@contextlib.contextmanager
def workplace(store: Store | None, key: str, progress: Progress) -> Iterator[Workplace]:
    """Give the folder of a key, to one user at a time.

    It stands below the store, so that the next run finds what a killed one left, and goes when
    the user says `finish`. Without a store, or where that cannot be written or locked, it is a
    temporary folder, and for the latter says so.

    Args:
        store: Where results are kept.
        key: Of the result.
        progress: Told while another process has the folder; may raise to stop waiting.
    """
    with contextlib.ExitStack() as stack:
        folder, problem = None, ""
        began = time.perf_counter()
        if store is not None:
            root = work_folder(store)
            try:
                root.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(OSError):
                    _sweep(root)
                stack.enter_context(_alone(root / f"{key}{_LOCK_SUFFIX}", progress))
                (root / key).mkdir(exist_ok=True)
                folder = root / key
            except OSError as error:
                problem = (
                    "the steps of this search cannot be kept, and if it is stopped it begins "
                    f"anew: {root}: {error.strerror or error}"
                )
        if folder is None:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="itda-work-"))
            yield Workplace(Path(name), problem)
            return
        place = Workplace(folder, waited_seconds=time.perf_counter() - began)
        yield place
        if place.finished:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock that the system takes back when the process dies, however it dies."""

    def wait(_holder: str) -> None:
        progress(0.0, "another run does this; waiting for it")
        time.sleep(_POLL_SECONDS)

    with locked(lock, on_busy=wait):
        yield


def work_folder(store: Store) -> Path:
    """Return where the folders of long computations are."""
    return store.folder / "work"


def clear_work(store: Store) -> tuple[int, int]:
    """Remove what stopped computations left behind, so that the next ones begin anew.

    Returns:
        How many folders went, and how many stay because a running process has them.
    """
    root = work_folder(store)
    gone = busy = 0
    if not root.is_dir():
        return 0, 0
    for folder in list(root.iterdir()):
        # Whoever names a folder of another kind as the store loses nothing.
        if _KEY.fullmatch(folder.name):
            if _remove(folder):
                gone += 1
            else:
                busy += 1
    return gone, busy


def _sweep(root: Path) -> None:
    """Remove what was left by runs that nobody took up again."""
    oldest = time.time() - ABANDONED_AFTER_SECONDS
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if folder.suffix != _LOCK_SUFFIX and folder.stat().st_mtime < oldest:
                _remove(folder)


def _remove(folder: Path) -> bool:
    """Remove a folder unless a process has it; returns whether it went."""
    try:
        with _alone(folder.with_name(f"{folder.name}{_LOCK_SUFFIX}"), refuse_to_wait):
            shutil.rmtree(folder, ignore_errors=True)
    except BusyError:
        return False
    return True


class BusyError(Exception):
    """Another process has the folder."""


def refuse_to_wait(_fraction: float, _message: str) -> None:
    """Raise BusyError; as the progress of `workplace`, in place of waiting."""
    raise BusyError
