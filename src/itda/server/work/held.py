"""A job that a worker holds: its folder, and what happened to it that is not written down yet."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from itda.cluster.work import Running, Task
from itda.errors import InputError
from itda.server.artefacts import Artefacts
from itda.server.queue.records import Claim


class Held:
    """A claimed job.

    Args:
        claim: What entitles to it.
        folder: Where its files go meanwhile; removed by `clear`.
    """

    def __init__(self, claim: Claim, folder: Path) -> None:
        self.claim = claim
        self.folder = folder
        self.cancelled = False
        """Whether its owner wants it stopped."""
        self.lost = False
        """Whether the lease went to others: nothing of it is to be written."""
        self.alone = claim.job.crashes > 0
        """Whether it must not share a process: somebody's process died of it, or of its company."""
        self.device_seconds = 0.0
        """Its share of the time that devices were held."""
        self.written_at = 0.0
        """When events were last written, in seconds that pass."""
        self._lock = threading.Lock()
        self._events: list[Mapping[str, Any]] = []

    @property
    def lease_id(self) -> str:
        """The lease."""
        return self.claim.lease_id

    def note(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep events until they are written; of progress of one stage the last."""
        with self._lock:
            for event in events:
                if self._events and _overtakes(event, self._events[-1]):
                    self._events.pop()
                self._events.append(event)

    def take_events(self) -> list[Mapping[str, Any]]:
        """Return the events that are not written yet, for writing."""
        with self._lock:
            taken, self._events = self._events, []
        if taken:
            self.written_at = time.monotonic()
        return taken

    def put_back(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep events after all, which could not be written."""
        with self._lock:
            self._events[:0] = events

    def task(self, artefacts: Artefacts) -> Task:
        """Lay out the files that it names, and return it as an executor takes it.

        Raises:
            NotFoundError: A file is not in the artefact folder.
            InputError: A file's name is a path.
            OSError: The folder cannot be written.
        """
        job = self.claim.job
        inputs = self.folder / "inputs" if self.claim.inputs else None
        if inputs is not None:
            shutil.rmtree(inputs, ignore_errors=True)
            inputs.mkdir(parents=True)
            for record in self.claim.inputs:
                if Path(record.name).name != record.name or record.name in (".", ".."):
                    raise InputError(f"input {record.name[:80]!r}: is no name of a file")
                _link_or_copy(artefacts.path(record.digest), inputs / record.name)
        return Task(
            key=self.lease_id,
            family=job.family,
            document=job.document,
            settings=job.settings,
            inputs=inputs,
            output=self.folder / "output",
        )

    def clear(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Run:
    """Jobs that are under way together."""

    def __init__(self, held: Sequence[Held]) -> None:
        self.open = {one.lease_id: one for one in held}
        self.suspects = 0
        """Jobs that were open when the process died; 0 where it has not."""
        self.stopping = False
        self.running: Running | None = None
        self._charged_until = time.monotonic()

    def charge(self) -> None:
        """Share the time since it was last called out among the jobs that are open."""
        now = time.monotonic()
        for held in self.open.values():
            held.device_seconds += (now - self._charged_until) / len(self.open)
        self._charged_until = now


def _overtakes(event: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    return event.get("event") == earlier.get("event") == "stage_progress" and event.get(
        "stage"
    ) == earlier.get("stage")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that has no links
        shutil.copyfile(source, target)
