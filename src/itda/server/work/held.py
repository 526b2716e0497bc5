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
from itda.language import Message
from itda.server.artefacts import Artefacts
from itda.server.queue.records import Claim
from itda.server.settings import hours_shown

OVERRAN = "TimeLimit"
"""Kind of the error of a job that ran too long."""


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
        self.waits = 0.0
        """How long nobody is to take it after it was given back, in seconds."""
        self.stage = ""
        """The stage that is under way in the run."""
        self._last = ""
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
                self._follow(event)
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
                    raise InputError(
                        Message("input {record!r}: is no name of a file", record=record.name[:80])
                    )
                _link_or_copy(artefacts.path(record.digest), inputs / record.name)
        return Task(
            key=self.lease_id,
            family=job.family,
            document=job.document,
            settings=job.settings,
            inputs=inputs,
            output=self.folder / "output",
        )

    def overran(self, seconds: float, most_seconds: float) -> dict[str, str]:
        """Return the error of a job that has run too long.

        Args:
            seconds: How long it ran.
            most_seconds: How long it may.
        """
        return {
            "kind": OVERRAN,
            "problem": f"it ran for {hours_shown(seconds)} and was stopped: a job may run for "
            f"{hours_shown(most_seconds)}; {self._last or 'it had begun no stage'}",
            "hint": "fewer samples or recycles take less time; a retry goes on from the stages "
            "that are finished; whoever runs the server may raise ITDA_JOB_HOURS",
        }

    def _follow(self, event: Mapping[str, Any]) -> None:
        kind, stage = event.get("event"), str(event.get("stage", ""))
        if kind in ("stage_started", "stage_progress"):
            self.stage = stage
            self._last = f"it was in its stage {stage}"
            if kind == "stage_progress":
                said = f": {event['message']}" if event.get("message") else ""
                self._last += f", {100 * event.get('fraction', 0.0):.0f} % through{said}"
        elif kind == "stage_finished":
            self.stage = ""
            self._last = f"its stage {stage} was finished"

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
        self.late: dict[str, Held] = {}
        """Jobs that may be why it took too long, once it has."""
        self.late_seconds = 0.0
        """How long it had taken then."""
        self.running: Running | None = None
        self._charged_until = time.monotonic()
        self._runs_since: float | None = None

    def charge(self) -> None:
        """Share the time since it was last called out among the jobs that are open."""
        now = time.monotonic()
        for held in self.open.values():
            held.device_seconds += (now - self._charged_until) / len(self.open)
        self._charged_until = now

    def watch(self, most_seconds: float, *, ended: bool) -> bool:
        """Say whether it takes too long for the first time, and note which jobs may be why.

        Args:
            most_seconds: How long it may take.
            ended: Whether one of its jobs has just ended: for the next the time begins anew.
        """
        now = time.monotonic()
        if self._runs_since is None or ended:
            self._runs_since = now if self.running is not None and self.running.began else None
        if self._runs_since is None or self.late or not self.open:
            return False
        self.late_seconds = now - self._runs_since
        if self.late_seconds < most_seconds:
            return False
        at_it = {key: held for key, held in self.open.items() if held.stage}
        self.late = at_it or dict(self.open)
        return True


def _overtakes(event: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    return event.get("event") == earlier.get("event") == "stage_progress" and event.get(
        "stage"
    ) == earlier.get("stage")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that has no links
        shutil.copyfile(source, target)
