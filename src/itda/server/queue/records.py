"""What the queue takes and gives: values, without a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any


class State(StrEnum):
    """Where a job is; the last three are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it unless it is retried."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Priority(IntEnum):
    """Classes of jobs: one is served before the next, and fair shares hold within each."""

    URGENT = 0
    NORMAL = 1
    BACKGROUND = 2


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A file of a job.

    Attributes:
        kind: Of a result, as `itda.results.files.file_names` calls it; of an input its name.
        name: The name under which it is offered.
        digest: SHA-256 of its content, under which the artefact folder has it.
        bytes: Its size.
    """

    kind: str
    name: str
    digest: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to be queued, checked and planned already.

    Attributes:
        name: As its owner wrote it.
        family: Name of the model family.
        document: `Job.to_dict()`.
        settings: Of its run: `seed`, `samples`, `effort`, `recycles`, `msa`, `databases`, ….
        tokens: Of all chains.
        need_bytes: Peak memory that the plan predicts.
        need_seconds: Seconds on the device that the plan predicts.
        device_kind: `cpu` or `gpu`.
        inputs: Files that the document names, which are in the artefact folder.
    """

    name: str
    family: str
    document: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0
    need_bytes: int = 0
    need_seconds: float = 0.0
    device_kind: str = "cpu"
    inputs: tuple[FileRecord, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as the books have it; see the table `jobs` for the meaning of each field."""

    id: str
    organisation_id: str
    project_id: str
    user_id: str
    submission_id: str
    position: int
    name: str
    family: str
    document: Mapping[str, Any]
    settings: Mapping[str, Any]
    tokens: int
    need_bytes: int
    need_seconds: float
    device_kind: str
    priority: Priority
    state: State
    created_at: float
    started_at: float | None
    finished_at: float | None
    cancel_requested_at: float | None
    attempts: int
    crashes: int
    fraction: float
    message: str
    error: Mapping[str, str] | None
    summary: Mapping[str, Any] | None
    revision: int


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage of a job; see the table `stages`."""

    name: str
    position: int
    state: str
    attempt: int
    started_at: float
    finished_at: float | None
    seconds: float | None
    cached: bool
    fraction: float
    message: str


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """Something that happened to a job; `id` grows, so that a reader can go on after one."""

    id: int
    job_id: str
    time: float
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a worker can take at once.

    Attributes:
        device_kind: `cpu` or `gpu`; a worker with a GPU takes jobs of both kinds.
        memory_bytes: Free on that device.
        whole_bytes: What would be free if the worker did nothing: its host is held for a job that
            needs more than is free, and no more than this. 0 where none is to be held.
        jobs: Most jobs to claim.
        seconds: Only jobs that are predicted to take no more.
    """

    device_kind: str = "cpu"
    memory_bytes: int = 2**62
    whole_bytes: int = 0
    jobs: int = 1
    seconds: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that a worker holds: only `lease_id` entitles to write to it.

    Attributes:
        job: What is to be done.
        inputs: Files that its document names.
        lease_id: Of this claim alone.
        attempt: 1 for the first.
        expires_at: When it is taken away, unless a heartbeat comes before.
    """

    job: JobRecord
    inputs: tuple[FileRecord, ...]
    lease_id: str
    attempt: int
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What a heartbeat tells the worker.

    Attributes:
        kept: Leases that it still holds.
        lost: Leases that it holds no longer: their work is to be dropped.
        cancelled: Leases, still held, whose job is to be stopped.
        draining: Whether it is to take nothing new.
    """

    kept: frozenset[str]
    lost: frozenset[str]
    cancelled: frozenset[str]
    draining: bool


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some jobs of a longer list, newest first.

    Attributes:
        jobs: These.
        next_before: Ask for what comes `before` this key; None at the end.
        total: How many there are in all.
    """

    jobs: tuple[JobRecord, ...]
    next_before: str | None
    total: int


@dataclass(frozen=True, kw_only=True)
class NewWorker:
    """A worker that begins.

    Attributes:
        host: Name of its machine.
        process: Its number there.
        executor: How it runs work.
        device_kind: `cpu` or `gpu`.
        device: The device, for people.
        memory_bytes: Of the device.
    """

    host: str
    process: int
    executor: str
    device_kind: str
    device: str
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class WorkerRecord(NewWorker):
    """A worker as the books have it; its state is `active`, `draining` or `gone`."""

    id: str
    started_at: float
    heartbeat_at: float
    state: str


@dataclass(frozen=True, kw_only=True)
class UsageLine:
    """What one user used in one project, on one kind of device, in one month.

    Attributes:
        month: `2026-11`, in UTC; an attempt belongs to the month in which it ended.
        organisation: Name of the organisation.
        project_id: Key of the project.
        project: Its name.
        user_id: Key of the user.
        user: The user's e-mail address.
        device_kind: `cpu` or `gpu`.
        device_seconds: Seconds that devices were held.
        attempts: How often a job was begun.
        done: Jobs that were folded.
        failed: Jobs that failed, those set aside included.
        cancelled: Jobs that were cancelled while they ran.
    """

    month: str
    organisation: str
    project_id: str
    project: str
    user_id: str
    user: str
    device_kind: str
    device_seconds: float
    attempts: int
    done: int
    failed: int
    cancelled: int

    @property
    def jobs(self) -> int:
        """Jobs that ended."""
        return self.done + self.failed + self.cancelled


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How much may be used in a day or a month; see the table `quotas`."""

    id: str
    level: str
    owner_id: str
    device_kind: str
    device_seconds: float
    period: str


@dataclass(frozen=True, kw_only=True)
class QuotaStatus(Quota):
    """A quota and what is used of it.

    Attributes:
        used_seconds: Of the books in this period, and what runs now.
        renews_at: When the next period begins, in seconds since 1970.
    """

    used_seconds: float
    renews_at: float
