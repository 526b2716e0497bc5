"""Organisations, their projects, and who may do what in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from itda.errors import InputError
from itda.language import Message
from itda.server.accounts.log import Log
from itda.server.accounts.records import (
    SERVER,
    Actor,
    Member,
    Membership,
    Organisation,
    Project,
    Role,
)
from itda.server.accounts.users import checked_name, user_in
from itda.server.database.database import Database
from itda.server.database.tables import members, new_id, organisations, projects, users
from itda.server.errors import ConflictError, NotFoundError


class Projects:
    """The organisations and projects of a server.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where changes are written down.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Log) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    def add_organisation(
        self, name: str, *, weight: float = 1.0, by: Actor = SERVER
    ) -> Organisation:
        """Add an organisation.

        Raises:
            InputError: The name or weight cannot be taken.
            ConflictError: There is one of that name.
        """
        shown = checked_name(name, what="organisation")
        values = {"id": new_id(), "name": shown, "weight": checked_weight(weight)}
        try:
            with self._database.write() as connection:
                connection.execute(insert(organisations).values(created_at=self._clock(), **values))
                self._log.add(
                    connection,
                    "organisation.add",
                    by=by,
                    object_id=str(values["id"]),
                    details={"name": shown, "weight": weight},
                )
                return organisation_in(connection, str(values["id"]))
        except IntegrityError as error:
            raise ConflictError(
                Message("organisation {shown}: there is one of that name", shown=shown)
            ) from error

    def organisations(self) -> list[Organisation]:
        """Return every organisation, by name."""
        query = select(organisations).order_by(organisations.c.name)
        with self._database.read() as connection:
            return [Organisation(**row) for row in connection.execute(query).mappings()]

    def organisation(self, organisation_id: str) -> Organisation:
        """Return an organisation.

        Raises:
            NotFoundError: There is none of that key.
        """
        with self._database.read() as connection:
            return organisation_in(connection, organisation_id)

    def set_organisation_weight(
        self, organisation_id: str, weight: float, *, by: Actor = SERVER
    ) -> None:
        """Set the share of an organisation among the others."""
        self._set_weight(organisations, "organisation", organisation_id, weight, by)

    def add(
        self, organisation_id: str, name: str, *, weight: float = 1.0, by: Actor = SERVER
    ) -> Project:
        """Add a project; it has no members yet.

        Raises:
            InputError: The name or weight cannot be taken.
            ConflictError: The organisation has one of that name.
            NotFoundError: There is no such organisation.
        """
        shown = checked_name(name, what="project")
        project_id = new_id()
        try:
            with self._database.write() as connection:
                organisation_in(connection, organisation_id)
                connection.execute(
                    insert(projects).values(
                        id=project_id,
                        organisation_id=organisation_id,
                        name=shown,
                        weight=checked_weight(weight),
                        created_at=self._clock(),
                    )
                )
                self._log.add(
                    connection,
                    "project.add",
                    by=by,
                    project_id=project_id,
                    object_id=project_id,
                    details={"name": shown, "weight": weight},
                )
                return project_in(connection, project_id)
        except IntegrityError as error:
            raise ConflictError(
                Message("project {shown}: the organisation has one of that name", shown=shown)
            ) from error

    def get(self, project_id: str) -> Project:
        """Return a project.

        Raises:
            NotFoundError: There is none of that key.
        """
        with self._database.read() as connection:
            return project_in(connection, project_id)

    def all(self, project_ids: Collection[str] | None = None) -> list[Project]:
        """Return these projects, or all, by name."""
        query = select(projects).order_by(projects.c.name, projects.c.id)
        if project_ids is not None:
            query = query.where(projects.c.id.in_(list(project_ids)))
        with self._database.read() as connection:
            return [Project(**row) for row in connection.execute(query).mappings()]

    def set_weight(self, project_id: str, weight: float, *, by: Actor = SERVER) -> None:
        """Set the share of a project within its organisation."""
        self._set_weight(projects, "project", project_id, weight, by)

    def rename(self, project_id: str, name: str, *, by: Actor = SERVER) -> None:
        """Give a project another name."""
        shown = checked_name(name, what="project")
        try:
            with self._database.write() as connection:
                project_in(connection, project_id)
                connection.execute(
                    update(projects).where(projects.c.id == project_id).values(name=shown)
                )
                self._log.add(
                    connection,
                    "project.rename",
                    by=by,
                    project_id=project_id,
                    object_id=project_id,
                    details={"name": shown},
                )
        except IntegrityError as error:
            raise ConflictError(
                Message("project {shown}: the organisation has one of that name", shown=shown)
            ) from error

    def archive(self, project_id: str, archived: bool = True, *, by: Actor = SERVER) -> None:
        """Let a project be read only, or take jobs again."""
        with self._database.write() as connection:
            project_in(connection, project_id)
            connection.execute(
                update(projects)
                .where(projects.c.id == project_id)
                .values(archived_at=self._clock() if archived else None)
            )
            self._log.add(
                connection,
                "project.archive" if archived else "project.reopen",
                by=by,
                project_id=project_id,
                object_id=project_id,
            )

    def set_member(
        self,
        project_id: str,
        user_id: str,
        role: Role | str,
        *,
        weight: float | None = None,
        by: Actor = SERVER,
    ) -> None:
        """Make a user a member, or change what the member may do.

        Args:
            project_id: Of the project.
            user_id: Of the user.
            role: `viewer`, `member` or `manager`.
            weight: Share within the project; None leaves it, at 1 for a new member.
            by: Who changes it.

        Raises:
            InputError: The role or weight cannot be taken.
            NotFoundError: There is no such project or user.
        """
        with self._database.write() as connection:
            self.put_member(connection, project_id, user_id, role, weight=weight, by=by)

    def put_member(
        self,
        connection: Connection,
        project_id: str,
        user_id: str,
        role: Role | str,
        *,
        weight: float | None = None,
        by: Actor = SERVER,
    ) -> None:
        """Do what `set_member` does in a transaction."""
        values: dict[str, object] = {"role": checked_role(role).value}
        if weight is not None:
            values["weight"] = checked_weight(weight)
        project_in(connection, project_id)
        user_in(connection, user_id)
        this = (members.c.project_id == project_id) & (members.c.user_id == user_id)
        if connection.execute(select(members).where(this)).first():
            connection.execute(update(members).where(this).values(**values))
        else:
            connection.execute(
                insert(members).values(project_id=project_id, user_id=user_id, **values)
            )
        self._log.add(
            connection,
            "member.set",
            by=by,
            project_id=project_id,
            object_id=user_id,
            details=values,
        )

    def remove_member(self, project_id: str, user_id: str, *, by: Actor = SERVER) -> None:
        """Take a user out of a project; jobs stay.

        Raises:
            NotFoundError: The user is no member.
        """
        with self._database.write() as connection:
            gone = connection.execute(
                delete(members).where(
                    members.c.project_id == project_id, members.c.user_id == user_id
                )
            )
            if not gone.rowcount:
                raise NotFoundError(Message("the user is no member of the project"))
            self._log.add(
                connection, "member.remove", by=by, project_id=project_id, object_id=user_id
            )

    def members(self, project_id: str) -> list[Member]:
        """Return the members of a project, by address."""
        query = (
            select(members.c.user_id, members.c.role, members.c.weight)
            .join(users, users.c.id == members.c.user_id)
            .where(members.c.project_id == project_id)
            .order_by(users.c.email)
        )
        with self._database.read() as connection:
            return [
                Member(
                    project_id=project_id,
                    user=user_in(connection, row["user_id"]),
                    role=Role(row["role"]),
                    weight=row["weight"],
                )
                for row in connection.execute(query).mappings().all()
            ]

    def of_user(self, user_id: str) -> list[Membership]:
        """Return the projects of a user, by name."""
        with self._database.read() as connection:
            return memberships_in(connection, user_id)

    def _set_weight(self, table: Table, kind: str, key: str, weight: float, by: Actor) -> None:
        checked = checked_weight(weight)
        with self._database.write() as connection:
            changed = connection.execute(
                update(table).where(table.c.id == key).values(weight=checked)
            )
            if not changed.rowcount:
                raise NotFoundError(Message("there is no such {kind}", kind=kind))
            self._log.add(
                connection,
                f"{kind}.set_weight",
                by=by,
                project_id=key if kind == "project" else None,
                object_id=key,
                details={"weight": checked},
            )


