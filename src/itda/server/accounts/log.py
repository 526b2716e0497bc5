"""The audit log: who changed what, when, and from where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from itda.server.accounts.records import SERVER, Actor, AuditLine
from itda.server.database.database import Database
from itda.server.database.tables import audit

MOST_LINES = 1000

FAILED_SIGN_IN = "user.sign_in_failed"
"""The action of a line that tells of a wrong password or address."""


class Log:
    """The audit log; lines are added, never changed.

    Args:
        database: Where it is.
        clock: Seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        connection: Connection,
        action: str,
        *,
        by: Actor = SERVER,
        project_id: str | None = None,
        object_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a line in a transaction, so that no change is without its line.

        Args:
            connection: That of the change.
            action: What is done, such as `job.submit`.
            by: Who does it.
            project_id: The project it is done in.
            object_id: What it is done to.
            details: What else a reader wants to know; never a secret.
        """
        connection.execute(
            insert(audit).values(
                time=self._clock(),
                user_id=by.user_id,
                token_id=by.token_id,
                project_id=project_id,
                address=by.address,
                action=action,
                object_id=object_id,
                details=_storable(dict(details or {})),
            )
        )

    def lines(
        self,
        *,
        project_ids: Collection[str] | None = None,
        user_id: str | None = None,
        action: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditLine]:
        """Return lines, newest first.

        Args:
            project_ids: Only those of these projects.
            user_id: Only what this user did.
            action: Only actions that begin so, such as `job.`.
            before: Only lines with a smaller `id`, to go on after a page.
            limit: How many.
        """
        query = select(audit).order_by(audit.c.id.desc()).limit(min(max(limit, 1), MOST_LINES))
        if project_ids is not None:
            query = query.where(audit.c.project_id.in_(list(project_ids)))
        if user_id is not None:
            query = query.where(audit.c.user_id == user_id)
        if action:
            query = query.where(audit.c.action.startswith(action, autoescape=True))
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._database.read() as connection:
            return [AuditLine(**row) for row in connection.execute(query).mappings()]


def _storable(value: Any) -> Any:
    """Return a value without characters that a database refuses: NUL, and halves of a pair."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(one) for one in value]
    return value
