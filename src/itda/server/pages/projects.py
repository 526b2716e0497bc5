"""Projects and their members."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from itda.errors import ItdaError
from itda.language import Message
from itda.server.accounts.records import Role
from itda.server.errors import ForbiddenError
from itda.server.pages.visitors import AVisitor, Visitor, WhatWasSent, go_to

router = APIRouter()


@router.get("/projects")
def projects(visitor: AVisitor) -> Response:
    """List the visitor's projects."""
    return visitor.view.render(
        "projects.html",
        section="projects",
        projects=visitor.who.projects,
        roles=visitor.who.project_ids,
    )


@router.get("/projects/{project_id}")
def project(visitor: AVisitor, project_id: str) -> Response:
    """Show a project and its members."""
    return _project(visitor, project_id)


@router.post("/projects/{project_id}/members")
def add_member(visitor: AVisitor, project_id: str, sent: WhatWasSent) -> Response:
    """Make a user a member; an administrator may invite somebody who has no account yet."""
    visitor.who.check(project_id, "members")
    accounts, email = visitor.services.accounts, sent.text("email")
    try:
        role = Role(sent.text("role")) if sent.text("role") in set(Role) else Role.MEMBER
        user = accounts.users.find(email)
        if user is not None:
            accounts.projects.set_member(project_id, user.id, role, by=visitor.who.actor)
            return go_to(f"/projects/{project_id}")
        if not visitor.who.is_admin:
            raise ForbiddenError(
                Message("{email}: there is no account of that address", email=email[:80]),
                hint=Message("ask an administrator to invite this person"),
            )
        invitation = accounts.invite(email, project_id=project_id, role=role, by=visitor.who.actor)
    except ItdaError as error:
        return _project(visitor, project_id, refusal=error, status=422)
    return _project(visitor, project_id, invited=email, link_token=invitation.link_token or "")


@router.post("/projects/{project_id}/members/{user_id}")
def change_member(visitor: AVisitor, project_id: str, user_id: str, sent: WhatWasSent) -> Response:
    """Change what a member may do, or take the member out."""
    visitor.who.check(project_id, "members")
    members = visitor.services.accounts.projects
    if sent.text("remove"):
        members.remove_member(project_id, user_id, by=visitor.who.actor)
    else:
        members.set_member(project_id, user_id, sent.text("role"), by=visitor.who.actor)
    return go_to(f"/projects/{project_id}")


def _project(
    visitor: Visitor,
    project_id: str,
    *,
    refusal: ItdaError | None = None,
    invited: str = "",
    link_token: str = "",
    status: int = 200,
) -> Response:
    who, accounts = visitor.who, visitor.services.accounts
    may_change = who.may(project_id, "members")
    if not may_change:
        who.check(project_id, "read")
    return visitor.view.render(
        "project.html",
        status,
        section="projects",
        project=accounts.projects.get(project_id),
        members=accounts.projects.members(project_id),
        may_change=may_change,
        may_invite=who.is_admin,
        roles=list(Role),
        refusal=refusal,
        invited=invited,
        link=f"{visitor.origin}/auth/link?token={link_token}" if link_token else "",
    )
