"""Outcomes of tasks: on their way through pipes, and until somebody asks for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itda.cluster.work import Done, Failed, Lost, Outcome, Stopped, Task, Work


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON values."""
    if isinstance(outcome, Done):
        files = {kind: str(path) for kind, path in outcome.files.items()}
        return {"done": {"files": files, "summary": dict(outcome.summary)}}
    if isinstance(outcome, Failed):
        return {"failed": {"error": dict(outcome.error), "traceback": outcome.traceback}}
    if isinstance(outcome, Stopped):
        return {"stopped": {"hindrance": outcome.hindrance}}
    return {"lost": {"log": outcome.log}}


def outcome_from_dict(data: Mapping[str, Any]) -> Outcome:
    """The other way.

    >>> outcome_from_dict(outcome_to_dict(Stopped(hindrance="disk full")))
    Stopped(hindrance='disk full')
    """
    ((kind, fields),) = data.items()
    if kind == "done":
        files = {name: Path(path) for name, path in fields["files"].items()}
        return Done(files=files, summary=fields["summary"])
    kinds: dict[str, type[Failed | Stopped | Lost]] = {
        "failed": Failed, "stopped": Stopped, "lost": Lost,
    }  # fmt: skip
    return kinds[kind](**fields)


class Outcomes:
    """Which tasks of some work are open, and the outcomes that nobody has asked for yet.

    May be used from several threads.
    """

    def __init__(self, work: Work) -> None:
        self._lock = threading.Lock()
        self._open = {task.key: task for task in work.tasks}
        self._fresh: list[tuple[str, Outcome]] = []

    @property
    def open(self) -> tuple[Task, ...]:
        """Tasks that have not ended."""
        with self._lock:
            return tuple(self._open.values())

    @property
    def taken(self) -> bool:
        """Whether all have ended, and `take` has given every outcome."""
        with self._lock:
            return not self._open and not self._fresh

    def end(self, key: str, outcome: Outcome) -> None:
        """Note an outcome; a task has one, the first."""
        with self._lock:
            if self._open.pop(key, None) is not None:
                self._fresh.append((key, outcome))

    def end_all(self, outcome: Outcome) -> None:
        """Give all that are open the same outcome."""
        for task in self.open:
            self.end(task.key, outcome)

    def close(self) -> None:
        """Take note that nothing more comes: what is open though all work has ended is lost."""
        self.end_all(Lost(log="the work ended without a word of what came of it"))

    def take(self) -> list[tuple[str, Outcome]]:
        """Return the outcomes that came since it was last asked."""
        with self._lock:
            taken, self._fresh = self._fresh, []
        return taken
