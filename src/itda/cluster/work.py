"""What an executor is given, what it tells, and what comes of it.

An executor runs work and knows nothing of queues: it has no database, renews no lease, and tries
nothing twice. Whoever gives it work decides what an outcome means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Event = Mapping[str, Any]
"""As `itda.engine.events.Event.to_dict` gives it."""

Report = Callable[[str, Sequence[Event]], None]
"""Takes the key of a task and what happened to it; called from any thread, and must not wait."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One job to fold.

    Attributes:
        key: Whoever gave it knows it by this; of one piece of work no two are equal.
        family: Name of the model family.
        document: `Job.to_dict()`; files that it names are looked for in `inputs`.
        settings: Of the run, all optional: `seed`, `samples`, `effort`, `recycles`, `msa`,
            `databases`, `templates`, `max_template_date`, `max_template_identity`,
            `template_count`, `deterministic`, and `weights`, the name of a published set.
        inputs: The folder of its files; None where it names none.
        output: The folder that its files go to; made if missing.
    """

    key: str
    family: str
    document: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Path | None = None
    output: Path

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "key": self.key,
            "family": self.family,
            "document": dict(self.document),
            "settings": dict(self.settings),
            "inputs": None if self.inputs is None else str(self.inputs),
            "output": str(self.output),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Task:
        """The other way."""
        inputs = data["inputs"]
        paths = {"inputs": None if inputs is None else Path(inputs), "output": Path(data["output"])}
        return cls(**{**data, **paths})


@dataclass(frozen=True, kw_only=True)
class Work:
    """Jobs that are done together, in one process; each ends on its own.

    Attributes:
        tasks: The jobs.
        stages: The folder of finished stages; None where none are kept.
        need_bytes: Peak memory that is predicted, for placement; 0 where it is not known.
        device_kind: `cpu` or `gpu`: the kind of device that it is placed on.
    """

    tasks: tuple[Task, ...]
    stages: Path | None = None
    need_bytes: int = 0
    device_kind: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "tasks": [task.to_dict() for task in self.tasks],
            "stages": None if self.stages is None else str(self.stages),
            "need_bytes": self.need_bytes,
            "device_kind": self.device_kind,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Work:
        """The other way."""
        stages = data["stages"]
        return cls(
            tasks=tuple(Task.from_dict(task) for task in data["tasks"]),
            stages=None if stages is None else Path(stages),
            need_bytes=data["need_bytes"],
            device_kind=data["device_kind"],
        )


@dataclass(frozen=True, kw_only=True)
class Done:
    """The job was folded.

    Attributes:
        files: By what they are, as `itda.results.files.file_names` calls them.
        summary: `residues`, `mean_plddt`, `ptm`, `verdict`, `samples`, `cached`, `seconds`, and
            `warnings` where there are any.
    """

    files: Mapping[str, Path]
    summary: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The job cannot be done.

    Attributes:
        error: `kind`, `problem`, `hint`.
        traceback: For the log, where it is a fault of the program's; else empty.
    """

    error: Mapping[str, str]
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The job was not ended, through no fault of its own; finished stages are kept.

    Attributes:
        hindrance: What the machine could not do, such as write to a full disk; empty where the work
            was asked to stop.
    """

    hindrance: str = ""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The process died, was killed, or lost its device.

    Attributes:
        log: How it ended and what it last wrote.
    """

    log: str


Outcome = Done | Failed | Stopped | Lost


class Running(Protocol):
    """Work under way."""

    def poll(self) -> list[tuple[str, Outcome]]:
        """Return the tasks that ended since it was last asked, by their keys; does not wait."""
        ...

    @property
    def began(self) -> bool:
        """Whether it is under way, and waits for no place to be."""
        ...

    @property
    def ended(self) -> bool:
        """Whether `poll` has given the outcome of every task."""
        ...

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Ask it to stop, at the end of a stage, or once the grace is over in the middle of one.

        What is not done by then ends as `Stopped`. May be called again with less grace.
        """
        ...

    def kill(self) -> None:
        """End it now; what is not done ends as `Lost`."""
        ...


class Executor(Protocol):
    """Runs work somewhere."""

    @property
    def name(self) -> str:
        """For people: `this process`, `processes`, `ray`."""
        ...

    @property
    def slots(self) -> int:
        """How much work it runs at once."""
        ...

    @property
    def device(self) -> str:
        """The device that it folds on, for people."""
        ...

    @property
    def device_kind(self) -> str:
        """`cpu` or `gpu`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory of the device, the largest where there are several."""
        ...

    def free_bytes(self) -> int:
        """Return the memory that the next work may need, by what is predicted of that under way."""
        ...

    def start(self, work: Work, report: Report) -> Running:
        """Start work.

        Args:
            work: What is to be done.
            report: Told what happens.

        Raises:
            OSError: No process can be started now.
        """
        ...

    def close(self) -> None:
        """End all that it keeps ready; work under way ends as `Lost`."""
        ...
