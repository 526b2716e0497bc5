"""What runs on a Ray cluster: the task that folds, and the mailbox between it and who gave it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itda.cluster.work import Done, Event, Outcome, Work
from itda.engine.stop import Stop

SEND_EVERY_SECONDS = 0.3

_performers: dict[str, Any] = {}
"""The one performer of this process, which keeps its model between tasks, by its options."""


@dataclass
class Parcel:
    """What a task says at once.

    Attributes:
        number: Of the work.
        events: What happened, by task.
        outcomes: What came of tasks, with the content of their files by kind.
    """

    number: str
    events: list[tuple[str, Sequence[Event]]] = field(default_factory=list)
    outcomes: list[tuple[str, Outcome, dict[str, bytes]]] = field(default_factory=list)


@dataclass(frozen=True)
class Packed:
    """Work with the content of its files, by task and name."""

    work: Work
    files: Mapping[str, Mapping[str, bytes]]


class Mailbox:
    """An actor: tasks leave parcels and learn whether they are to stop."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []
        self._stops: dict[str, float] = {}

    def leave(self, parcel: Parcel) -> float | None:
        """Take a parcel; say how much grace the work has where it is to stop."""
        self._parcels.append(parcel)
        return self._stops.get(parcel.number)

    def stop(self, number: str, grace_seconds: float) -> None:
        """Let work stop when it next leaves a parcel."""
        self._stops[number] = min(grace_seconds, self._stops.get(number, grace_seconds))

    def take(self) -> list[Parcel]:
        """Return the parcels that came since it was last asked."""
        taken, self._parcels = self._parcels, []
        return taken


def pack(work: Work) -> Packed:
    """Read the files that work names."""
    files = {
        task.key: {path.name: path.read_bytes() for path in task.inputs.iterdir()}
        for task in work.tasks
        if task.inputs is not None
    }
    return Packed(work, files)


def unpack(outcome: Outcome, files: Mapping[str, bytes], folder: Path) -> Outcome:
    """Write the files of an outcome to a folder.

    Raises:
        OSError: It cannot be written.
    """
    if not isinstance(outcome, Done):
        return outcome
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / Path(path).name for kind, path in outcome.files.items()}
    for kind, path in paths.items():
        path.write_bytes(files[kind])
    return dataclasses.replace(outcome, files=paths)


def perform(
    number: str,
    packed: Packed,
    mailbox: Any,
    options: Mapping[str, Any],
    setup: Callable[[], None] | None,
) -> None:
    """Do work in this process of the cluster; its outcomes go to the mailbox."""
    stop = Stop()
    sender = _Sender(number, mailbox, stop)
    with tempfile.TemporaryDirectory(prefix="itda-ray-") as folder, sender:
        performer = _performer(options, setup)
        performer.perform(_laid_out(packed, Path(folder)), sender.tell, sender.end, stop)
    if performer.spoilt:
        # Another process takes its place; everything has been sent.
        os._exit(1)


def _performer(options: Mapping[str, Any], setup: Callable[[], None] | None) -> Any:
    key = repr(sorted(options.items()))
    if key not in _performers:
        if setup is not None:
            setup()
        from itda.cluster.perform import Performer

        _performers.clear()
        _performers[key] = Performer(**options)
    return _performers[key]


def _laid_out(packed: Packed, folder: Path) -> Work:
    """Write the files that work names to a folder of this machine."""
    tasks = []
    for place, task in enumerate(packed.work.tasks):
        inputs = None
        if task.inputs is not None:
            inputs = folder / str(place) / "inputs"
            inputs.mkdir(parents=True)
            for name, content in packed.files[task.key].items():
                (inputs / name).write_bytes(content)
        output = folder / str(place) / "output"
        tasks.append(dataclasses.replace(task, inputs=inputs, output=output))
    return dataclasses.replace(packed.work, tasks=tuple(tasks))


class _Sender:
    """Leaves parcels several times a second, and asks the work to stop where the answer says so."""

    def __init__(self, number: str, mailbox: Any, stop: Stop) -> None:
        self._number = number
        self._mailbox = mailbox
        self._stop = stop
        self._parcel = Parcel(number)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, name="sender", daemon=True)

    def tell(self, key: str, events: Sequence[Event]) -> None:
        with self._lock:
            self._parcel.events.append((key, events))

    def end(self, key: str, outcome: Outcome) -> None:
        paths = outcome.files if isinstance(outcome, Done) else {}
        files = {kind: path.read_bytes() for kind, path in paths.items()}
        with self._lock:
            self._parcel.outcomes.append((key, outcome, files))

    def __enter__(self) -> _Sender:
        self._send()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._send()

    def _keep_sending(self) -> None:
        while not self._ended.wait(SEND_EVERY_SECONDS):
            self._send()

    def _send(self) -> None:
        import ray

        with self._lock:
            parcel, self._parcel = self._parcel, Parcel(self._number)
        grace = ray.get(self._mailbox.leave.remote(parcel))
        if grace is not None:
            self._stop.ask(grace)
