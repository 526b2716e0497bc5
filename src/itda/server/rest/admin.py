"""Routes for administrators: users, organisations, projects, quotas, workers, drain, audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from itda.server.queue.records import Quota, WorkerRecord
from itda.server.rest.accounts_views import (
    audit_view,
    organisation_view,
    project_view,
    user_view,
)
from itda.server.rest.common import (
    KEY_PATTERN,
    Administrator,
    ProjectFilter,
    ProjectKey,
    SearchText,
    UserKey,
    moment,
    problems,
)
from itda.server.rest.jobs import Service
from itda.server.services import Services
from itda.wire import (
    Audit,
    Drain,
    InvitedUser,
    NewOrganisation,
    NewProject,
    NewQuota,
    NewUser,
    Organisations,
    OrganisationView,
    PasswordLink,
    ProjectChange,
    Projects,
    ProjectView,
    Quotas,
    QuotaView,
    UserChange,
    Users,
    UserView,
    WeightChange,
    Workers,
    WorkerView,
)
from itda.wire.base import LARGEST_NUMBER

HOUR_SECONDS = 3600.0

router = APIRouter(prefix="/admin", tags=["administration"])


@router.get("/users", response_model=Users, responses=problems(), summary="List users")
def users(_who: Administrator, services: Service, text: SearchText = "") -> Users:
    """Give the users whose name or address holds a text, by address; a thousand at most."""
    return Users(users=tuple(map(user_view, services.accounts.users.all(text))))


@router.post(
    "/users",
    response_model=InvitedUser,
    status_code=201,
    responses=problems(404, 409),
    summary="Invite a user",
)
def invite(request: Request, body: NewUser, who: Administrator, services: Service) -> InvitedUser:
    """Add a user, who sets a password by the link in the answer.

    One who has an account already is made a member of the project, and nothing else is changed.
    """
    invited = services.accounts.invite(
        body.email,
        body.name or "",
        project_id=body.project,
        role=body.role,
        is_admin=body.is_admin,
        by=who.actor,
    )
    link = None if invited.link_token is None else _link(request, services, invited.link_token)
    return InvitedUser(user=user_view(invited.user), link=link)


@router.patch(
    "/users/{user_id}",
    response_model=UserView,
    responses=problems(404, 409),
    summary="Change a user",
)
def change_user(
    user_id: UserKey, body: UserChange, who: Administrator, services: Service
) -> UserView:
    """Rename, disable or enable a user, or say whether the user administers the server."""
    kept = services.accounts.users
    kept.get(user_id)
    if body.name is not None:
        kept.rename(user_id, body.name, by=who.actor)
    if body.is_admin is not None:
        kept.set_admin(user_id, body.is_admin, by=who.actor)
    if body.disabled is not None:
        (kept.disable if body.disabled else kept.enable)(user_id, by=who.actor)
    return user_view(kept.get(user_id))


@router.post(
    "/users/{user_id}/password-link",
    response_model=PasswordLink,
    status_code=201,
    responses=problems(404, 409),
    summary="Let a user set a password",
)
def password_link(
    request: Request, user_id: UserKey, who: Administrator, services: Service
) -> PasswordLink:
    """Make a link by which a user sets a password, once."""
    token = services.accounts.password_link(user_id, by=who.actor)
    return PasswordLink(link=_link(request, services, token))


@router.get(
    "/organisations",
    response_model=Organisations,
    responses=problems(),
    summary="List organisations",
)
def organisations(_who: Administrator, services: Service) -> Organisations:
    """Give every organisation, by name."""
    kept = services.accounts.projects.organisations()
    return Organisations(organisations=tuple(map(organisation_view, kept)))


@router.post(
    "/organisations",
    response_model=OrganisationView,
    status_code=201,
    responses=problems(409),
    summary="Add an organisation",
)
def add_organisation(
    body: NewOrganisation, who: Administrator, services: Service
) -> OrganisationView:
    """Add an organisation, whose projects share the machine with others' by weight."""
    projects = services.accounts.projects
    return organisation_view(projects.add_organisation(body.name, weight=body.weight, by=who.actor))


@router.patch(
    "/organisations/{organisation_id}",
    response_model=OrganisationView,
    responses=problems(404),
    summary="Change an organisation",
)
def change_organisation(
    organisation_id: Annotated[str, Path(pattern=KEY_PATTERN, description="Its key.")],
    body: WeightChange,
    who: Administrator,
    services: Service,
) -> OrganisationView:
    """Set the share of an organisation among the others."""
    projects = services.accounts.projects
    projects.set_organisation_weight(organisation_id, body.weight, by=who.actor)
    return organisation_view(projects.organisation(organisation_id))


@router.get("/projects", response_model=Projects, responses=problems(), summary="List projects")
def projects(_who: Administrator, services: Service) -> Projects:
    """Give every project, by name."""
    return Projects(projects=tuple(map(project_view, services.accounts.projects.all())))


