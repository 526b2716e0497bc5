"""What happens while jobs run, as values that a terminal, a stream or a notebook can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from itda.errors import ItdaError, describe_error

if TYPE_CHECKING:
    from itda.results.result import Result


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to one job.

    Attributes:
        job: The name of the job, as the user wrote it.
        time: When it happened, in UTC.
    """

    kind: ClassVar[str] = "event"
    job: str
    time: datetime = field(default_factory=_now)

    def to_dict(self) -> dict[str, object]:
        """Return the event as JSON values: `event`, `job`, `time` and the fields of its kind."""
        return {
            "event": self.kind,
            "job": self.job,
            "time": self.time.isoformat(timespec="milliseconds"),
            **self._fields(),
        }

    def _fields(self) -> Mapping[str, object]:
        return {}


@dataclass(frozen=True, kw_only=True)
class JobStarted(Event):
    """A job is next; `position` counts from 1 among the `total` jobs of this run."""

    kind: ClassVar[str] = "job_started"
    position: int
    total: int

    def _fields(self) -> Mapping[str, object]:
        return {"position": self.position, "total": self.total}


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage of a job began."""

    kind: ClassVar[str] = "stage_started"
    stage: str

    def _fields(self) -> Mapping[str, object]:
        return {"stage": self.stage}


@dataclass(frozen=True, kw_only=True)
class StageProgress(Event):
    """A stage of a job is `fraction` (0 to 1) through; `message` says what it does now."""

    kind: ClassVar[str] = "stage_progress"
    stage: str
    fraction: float
    message: str = ""

    def _fields(self) -> Mapping[str, object]:
        return {"stage": self.stage, "fraction": round(self.fraction, 4), "message": self.message}


@dataclass(frozen=True, kw_only=True)
class StageFinished(Event):
    """A stage of a job is done.

    Attributes:
        stage: Its name.
        cached: True when an earlier run's result was found.
        seconds: What it took in this run.
        message: What came of it in a few words; empty where there is nothing to say.
    """

    kind: ClassVar[str] = "stage_finished"
    stage: str
    cached: bool
    seconds: float
    message: str = ""

    def _fields(self) -> Mapping[str, object]:
        return {
            "stage": self.stage,
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "message": self.message,
        }


@dataclass(frozen=True, kw_only=True)
class JobWarned(Event):
    """Something that did not stop the job but that its owner should know."""

    kind: ClassVar[str] = "job_warned"
    message: str

    def _fields(self) -> Mapping[str, object]:
        return {"message": self.message}


@dataclass(frozen=True, kw_only=True)
class JobFinished(Event):
    """A job is done."""

    kind: ClassVar[str] = "job_finished"
    result: Result

    def _fields(self) -> Mapping[str, object]:
        return {
            "residues": self.result.best.residue_count,
            "mean_plddt": round(self.result.mean_plddt, 2),
            "ptm": None if self.result.ptm is None else round(float(self.result.ptm), 4),
            "verdict": self.result.verdict.summary(),
            "samples": len(self.result.predictions),
            "cached": self.result.cached,
            "seconds": round(self.result.seconds, 3),
        }


@dataclass(frozen=True, kw_only=True)
class JobFailed(Event):
    """A job cannot be done; the others are not touched.

    Attributes:
        error: An `ItdaError` where the user can mend it, else what the program did not expect.
        traceback: For the log; empty where the error is the user's to mend.
        refused: True where it was refused before anything was computed.
        source: The file of a record that never became a job; "" for jobs.
    """

    kind: ClassVar[str] = "job_failed"
    error: Exception
    traceback: str = ""
    refused: bool = False
    source: str = ""

    @property
    def expected(self) -> bool:
        """True where the error is one that the user can mend."""
        return isinstance(self.error, ItdaError)

    def _fields(self) -> Mapping[str, object]:
        return {"refused": self.refused, "error": describe_error(self.error)}