def memberships_in(connection: Connection, user_id: str) -> list[Membership]:
    """Return the projects of a user, by name, within a transaction."""
    query = (
        select(projects, members.c.role.label("role"))
        .join(members, members.c.project_id == projects.c.id)
        .where(members.c.user_id == user_id)
        .order_by(projects.c.name, projects.c.id)
    )
    return [_membership(row) for row in connection.execute(query).mappings()]


def organisation_in(connection: Connection, organisation_id: str) -> Organisation:
    """Return an organisation within a transaction."""
    query = select(organisations).where(organisations.c.id == organisation_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(Message("there is no such organisation"))
    return Organisation(**row)


def project_in(connection: Connection, project_id: str) -> Project:
    """Return a project within a transaction."""
    row = connection.execute(select(projects).where(projects.c.id == project_id)).mappings().first()
    if row is None:
        raise NotFoundError(Message("there is no such project"))
    return Project(**row)


def checked_weight(weight: float) -> float:
    """Return a weight.

    Raises:
        InputError: It is not above 0, or not a number.
    """
    if not (math.isfinite(weight) and 0 < weight <= 1e6):
        raise InputError(
            Message("weight: {weight}", weight=weight),
            hint=Message("a number above 0, such as 1 or 2.5"),
        )
    return float(weight)


def checked_role(role: Role | str) -> Role:
    """Return a role.

    Raises:
        InputError: There is none of that name.
    """
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(Role)
        raise InputError(
            Message("role: {role!r} is none", role=str(role)[:40]),
            hint=Message("one of {known}", known=known),
        ) from None


def _membership(row: RowMapping) -> Membership:
    values = dict(row)
    role = Role(values.pop("role"))
    return Membership(project=Project(**values), role=role)
