"""What the accounts give: values, without a connection and without a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCOPES = ("read", "submit", "manage", "admin")
"""What a token may be allowed to do; each is granted by itself."""


class Role(StrEnum):
    """What a member of a project may do; each may also do what those before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    MANAGER = "manager"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who does something, for the audit log; the server itself where all is None."""

    user_id: str | None = None
    token_id: str | None = None
    address: str | None = None


SERVER = Actor()


@dataclass(frozen=True, kw_only=True)
class User:
    """A person; see the table `users`."""

    id: str
    email: str
    name: str
    is_admin: bool
    language: str | None
    has_password: bool
    oidc_issuer: str | None
    created_at: float
    disabled_at: float | None


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """A group of projects that shares the machine with others by weight."""

    id: str
    name: str
    weight: float
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Project:
    """What jobs belong to, and what nothing is readable across."""

    id: str
    organisation_id: str
    name: str
    weight: float
    created_at: float
    archived_at: float | None


@dataclass(frozen=True, kw_only=True)
class Member:
    """A user of a project."""

    project_id: str
    user: User
    role: Role
    weight: float


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A project of a user."""

    project: Project
    role: Role


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser that is signed in; `id` is the digest of what its cookie holds."""

    id: str
    user_id: str
    csrf_token: str = field(repr=False)
    created_at: float
    expires_at: float
    address: str | None


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of the REST interface, without the token itself."""

    id: str
    user_id: str
    project_id: str | None
    name: str
    prefix: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A user who was invited.

    Attributes:
        user: Who.
        link_token: For `/auth/link?token=…`, once, to set a password; None for a user who has an
            account already and needs none.
    """

    user: User
    link_token: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The owner of a server that serves one machine.

    Attributes:
        user: The local owner, an administrator.
        organisation: Where the project is.
        project: Where jobs go that name none.
        link_token: For `/auth/link?token=…`; the one of an earlier start works no longer.
    """

    user: User
    organisation: Organisation
    project: Project
    link_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Something that was changed; `id` grows."""

    id: int
    time: float
    user_id: str | None
    token_id: str | None
    project_id: str | None
    address: str | None
    action: str
    object_id: str | None
    details: dict[str, Any]
