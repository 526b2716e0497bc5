"""Who may do what, what was used, and how the server is run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from itda.wire.base import Answer, Identifier, Made, Message, Name

ScopeName = Literal["read", "submit", "manage", "admin"]
RoleName = Literal["viewer", "member", "manager"]
Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, examples=[1.0])]
Email = Annotated[
    str,
    StringConstraints(max_length=320, pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+$"),
    Field(examples=["kim@example.org"]),
]
DeviceKindName = Literal["cpu", "gpu"]
_KEY = "0193c7a1b2c3000102030405060708ab"
Key = Annotated[str, Field(examples=[_KEY])]


class Problem(Made):
    """What went wrong (RFC 9457), as `application/problem+json`."""

    type: Annotated[str, Field(examples=["urn:itda:problem:InputError"])] = "about:blank"
    """Kind of problem."""

    title: Annotated[str, Field(examples=["Unprocessable Content"])]
    """The status in words."""

    status: Annotated[int, Field(examples=[422])]
    """The status."""

    detail: str
    """What was found, naming the file, record or field and the rule it breaks."""

    hint: str = ""
    """What would work instead."""

    instance: str = ""
    """The path that was asked for; of an unexpected error also its key in the server's log."""

    errors: tuple[FieldProblem, ...] = ()
    """Each field of the request that is wrong."""

    renews_at: datetime.datetime | None = None
    """When a quota that is used up begins anew."""


class FieldProblem(Answer):
    """A field of a request that is wrong."""

    field: Annotated[str, Field(examples=["query.limit"])]
    """Where it stands."""

    problem: Annotated[str, Field(examples=["must be less than or equal to 200"])]
    """The rule it breaks."""


Problem.model_rebuild()


class UserView(Answer):
    """A person."""

    id: Key
    email: str
    name: str
    is_admin: bool
    created_at: datetime.datetime
    disabled: bool


class MyProject(Answer):
    """A project that the asker can reach."""

    id: Key
    organisation: Key
    name: str
    role: RoleName
    """What the asker may do in it."""
    weight: float
    """Its share among the projects of its organisation."""
    archived: bool
    quotas: tuple[QuotaStatus, ...] = ()
    """What is used of each quota that holds for it."""


class QuotaStatus(Answer):
    """What is used of a quota."""

    level: str
    """`organisation`, `project` or `user`."""
    device_kind: str
    period: str
    """`day` or `month`, of the calendar in UTC."""
    device_seconds: float
    """The quota."""
    used_seconds: float
    """What is used of it in this period."""
    renews_at: datetime.datetime | None
    """When it begins anew."""


MyProject.model_rebuild()


class MyProjects(Answer):
    """The projects that the asker can reach."""

    projects: tuple[MyProject, ...]


class Me(Answer):
    """Who asks."""

    user: UserView
    scopes: tuple[ScopeName, ...]
    """What the token or session may do."""
    projects: tuple[MyProject, ...]
    version: Annotated[str, Field(examples=["0.1.0"])]
    """Of the server."""


class TokenView(Answer):
    """A token of the REST interface, without the token itself."""

    id: Key
    name: str
    prefix: str
    """Its first characters."""
    scopes: tuple[ScopeName, ...]
    project: str | None
    """The only project that it reaches; None for all of its user's."""
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None


class Tokens(Answer):
    """The tokens of the asker, newest first."""

    tokens: tuple[TokenView, ...]


class NewToken(Message):
    """A token to be made; it may do no more than the one that asks for it."""

    name: Annotated[Name, Field(examples=["cluster login node"])]
    """What it is for."""
    scopes: Annotated[tuple[ScopeName, ...], Field(min_length=1, max_length=4)] = ("read", "submit")
    """What it may do."""
    project: Identifier | None = None
    """The only project that it reaches; None for all of its user's."""
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """None for never."""


class CreatedToken(Answer):
    """A token, which is shown this once."""

    token: Annotated[str, Field(examples=["itda_EXAMPLE"])]
    """For the header `Authorization: Bearer …`."""
    details: TokenView


class ModelView(Answer):
    """A model family."""

    name: Annotated[str, Field(examples=["mini"])]
    title: str
    licence: str
    """Of its weights."""
    non_commercial: bool
    """Whether the licence forbids commercial use."""
    citation: str
    """What to cite for results."""
    available: bool
    """Whether its weights are on the server."""
    weights: str
    """Where they stand: `built in`, `installed`, `can be converted` or `not here`."""
    how_to_get: str
    """What brings them there; for whoever runs the server."""
    capabilities: dict[str, Any]
    """What it folds, takes and gives."""
    parameters: Mapping[str, Any] = {}
    """Parameters of its own by name, each as a JSON schema."""


class Models(Answer):
    """The model families of this server."""

    models: tuple[ModelView, ...]


