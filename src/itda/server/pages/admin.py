"""Administration: queue and workers, users, organisations, projects, quotas, and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from itda.errors import InputError, ItdaError
from itda.language import Message
from itda.server.pages.visitors import AnAdministrator, Sent, Visitor, WhatWasSent, go_to
from itda.server.queue.records import State

HOUR_SECONDS = 3600.0
PAGE_LINES = 100

router = APIRouter(prefix="/admin")


@router.get("")
def overview(visitor: AnAdministrator) -> Response:
    """Show the queue, its workers, and the switch that drains it."""
    queue = visitor.services.queue
    project_ids = [one.id for one in visitor.services.accounts.projects.all()]
    counts = {state: queue.jobs(project_ids, states=(state,), limit=1).total for state in State}
    return visitor.view.render(
        "admin/overview.html",
        section="admin",
        tab="overview",
        counts=counts,
        workers=queue.workers(),
        draining=queue.draining(),
        now=visitor.services.clock(),
    )


@router.post("/drain")
def drain(visitor: AnAdministrator, sent: WhatWasSent) -> Response:
    """Take nothing new from the queue, or go on."""
    on = sent.text("on") == "1"
    visitor.services.queue.drain(on)
    visitor.services.accounts.audit("queue.drain" if on else "queue.resume", by=visitor.who.actor)
    return go_to("/admin")


@router.get("/users")
def users(visitor: AnAdministrator, q: str = "") -> Response:
    """List users."""
    return _users(visitor, text=q)


@router.post("/users")
def invite(visitor: AnAdministrator, sent: WhatWasSent) -> Response:
    """Add a user, who sets a password by a link."""
    try:
        invitation = visitor.services.accounts.invite(
            sent.text("email"),
            sent.text("name"),
            project_id=sent.text("project") or None,
            role=sent.text("role") or "member",
            is_admin=bool(sent.text("is_admin")),
            by=visitor.who.actor,
        )
    except ItdaError as error:
        return _users(visitor, refusal=error, status=422)
    link = f"{visitor.origin}/auth/link?token={invitation.link_token}"
    return _users(visitor, person=invitation.user, link=link if invitation.link_token else "")


@router.post("/users/{user_id}")
def change_user(visitor: AnAdministrator, user_id: str, sent: WhatWasSent) -> Response:
    """Do to a user what the button says."""
    accounts, by = visitor.services.accounts, visitor.who.actor
    action = sent.text("action")
    try:
        if action == "link":
            token = accounts.password_link(user_id, by=by)
            return _users(
                visitor,
                person=accounts.users.get(user_id),
                link=f"{visitor.origin}/auth/link?token={token}",
            )
        changes: dict[str, Callable[[], None]] = {
            "disable": lambda: accounts.users.disable(user_id, by=by),
            "enable": lambda: accounts.users.enable(user_id, by=by),
            "promote": lambda: accounts.users.set_admin(user_id, True, by=by),
            "demote": lambda: accounts.users.set_admin(user_id, False, by=by),
        }
        if action not in changes:
            raise InputError(Message("action: {action!r} is none", action=action[:40]))
        changes[action]()
    except ItdaError as error:
        return _users(visitor, refusal=error, status=422)
    return go_to("/admin/users")


@router.get("/projects")
def projects(visitor: AnAdministrator) -> Response:
    """List organisations and projects with their weights and quotas."""
    return _projects(visitor)


@router.post("/organisations")
def add_organisation(visitor: AnAdministrator, sent: WhatWasSent) -> Response:
    """Add an organisation."""
    return _try(
        visitor,
        lambda: visitor.services.accounts.projects.add_organisation(
            sent.text("name"), weight=_number(sent, "weight", 1.0), by=visitor.who.actor
        ),
    )


@router.post("/organisations/{organisation_id}")
def change_organisation(
    visitor: AnAdministrator, organisation_id: str, sent: WhatWasSent
) -> Response:
    """Set the weight of an organisation."""
    return _try(
        visitor,
        lambda: visitor.services.accounts.projects.set_organisation_weight(
            organisation_id, _number(sent, "weight"), by=visitor.who.actor
        ),
    )


@router.post("/projects")
def add_project(visitor: AnAdministrator, sent: WhatWasSent) -> Response:
    """Add a project."""
    return _try(
        visitor,
        lambda: visitor.services.accounts.projects.add(
            sent.text("organisation"),
            sent.text("name"),
            weight=_number(sent, "weight", 1.0),
            by=visitor.who.actor,
        ),
    )


@router.post("/projects/{project_id}")
def change_project(visitor: AnAdministrator, project_id: str, sent: WhatWasSent) -> Response:
    """Set the weight of a project, archive it, or open it again."""
    projects, by = visitor.services.accounts.projects, visitor.who.actor
    action = sent.text("action")
    if action in ("archive", "reopen"):
        return _try(visitor, lambda: projects.archive(project_id, action == "archive", by=by))
    return _try(visitor, lambda: projects.set_weight(project_id, _number(sent, "weight"), by=by))


@router.post("/quotas")
def set_quota(visitor: AnAdministrator, sent: WhatWasSent) -> Response:
    """Set a quota, or lift it where no hours are given."""
    return _try(visitor, lambda: _set_quota(visitor, sent))


@router.get("/audit")
def audit(visitor: AnAdministrator, action: str = "", user: str = "", before: str = "") -> Response:
    """Show the audit log, newest first."""
    accounts = visitor.services.accounts
    lines = accounts.audit_log(
        user_id=user or None,
        action=action.strip()[:64],
        before=int(before) if before.isdecimal() and len(before) < 18 else None,
        limit=PAGE_LINES,
    )
    return visitor.view.render(
        "admin/audit.html",
        section="admin",
        tab="audit",
        lines=lines,
        action=action,
        user=user,
        before=before,
        names={one.id: one.name for one in accounts.users.all()},
        project_names={one.id: one.name for one in accounts.projects.all()},
        more=len(lines) == PAGE_LINES,
    )


def _try(visitor: Visitor, change: Callable[[], Any]) -> Response:
    try:
        change()
    except ItdaError as error:
        return _projects(visitor, refusal=error, status=422)
    return go_to("/admin/projects")


def _number(sent: Sent, name: str, default: float | None = None) -> float:
    text = sent.text(name)
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise InputError(
            Message("{name}: {text!r} is no number", name=name, text=text[:40]),
            hint=Message("such as 1 or 2.5"),
        ) from None


def _set_quota(visitor: Visitor, sent: Sent) -> None:
    level, _, owner_id = sent.text("owner").partition(":")
    if level not in ("organisation", "project") or not owner_id:
        raise InputError(Message("owner: is neither an organisation nor a project"))
    hours = sent.text("hours")
    seconds = _number(sent, "hours") * HOUR_SECONDS if hours else None
    device_kind, period = sent.text("device_kind"), sent.text("period")
    visitor.services.queue.set_quota(level, owner_id, device_kind, seconds, period)
    visitor.services.accounts.audit(
        "quota.set",
        by=visitor.who.actor,
        project_id=owner_id if level == "project" else None,
        object_id=owner_id,
        details={
            "level": level,
            "device_kind": device_kind,
            "device_seconds": seconds,
            "period": period,
        },
    )


def _users(visitor: Visitor, *, text: str = "", status: int = 200, **context: Any) -> Response:
    accounts = visitor.services.accounts
    told = {"refusal": None, "person": None, "link": "", **context}
    return visitor.view.render(
        "admin/users.html",
        status,
        section="admin",
        tab="users",
        users=accounts.users.all(text.strip()[:200]),
        text=text,
        projects=accounts.projects.all(),
        **told,
    )


def _projects(visitor: Visitor, *, refusal: ItdaError | None = None, status: int = 200) -> Response:
    accounts = visitor.services.accounts
    organisations = accounts.projects.organisations()
    projects = accounts.projects.all()
    return visitor.view.render(
        "admin/projects.html",
        status,
        section="admin",
        tab="projects",
        organisations=organisations,
        projects=projects,
        names={one.id: one.name for one in organisations} | {one.id: one.name for one in projects},
        quotas=visitor.services.queue.quotas(),
        refusal=refusal,
    )
