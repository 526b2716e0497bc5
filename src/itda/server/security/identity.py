"""Who asks, by a token or a session's cookie, and what that user may do.

A route names what it needs and checks the project of what it gives:

    @router.get("/jobs/{job_id}")
    def job(job_id: str, who: Annotated[Identity, Depends(require("read"))]):
        found = queue.job(job_id)
        who.check(found.project_id, "read")

With a cookie, a request that changes something must carry the session's CSRF token, as the header
`X-CSRF-Token` or the field `csrf_token` of a form.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Depends, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import Request
from fastapi.security import APIKeyCookie, HTTPBearer

from itda.errors import InputError
from itda.language import Message, joined
from itda.server.accounts.identities import Known
from itda.server.accounts.records import SCOPES, Actor, Project, Role, Session, User
from itda.server.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from itda.server.security.address import client_address
from itda.server.security.cookies import SESSION_COOKIE, read_cookie
from itda.server.security.forms import FORMS, media_type, read_form
from itda.server.security.limits import limits_of
from itda.server.security.origin import refuse_other_origin

Action = Literal["read", "submit", "manage", "members"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ROLES: Mapping[str, frozenset[Role]] = {
    "read": frozenset(Role),
    "submit": frozenset({Role.MEMBER, Role.MANAGER}),
    "manage": frozenset({Role.MANAGER}),
    "members": frozenset({Role.MANAGER}),
}
_SCOPE = {"read": "read", "submit": "submit", "manage": "manage", "members": "manage"}

_token_scheme = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="itda_…",
    description="A token, made on the page of the account or with `itda accounts token create`.",
)
_cookie_scheme = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    scheme_name="session",
    description="A browser that is signed in; what changes something also needs `X-CSRF-Token`.",
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks, and what that user may do in this request.

    Attributes:
        user: Who.
        scopes: Of `read`, `submit`, `manage` and `admin`: those of the token; all of the user's
            for a session.
        project_ids: The user's projects that the token reaches, with the role in each.
        projects: The same projects, by name.
        token_id: Of the token; None for a session.
        session: Of the cookie, with the `csrf_token` that forms carry; None for a token.
        address: Whence the request comes.
    """

    user: User
    scopes: frozenset[str]
    project_ids: Mapping[str, Role]
    projects: tuple[Project, ...]
    token_id: str | None = None
    # The only project of a token that has one.
    token_project_id: str | None = None
    session: Session | None = field(default=None, repr=False)
    address: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the user may administer the server in this request."""
        return "admin" in self.scopes and self.user.is_admin

    @property
    def actor(self) -> Actor:
        """Who does what the request does, for the audit log."""
        return Actor(user_id=self.user.id, token_id=self.token_id, address=self.address)

    @property
    def csrf_token(self) -> str:
        """What forms of the page carry; empty for a token."""
        return self.session.csrf_token if self.session else ""

    def may(self, project_id: str, action: Action) -> bool:
        """Whether `check` would pass."""
        try:
            self.check(project_id, action)
        except (NotFoundError, ForbiddenError):
            return False
        return True

    def check(self, project_id: str, action: Action) -> None:
        """Refuse what the user may not do in a project.

        Args:
            project_id: Of the project.
            action: `read` its jobs, `submit` one, `manage` it (others' jobs, quotas), or change its
                `members`, which administrators of the server may too.

        Raises:
            NotFoundError: The user may not even know of it.
            ForbiddenError: The user may read it, but not do that.
        """
        if action == "members" and self.is_admin and self.token_project_id in (None, project_id):
            return
        role = self.project_ids.get(project_id)
        if role is None:
            raise NotFoundError(Message("there is no such project"))
        self.check_scope(_SCOPE[action])
        if role not in _ROLES[action]:
            raise ForbiddenError(
                Message("a {role} of the project may not {action}", role=role, action=action),
                hint=Message("ask a manager of the project"),
            )
        archived = any(one.id == project_id and one.archived_at for one in self.projects)
        if action == "submit" and archived:
            raise ForbiddenError(Message("the project is archived and takes no jobs"))

    def check_scope(self, scope: str) -> None:
        """Refuse a token that may not do something.

        Raises:
            ForbiddenError: The scope is missing.
        """
        if scope not in self.scopes:
            raise ForbiddenError(
                Message("this needs the scope {scope}", scope=scope),
                hint=Message("only administrators have it")
                if scope == "admin"
                else Message("create a token that has it"),
            )

    def check_admin(self) -> None:
        """Refuse who does not administer the server.

        Raises:
            ForbiddenError: The user is no administrator, or the token has not the scope.
        """
        if not self.is_admin or self.token_project_id is not None:
            raise ForbiddenError(Message("only administrators of the server may do this"))

    def check_grant(self, scopes: Collection[str], project_id: str | None) -> None:
        """Refuse to give a token more than the request's own credential may do.

        Raises:
            ForbiddenError: A scope is missing, or the project is not reached.
        """
        for scope in sorted(scopes):
            if scope in SCOPES:
                self.check_scope(scope)
        if self.token_project_id not in (None, project_id):
            raise ForbiddenError(Message("a token of one project cannot give a token of others"))

    def project(self, project_id: str | None, action: Action) -> Project:
        """Return the project of a request, which need not be named where there is only one.

        Raises:
            InputError: None is named, and there is more or less than one.
            NotFoundError: The user may not know of it.
            ForbiddenError: The user may not do that in it.
        """
        if project_id is None:
            able = [one for one in self.projects if self.may(one.id, action)]
            if len(able) != 1:
                raise InputError(
                    Message(
                        "project: none is named, and there are {count} to choose from",
                        count=len(able),
                    ),
                    hint=joined(f"{one.name} ({one.id})" for one in able[:5])
                    or Message("ask a manager to make you a member of one"),
                )
            return able[0]
        self.check(project_id, action)
        return next(one for one in self.projects if one.id == project_id)


async def optional_identity(request: Request) -> Identity | None:
    """Return who asks; None for a browser that is not signed in.

    Raises:
        UnauthenticatedError: A token that is none, expired, or revoked.
        ForbiddenError: A browser's request that may come from another site's page.
        RateError: Too many requests.
    """
    if hasattr(request.state, "identity"):
        kept: Identity | None = request.state.identity
        return kept
    found = await _find(request)
    request.state.identity = found
    return found


async def identity(
    request: Request,
    _token: Annotated[object, Security(_token_scheme)] = None,
    _cookie: Annotated[object, Security(_cookie_scheme)] = None,
) -> Identity:
    """Return who asks.

    Raises:
        UnauthenticatedError: Nobody is signed in, or the token is none, expired, or revoked.
        ForbiddenError: A browser's request that may come from another site's page.
        RateError: Too many requests.
    """
    found = await optional_identity(request)
    if found is None:
        raise UnauthenticatedError(
            Message("sign in, or send a token"),
            hint=Message("Authorization: Bearer itda_…, or open /sign-in"),
        )
    return found


def require(scope: str) -> Callable[[Identity], Awaitable[Identity]]:
    """Return the dependency of a route that needs a scope; for `admin`, an administrator."""

    async def required(who: Annotated[Identity, Depends(identity)]) -> Identity:
        if scope == "admin":
            who.check_admin()
        else:
            who.check_scope(scope)
        return who

    return required


async def _find(request: Request) -> Identity | None:
    services = request.app.state.services
    address = client_address(request)
    limits = limits_of(request.app)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, secret = header.partition(" ")
        known = None
        if scheme.lower() == "bearer":
            known = await run_in_threadpool(services.accounts.identities.of_token, secret.strip())
        if known is None or known.token is None:
            limits.failed(address)
            raise UnauthenticatedError(
                Message("the token is none of this server's, or is expired or revoked"),
                hint=Message("create another one on the page of your account"),
            )
        limits.credential(known.token.id)
        return _identity(known, address)
    cookie = read_cookie(request, SESSION_COOKIE)
    if cookie is None:
        return None
    known = await run_in_threadpool(services.accounts.identities.of_cookie, cookie)
    if known is None or known.session is None:
        limits.failed(address)
        return None
    limits.credential(known.session.id)
    if request.method not in SAFE_METHODS:
        await _check_csrf(request, known.session)
    return _identity(known, address)


def _identity(known: Known, address: str | None) -> Identity:
    return Identity(
        user=known.user,
        scopes=known.scopes,
        project_ids={one.project.id: one.role for one in known.memberships},
        projects=tuple(one.project for one in known.memberships),
        token_id=known.token.id if known.token else None,
        token_project_id=known.token.project_id if known.token else None,
        session=known.session,
        address=address,
    )


async def _check_csrf(request: Request, session: Session) -> None:
    refuse_other_origin(request)
    told = request.headers.get("x-csrf-token")
    if told is None and media_type(request) in FORMS:
        value = (await read_form(request)).get("csrf_token")
        told = value if isinstance(value, str) else None
    if told is None or not secrets.compare_digest(
        told.encode("utf-8", "replace"), session.csrf_token.encode()
    ):
        raise ForbiddenError(
            Message("the request does not carry the token of its page"),
            hint=Message("reload the page and try again"),
        )