class DatabaseView(Answer):
    """A database that alignments or templates are searched in."""

    name: str
    kind: str
    """`sequences`, or `structures` that templates are taken from."""
    sequences: int | None
    """Records in it; None where it is damaged."""
    digest: str | None
    problem: str = ""
    """Why it cannot be used; empty where it can."""


class DatabaseList(Answer):
    """The databases of this server."""

    databases: tuple[DatabaseView, ...]


class UsageView(Answer):
    """What one user's jobs of one project took in one month on one kind of device."""

    month: Annotated[str, Field(examples=["2026-11"])]
    organisation: str
    project: Key
    project_name: str
    user: Key
    user_name: str
    device_kind: str
    done: int
    """Jobs that were folded."""
    failed: int
    """Jobs that failed."""
    cancelled: int
    """Jobs that were cancelled while they ran."""
    attempts: int
    """How often a worker began one."""
    device_hours: float
    """Of all attempts."""


class Usage(Answer):
    """What was used."""

    start: datetime.date
    """The first day."""
    end: datetime.date
    """The first day that is not counted."""
    lines: tuple[UsageView, ...]


# What administrators of the server send and see ---------------------------------------------------


class Users(Answer):
    """Users, by address."""

    users: tuple[UserView, ...]


class NewUser(Message):
    """A person to be invited, who sets a password by a link."""

    email: Email
    name: Name | None = None
    is_admin: bool = False
    project: Identifier | None = None
    """A project to make the user a member of."""
    role: RoleName = "member"


class InvitedUser(Answer):
    """A user, and the link by which the user sets a password."""

    user: UserView
    link: str | None
    """To hand on; works once. None where the user has an account already."""


class UserChange(Message):
    """What is to be changed of a user; what is left out stays."""

    name: Name | None = None
    is_admin: bool | None = None
    disabled: bool | None = None


class PasswordLink(Answer):
    """A link by which a user sets a password, once."""

    link: str


class OrganisationView(Answer):
    """A group of projects that shares the machine with others by weight."""

    id: Key
    name: str
    weight: float
    created_at: datetime.datetime


class Organisations(Answer):
    """Organisations, by name."""

    organisations: tuple[OrganisationView, ...]


class NewOrganisation(Message):
    """An organisation to be added."""

    name: Name
    weight: Weight = 1.0


class WeightChange(Message):
    """A share among others of its kind."""

    weight: Weight


class ProjectView(Answer):
    """A project."""

    id: Key
    organisation: Key
    name: str
    weight: float
    created_at: datetime.datetime
    archived: bool


class Projects(Answer):
    """Projects, by name."""

    projects: tuple[ProjectView, ...]


class NewProject(Message):
    """A project to be added."""

    organisation: Identifier
    name: Name
    weight: Weight = 1.0


class ProjectChange(Message):
    """What is to be changed of a project; what is left out stays."""

    name: Name | None = None
    weight: Weight | None = None
    archived: bool | None = None


class MemberView(Answer):
    """A member of a project."""

    user: UserView
    role: RoleName
    weight: float


class Members(Answer):
    """The members of a project."""

    members: tuple[MemberView, ...]


class MemberChange(Message):
    """What a member may do, and the share within the project."""

    role: RoleName
    weight: Weight | None = None


class QuotaView(Answer):
    """A quota."""

    id: Key
    level: Annotated[str, Field(examples=["project"])]
    """`organisation`, `project` or `user`."""
    owner: Key
    device_kind: Annotated[str, Field(examples=["gpu"])]
    device_hours: float
    period: Annotated[str, Field(examples=["month"])]


class Quotas(Answer):
    """Every quota."""

    quotas: tuple[QuotaView, ...]


class NewQuota(Message):
    """How much of a kind of device may be used in a period; replaces one of the same kind."""

    level: Literal["organisation", "project", "user"]
    owner: Identifier
    """Key of the organisation, project or user."""
    device_kind: DeviceKindName = "gpu"
    device_hours: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None
    """None removes it."""
    period: Literal["day", "month"] = "month"


class Drain(Message):
    """Whether the queue finishes what it has, and gives nothing new to workers."""

    draining: bool


class WorkerView(Answer):
    """A worker."""

    id: Key
    host: str
    process: int
    executor: str
    device_kind: str
    device: str
    memory_bytes: int
    started_at: datetime.datetime
    heartbeat_at: datetime.datetime
    state: Annotated[str, Field(examples=["active"])]


class Workers(Answer):
    """The workers that were heard of."""

    workers: tuple[WorkerView, ...]


class AuditView(Answer):
    """Something that was changed."""

    id: int
    time: datetime.datetime
    user: str | None
    token: str | None
    project: str | None
    address: str | None
    action: Annotated[str, Field(examples=["job.submit"])]
    object: str | None
    details: dict[str, Any]


class Audit(Answer):
    """Lines of the audit log, newest first."""

    lines: tuple[AuditView, ...]
    next: int | None
    """What `before` is on the next page."""
