"""From the records of the accounts and the books to what travels."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from itda.server.accounts.records import (
    SCOPES,
    AuditLine,
    Member,
    Organisation,
    Project,
    Role,
    Token,
    User,
)
from itda.server.queue.records import QuotaStatus as QuotaRecord
from itda.server.rest.common import moment, moment_or_none
from itda.wire import (
    AuditView,
    MemberView,
    MyProject,
    OrganisationView,
    ProjectView,
    QuotaStatus,
    ScopeName,
    TokenView,
    UserView,
)


def user_view(user: User) -> UserView:
    """Return a user."""
    return UserView(
        id=user.id,
        email=user.email,
        name=user.name,
        is_admin=user.is_admin,
        created_at=moment(user.created_at),
        disabled=user.disabled_at is not None,
    )


def scope_names(scopes: Collection[str]) -> tuple[ScopeName, ...]:
    """Return scopes in their order."""
    return tuple(scope for scope in SCOPES if scope in scopes)  # type: ignore[misc]


def token_view(token: Token) -> TokenView:
    """Return a token, without the token itself."""
    return TokenView(
        id=token.id,
        name=token.name,
        prefix=token.prefix,
        scopes=scope_names(token.scopes),
        project=token.project_id,
        created_at=moment(token.created_at),
        expires_at=moment_or_none(token.expires_at),
        revoked_at=moment_or_none(token.revoked_at),
        last_used_at=moment_or_none(token.last_used_at),
    )


def my_project(project: Project, role: Role, quotas: Iterable[QuotaRecord]) -> MyProject:
    """Return a project as its member sees it."""
    return MyProject(
        id=project.id,
        organisation=project.organisation_id,
        name=project.name,
        role=role.value,
        weight=project.weight,
        archived=project.archived_at is not None,
        quotas=tuple(
            QuotaStatus(
                level=one.level,
                device_kind=one.device_kind,
                period=one.period,
                device_seconds=one.device_seconds,
                used_seconds=one.used_seconds,
                renews_at=moment_or_none(one.renews_at),
            )
            for one in quotas
        ),
    )


def organisation_view(organisation: Organisation) -> OrganisationView:
    """Return an organisation."""
    return OrganisationView(
        id=organisation.id,
        name=organisation.name,
        weight=organisation.weight,
        created_at=moment(organisation.created_at),
    )


def project_view(project: Project) -> ProjectView:
    """Return a project as administrators see it."""
    return ProjectView(
        id=project.id,
        organisation=project.organisation_id,
        name=project.name,
        weight=project.weight,
        created_at=moment(project.created_at),
        archived=project.archived_at is not None,
    )


def member_view(member: Member) -> MemberView:
    """Return a member of a project."""
    return MemberView(user=user_view(member.user), role=member.role.value, weight=member.weight)


def audit_view(line: AuditLine) -> AuditView:
    """Return a line of the audit log."""
    return AuditView(
        id=line.id,
        time=moment(line.time),
        user=line.user_id,
        token=line.token_id,
        project=line.project_id,
        address=line.address,
        action=line.action,
        object=line.object_id,
        details=line.details,
    )
