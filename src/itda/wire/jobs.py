"""Jobs as a server tells of them: their state, stages, events and files."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from itda.wire.base import Answer, Made
from itda.wire.inputs import PriorityName, RecordUnderstood

StateName = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED = ("done", "failed", "cancelled")
"""States after which nothing more happens to a job unless it is retried."""

_ID = "0193c7a1b2c3000102030405060708ab"
Key = Annotated[str, Field(examples=[_ID])]


class JobError(Made):
    """Why a job failed."""

    kind: Annotated[str, Field(examples=["CapabilityError"])]
    """Kind of error; `SetAside` where it ended its worker too often, `TimeLimit` where it took too
    long."""

    problem: str
    """What was found."""

    hint: str = ""
    """What would work instead."""

    log: str | None = None
    """The last output of the worker, of a job set aside."""


class JobView(Answer):
    """A job."""

    id: Key
    """Its key."""

    project: Key
    """Whose it is."""

    user: Key
    """Who submitted it."""

    submission: Key
    """Jobs that came in one request share it."""

    position: Annotated[int, Field(examples=[1])]
    """Place in that request, counted from 1."""

    name: Annotated[str, Field(examples=["ubiquitin"])]
    """As its owner wrote it."""

    family: Annotated[str, Field(examples=["mini"])]
    """The model family."""

    state: StateName
    """Where it is; the last three are ends."""

    priority: PriorityName
    """Its class."""

    fraction: Annotated[float, Field(ge=0, le=1, examples=[0.4])]
    """How far it is, 0 to 1."""

    message: Annotated[str, Field(examples=["structure module 3 of 8"])]
    """What is done now."""

    created_at: datetime.datetime
    """When it was submitted."""

    started_at: datetime.datetime | None
    """When a worker first took it."""

    finished_at: datetime.datetime | None
    """When it ended."""

    cancel_requested: bool
    """Whether its worker is to stop it."""

    attempts: int
    """How often a worker took it."""

    tokens: int
    """Residues of all chains."""

    need_bytes: int
    """Peak memory that was predicted."""

    need_seconds: float
    """Seconds that were predicted."""

    device_kind: Annotated[str, Field(examples=["cpu"])]
    """`cpu` or `gpu`."""

    error: JobError | None
    """Of a failed job."""

    summary: dict[str, Any] | None
    """Of a done job: `residues`, `mean_plddt` (0 to 100), `ptm`, `verdict` (`level`, `right`,
    `of`, `text`), `samples`, `cached`, `seconds`."""

    revision: int
    """Grows with each change; the `ETag` is made of it."""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it unless it is retried."""
        return self.state in ENDED


class JobDetail(JobView):
    """A job, with what was asked for and when it would start."""

    document: dict[str, Any]
    """The job, in the form of a job file."""

    settings: dict[str, Any]
    """How it is folded."""

    ahead: int | None = None
    """Jobs before it, of a queued one."""

    starts_in_seconds: float | None = None
    """When it would start, of a queued one; None without a worker, or with a quota used up."""

    quota_renews_at: datetime.datetime | None = None
    """When the quota renews that holds a queued one back."""


class JobPage(Answer):
    """Jobs, newest first."""

    jobs: tuple[JobView, ...]
    """These."""

    total: int
    """How many there are in all."""

    next: str | None
    """What `before` is on the next page; None on the last. The `Link` header has the whole URL."""


class Submitted(Answer):
    """What became of a submission."""

    jobs: tuple[JobView, ...]
    """Those in the queue, in the order of the input."""

    rejected: tuple[RecordUnderstood, ...] = ()
    """Records that gave no job, with the reason."""


class StageView(Answer):
    """A stage of a job."""

    name: Annotated[str, Field(examples=["predict"])]
    """Such as `search`, `weights`, `predict`."""

    position: int
    """Its place in the order of stages."""

    state: Annotated[str, Field(examples=["done"])]
    """`running`, `done`, `failed` or `stopped`."""

    attempt: int
    """Of the job."""

    started_at: datetime.datetime
    """When it began."""

    finished_at: datetime.datetime | None
    """When it ended."""

    seconds: float | None
    """What it took."""

    cached: bool
    """Whether an earlier result was found."""

    fraction: float
    """How far it is, 0 to 1."""

    message: str
    """What is done now, or came of it."""


class Stages(Answer):
    """The stages of a job so far."""

    stages: tuple[StageView, ...]
    """In order."""


class EventView(Answer):
    """Something that happened to a job."""

    id: int
    """Grows; `after` and `Last-Event-ID` take it."""

    time: datetime.datetime
    """When."""

    kind: Annotated[str, Field(examples=["stage_progress"])]
    """Such as `job_started`, `stage_started`, `stage_progress`, `stage_finished`."""

    data: dict[str, Any]
    """The fields of its kind."""


class EventPage(Answer):
    """Events of a job, in order."""

    events: tuple[EventView, ...]
    """These."""

    next: int
    """What `after` is to go on."""

    state: StateName
    """Where the job is: once it ended and there are no more events, none will come."""


class FileView(Answer):
    """A file of a job."""

    kind: Annotated[str, Field(examples=["structure"])]
    """`structure`, `sample_0`, …, `confidence`, `pae`, `report`, `alignment`, `templates`; of
    inputs their name."""

    name: Annotated[str, Field(examples=["ubiquitin.cif"])]
    """Under which it is offered."""

    bytes: int
    """Its size."""

    sha256: str
    """Digest of its content, which is also its `ETag`."""

    url: str
    """Where it is, relative to the server."""


class Files(Answer):
    """The files of a job."""

    files: tuple[FileView, ...]
    """All of them."""


class Pae(Answer):
    """The predicted aligned error of a structure."""

    pae_angstrom: list[list[float]]
    """[token, token]: expected error of the column's token, superposed on the row's."""

    tokens: dict[str, list[Any]]
    """`chain_id`, `number`, `insertion_code`, `name` and `atom_name` of each token."""
