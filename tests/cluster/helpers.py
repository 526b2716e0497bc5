"""Work for executors, and what comes of it."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from itda.cluster.work import Executor, Outcome, Running, Task, Work
from itda.job.model import Job
from tests.patience import PATIENCE_SECONDS

CHILD = (sys.executable, str(Path(__file__).parent / "steered_family.py"))


def sequence_of(name: str) -> str:
    """Give 16 residues, others for each name: what is equal but for its name is folded once."""
    return "M" + "".join(random.Random(name).choices("ACDEFGHIKLNPQRSTVWY", k=15))


def task(
    folder: Path,
    name: str,
    *,
    sequence: str = "",
    metadata: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Task:
    job = Job.from_sequence(name, sequence or sequence_of(name)).replace(
        metadata=dict(metadata or {})
    )
    return Task(
        key=f"key-{name}",
        family="mini",
        document=job.to_dict(),
        settings=settings,
        output=folder / "output" / name,
    )


def work(folder: Path, *tasks: Task) -> Work:
    return Work(tasks=tasks, stages=folder / "stages")


class Told:
    """Notes what is reported."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self._changed = threading.Condition()

    def __call__(self, key: str, events: Sequence[Mapping[str, Any]]) -> None:
        with self._changed:
            self.events += [(key, event) for event in events]
            self._changed.notify_all()

    def of(self, key: str) -> list[str]:
        return [event["event"] for told, event in self.events if told == key]

    def wait_for(self, key: str, kind: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: kind in self.of(key), PATIENCE_SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def outcomes(running: Running) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}

    def ended() -> bool:
        found.update(running.poll())
        return running.ended

    wait_until(ended)
    return found


def run(executor: Executor, some: Work) -> tuple[dict[str, Outcome], Told]:
    told = Told()
    return outcomes(executor.start(some, told)), told