@router.post(
    "/projects",
    response_model=ProjectView,
    status_code=201,
    responses=problems(404, 409),
    summary="Add a project",
)
def add_project(body: NewProject, who: Administrator, services: Service) -> ProjectView:
    """Add a project to an organisation; it has no members yet."""
    kept = services.accounts.projects
    return project_view(kept.add(body.organisation, body.name, weight=body.weight, by=who.actor))


@router.patch(
    "/projects/{project_id}",
    response_model=ProjectView,
    responses=problems(404, 409),
    summary="Change a project",
)
def change_project(
    project_id: ProjectKey, body: ProjectChange, who: Administrator, services: Service
) -> ProjectView:
    """Rename a project, set its share, or archive it, so that it takes no jobs; or take it back."""
    kept = services.accounts.projects
    kept.get(project_id)
    if body.name is not None:
        kept.rename(project_id, body.name, by=who.actor)
    if body.weight is not None:
        kept.set_weight(project_id, body.weight, by=who.actor)
    if body.archived is not None:
        kept.archive(project_id, body.archived, by=who.actor)
    return project_view(kept.get(project_id))


@router.get("/quotas", response_model=Quotas, responses=problems(), summary="List quotas")
def quotas(_who: Administrator, services: Service) -> Quotas:
    """Give every quota."""
    return Quotas(quotas=tuple(map(_quota, services.queue.quotas())))


@router.put("/quotas", response_model=Quotas, responses=problems(404), summary="Set a quota")
def set_quota(body: NewQuota, who: Administrator, services: Service) -> Quotas:
    """Limit what an organisation, project or user may use in a period, or take the limit away."""
    accounts = services.accounts
    {
        "organisation": accounts.projects.organisation,
        "project": accounts.projects.get,
        "user": accounts.users.get,
    }[body.level](body.owner)
    seconds = None if body.device_hours is None else body.device_hours * HOUR_SECONDS
    services.queue.set_quota(body.level, body.owner, body.device_kind, seconds, body.period)
    accounts.audit(
        "quota.set",
        by=who.actor,
        project_id=body.owner if body.level == "project" else None,
        object_id=body.owner,
        details=body.model_dump(mode="json"),
    )
    return quotas(who, services)


@router.get("/drain", response_model=Drain, responses=problems(), summary="Is the queue drained")
def drain(_who: Administrator, services: Service) -> Drain:
    """Say whether the queue finishes what it has, and gives workers nothing new."""
    return Drain(draining=services.queue.draining())


@router.put("/drain", response_model=Drain, responses=problems(), summary="Drain the queue")
def set_drain(body: Drain, who: Administrator, services: Service) -> Drain:
    """Let the queue finish what it has and give workers nothing new, or go on."""
    services.queue.drain(body.draining)
    services.accounts.audit("queue.drain", by=who.actor, details={"draining": body.draining})
    return Drain(draining=services.queue.draining())


@router.get("/workers", response_model=Workers, responses=problems(), summary="List workers")
def workers(_who: Administrator, services: Service) -> Workers:
    """Give the workers that were heard of."""
    return Workers(workers=tuple(map(_worker, services.queue.workers())))


@router.get("/audit", response_model=Audit, responses=problems(), summary="Audit log")
def audit(
    _who: Administrator,
    services: Service,
    project: ProjectFilter = None,
    user: Annotated[
        str | None, Query(pattern=KEY_PATTERN, description="Only what this user did.")
    ] = None,
    action: Annotated[
        str,
        Query(
            pattern=r"^[a-z_.]{0,64}$", description="Only actions that begin so.", examples=["job."]
        ),
    ] = "",
    before: Annotated[
        int | None,
        Query(ge=1, le=LARGEST_NUMBER, description="`next` of the page before."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Lines of a page.")] = 100,
) -> Audit:
    """Give lines of the audit log, newest first."""
    lines = services.accounts.audit_log(
        project_ids=None if project is None else [project],
        user_id=user,
        action=action,
        before=before,
        limit=limit,
    )
    following = lines[-1].id if len(lines) == limit else None
    return Audit(lines=tuple(map(audit_view, lines)), next=following)


def _link(request: Request, services: Services, token: str) -> str:
    # The host of a request is one of the server's own names, or the gates had refused it.
    address = (services.settings.public_url or str(request.base_url)).rstrip("/")
    return f"{address}/auth/link?token={token}"


def _quota(quota: Quota) -> QuotaView:
    return QuotaView(
        id=quota.id,
        level=quota.level,
        owner=quota.owner_id,
        device_kind=quota.device_kind,
        device_hours=quota.device_seconds / HOUR_SECONDS,
        period=quota.period,
    )


def _worker(worker: WorkerRecord) -> WorkerView:
    return WorkerView(
        id=worker.id,
        host=worker.host,
        process=worker.process,
        executor=worker.executor,
        device_kind=worker.device_kind,
        device=worker.device,
        memory_bytes=worker.memory_bytes,
        started_at=moment(worker.started_at),
        heartbeat_at=moment(worker.heartbeat_at),
        state=worker.state,
    )
