"""What a worker writes down of a job: its events, its files, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from itda.cluster.work import Done, Failed, Lost, Outcome
from itda.server.artefacts import Artefacts
from itda.server.queue.queue import Queue
from itda.server.queue.records import FileRecord
from itda.server.work.held import Held
from itda.server.work.patience import PASSING, insist

FILES_AT_ONCE = 4
PUT_FILES_SECONDS = 60.0
"""How long files of a result are tried to be kept before the job is given back."""


class Records:
    """Writes into the queue and the artefact folder.

    Args:
        queue: Takes events and what comes of jobs.
        artefacts: Keeps files of results.
    """

    def __init__(self, queue: Queue, artefacts: Artefacts) -> None:
        self._queue = queue
        self._artefacts = artefacts
        self._hands = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="files")

    def write_events(self, held: Held) -> bool:
        """Write down what happened to a job since the last time; False where its lease is lost.

        Raises:
            Exception: It cannot be written; the events are kept for the next time.
        """
        events = held.take_events()
        if not events or held.lost:
            return True
        try:
            return self._queue.record(held.claim, events)
        except PASSING:
            held.put_back(events)
            raise

    def keep_files(self, done: Done, *, give_up: Callable[[], bool]) -> list[FileRecord]:
        """Put the files of a result into the artefact folder.

        Args:
            done: Names them.
            give_up: Asked after each failure, beside the time that is left.

        Raises:
            Exception: They cannot be kept in the time that there is.
        """
        end = time.monotonic() + PUT_FILES_SECONDS

        def put(kind: str, path: Path) -> FileRecord:
            digest, size = insist(
                lambda: self._artefacts.put(path),
                "keeping a result",
                give_up=lambda: give_up() or time.monotonic() >= end,
            )
            return FileRecord(kind=kind, name=path.name, digest=digest, bytes=size)

        # Each waits for the disk, which takes several at once in hardly more time than one.
        return list(self._hands.map(put, done.files.keys(), done.files.values()))

    def write_outcome(self, held: Held, outcome: Outcome, files: Sequence[FileRecord]) -> bool:
        """Write down what came of a job; False where its lease is lost."""
        claim, seconds = held.claim, held.device_seconds
        if isinstance(outcome, Done):
            return self._queue.finish(claim, files, outcome.summary, device_seconds=seconds)
        if isinstance(outcome, Failed):
            return self._queue.fail(claim, outcome.error, device_seconds=seconds)
        if isinstance(outcome, Lost):
            return self._queue.crashed(claim, outcome.log, device_seconds=seconds)
        reason, wait = outcome.hindrance, held.waits
        return self._queue.stopped(claim, wait_seconds=wait, reason=reason, device_seconds=seconds)

    def clear(self, held: Held) -> None:
        """Remove the folder of a job without waiting for it."""
        self._hands.submit(held.clear)

    def close(self) -> None:
        """Wait for what is under way."""
        self._hands.shutdown()
