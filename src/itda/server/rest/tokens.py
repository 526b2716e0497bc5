"""Routes of the asker's own tokens, and of the members of a project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from itda.server.rest.accounts_views import member_view, token_view
from itda.server.rest.common import KEY_PATTERN, Manager, ProjectKey, Reader, UserKey, problems
from itda.server.rest.jobs import Service
from itda.wire import CreatedToken, MemberChange, Members, MemberView, NewToken, Tokens

DAY_SECONDS = 86_400.0

router = APIRouter(tags=["account"])


@router.get("/tokens", response_model=Tokens, responses=problems(), summary="List tokens")
def tokens(who: Reader, services: Service) -> Tokens:
    """Give the tokens of the asker, newest first, the revoked ones too."""
    return Tokens(tokens=tuple(map(token_view, services.accounts.tokens.of_user(who.user.id))))


@router.post(
    "/tokens",
    response_model=CreatedToken,
    status_code=201,
    responses=problems(404),
    summary="Create a token",
)
def create(body: NewToken, who: Manager, services: Service) -> CreatedToken:
    """Create a token of the asker. It is shown this once, and may do no more than the asker may."""
    who.check_grant(body.scopes, body.project)
    expires_at = None
    if body.expires_in_days is not None:
        expires_at = services.clock() + body.expires_in_days * DAY_SECONDS
    secret, token = services.accounts.tokens.create(
        who.user.id,
        body.name,
        body.scopes,
        project_id=body.project,
        expires_at=expires_at,
        by=who.actor,
    )
    return CreatedToken(token=secret, details=token_view(token))


@router.delete(
    "/tokens/{token_id}", status_code=204, responses=problems(404), summary="Revoke a token"
)
def revoke(
    token_id: Annotated[str, Path(pattern=KEY_PATTERN, description="Key of the token.")],
    who: Manager,
    services: Service,
) -> Response:
    """End a token of the asker for good."""
    services.accounts.tokens.revoke(token_id, user_id=who.user.id, by=who.actor)
    return Response(status_code=204)


@router.get(
    "/projects/{project_id}/members",
    response_model=Members,
    responses=problems(404),
    summary="List the members of a project",
)
def members(project_id: ProjectKey, who: Reader, services: Service) -> Members:
    """Give the members of a project."""
    if not who.may(project_id, "members"):
        who.check(project_id, "read")
    return Members(members=tuple(map(member_view, services.accounts.projects.members(project_id))))


@router.put(
    "/projects/{project_id}/members/{user_id}",
    response_model=MemberView,
    responses=problems(404, 409),
    summary="Set a member of a project",
)
def set_member(
    project_id: ProjectKey, user_id: UserKey, body: MemberChange, who: Reader, services: Service
) -> MemberView:
    """Make a user a member, or change what the member may do; for managers of the project."""
    who.check(project_id, "members")
    projects = services.accounts.projects
    projects.set_member(project_id, user_id, body.role, weight=body.weight, by=who.actor)
    return next(member_view(one) for one in projects.members(project_id) if one.user.id == user_id)


@router.delete(
    "/projects/{project_id}/members/{user_id}",
    status_code=204,
    responses=problems(404, 409),
    summary="Remove a member of a project",
)
def remove_member(
    project_id: ProjectKey, user_id: UserKey, who: Reader, services: Service
) -> Response:
    """Take a user out of a project; the user's jobs stay."""
    who.check(project_id, "members")
    services.accounts.projects.remove_member(project_id, user_id, by=who.actor)
    return Response(status_code=204)
