"""Accounts: users, projects, sessions, tokens and the audit log of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from itda.server.accounts.identities import Identities
from itda.server.accounts.links import INVITE, RESET, SIGN_IN, Links
from itda.server.accounts.log import Log
from itda.server.accounts.projects import Projects, organisation_in, project_in
from itda.server.accounts.records import SERVER, Actor, AuditLine, Invitation, Owner, Role
from itda.server.accounts.retention import forget_old
from itda.server.accounts.sessions import Sessions
from itda.server.accounts.tokens import Tokens
from itda.server.accounts.users import Users, checked_email, checked_name, find_in
from itda.server.database.database import Database
from itda.server.database.tables import new_id, organisations, projects

OWNER_EMAIL = "owner@localhost"
OWNER_ORGANISATION = "Local"
OWNER_PROJECT = "Default"


class Accounts:
    """Who may do what.

    Args:
        database: Where it is written down.
        clock: Seconds since 1970.

    Attributes:
        users: Persons and their passwords.
        projects: Organisations, projects and their members.
        sessions: Browsers that are signed in.
        tokens: Tokens of the REST interface.
        links: Links that sign in or set a password.
        identities: Whose a cookie or token is.
        log: The audit log.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self.log = Log(database, clock)
        self.users = Users(database, clock, self.log)
        self.projects = Projects(database, clock, self.log)
        self.sessions = Sessions(database, clock, self.log)
        self.tokens = Tokens(database, clock, self.log)
        self.links = Links(database, clock, self.log, self.users)
        self.identities = Identities(database, clock, self.log)

    def ensure_owner(self) -> Owner:
        """Return the local owner, made at the first call, with a new link to sign in.

        The link of an earlier call works no longer.
        """
        try:
            return self._ensure_owner()
        except IntegrityError:  # another process made one at the same time
            return self._ensure_owner()

    def _ensure_owner(self) -> Owner:
        with self._database.write() as connection:
            user = find_in(connection, OWNER_EMAIL)
            if user is None:
                user = self.users.insert(connection, email=OWNER_EMAIL, name="Owner", is_admin=True)
            organisation_id = connection.execute(
                select(organisations.c.id).where(organisations.c.name == OWNER_ORGANISATION)
            ).scalar()
            if organisation_id is None:
                organisation_id = new_id()
                connection.execute(
                    insert(organisations).values(
                        id=organisation_id, name=OWNER_ORGANISATION, created_at=self._clock()
                    )
                )
            project_id = connection.execute(
                select(projects.c.id).where(
                    projects.c.organisation_id == organisation_id,
                    projects.c.name == OWNER_PROJECT,
                )
            ).scalar()
            if project_id is None:
                project_id = new_id()
                connection.execute(
                    insert(projects).values(
                        id=project_id,
                        organisation_id=organisation_id,
                        name=OWNER_PROJECT,
                        created_at=self._clock(),
                    )
                )
                self.projects.put_member(connection, project_id, user.id, Role.MANAGER)
            return Owner(
                user=user,
                organisation=organisation_in(connection, organisation_id),
                project=project_in(connection, project_id),
                link_token=self.links.create_in(connection, user.id, SIGN_IN, by=SERVER),
            )

    def invite(
        self,
        email: str,
        name: str = "",
        *,
        project_id: str | None = None,
        role: Role | str = Role.MEMBER,
        is_admin: bool = False,
        by: Actor = SERVER,
    ) -> Invitation:
        """Add a user, who sets a password by a link, and make the user a member of a project.

        Args:
            email: Of whom.
            name: As others see it.
            project_id: The project; None for none yet.
            role: In the project.
            is_admin: Whether a new user administers the server; one who is there stays as is.
            by: Who invites.

        Raises:
            InputError: The address, name or role cannot be taken.
            NotFoundError: There is no such project.
        """
        address = checked_email(email)
        shown = checked_name(name or address.split("@")[0], what="name")
        with self._database.write() as connection:
            user = find_in(connection, address)
            link_token = None
            if user is None:
                user = self.users.insert(
                    connection, by=by, email=address, name=shown, is_admin=is_admin
                )
                link_token = self.links.create_in(connection, user.id, INVITE, by=by)
            if project_id is not None:
                self.projects.put_member(connection, project_id, user.id, role, by=by)
        return Invitation(user=user, link_token=link_token)

    def password_link(self, user_id: str, *, by: Actor = SERVER) -> str:
        """Return the token of a link by which a user sets a password, the first or another."""
        user = self.users.get(user_id)
        return self.links.create(user_id, RESET if user.has_password else INVITE, by=by)

    def audit(
        self,
        action: str,
        *,
        by: Actor = SERVER,
        project_id: str | None = None,
        object_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a line of the audit log, for a change made outside of the accounts.

        Args:
            action: What was done, such as `job.submit`.
            by: Who did it; `Identity.actor` of a request.
            project_id: The project it was done in.
            object_id: What it was done to.
            details: What else a reader wants to know; never a secret.
        """
        with self._database.write() as connection:
            self.log.add(
                connection,
                action,
                by=by,
                project_id=project_id,
                object_id=object_id,
                details=details,
            )

    def forget_old(self, audit_days: float) -> dict[str, int]:
        """Remove what is too old to be kept; see `retention.forget_old`."""
        return forget_old(self._database, self.log, now=self._clock(), audit_days=audit_days)

    def audit_log(
        self,
        *,
        project_ids: Collection[str] | None = None,
        user_id: str | None = None,
        action: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditLine]:
        """Return lines of the audit log, newest first; see `Log.lines`."""
        return self.log.lines(
            project_ids=project_ids, user_id=user_id, action=action, before=before, limit=limit
        )
