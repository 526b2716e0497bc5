"""Sessions of browsers: started at sign-in, ended by time, by sign-out, or everywhere at once."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, insert, select

from itda.server.accounts.credentials import digest, new_secret
from itda.server.accounts.log import Log
from itda.server.accounts.records import Actor, Session
from itda.server.database.database import Database
from itda.server.database.tables import sessions

SESSION_SECONDS = 14 * 86400.0
"""How long a sign-in lasts."""


class Sessions:
    """The sessions of a server.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where sign-ins and sign-outs are written down.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Log) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    def start(
        self, user_id: str, *, how: str, by: Actor, replaces: str | None = None
    ) -> tuple[str, Session]:
        """Start a session with a key of its own, whatever the browser had before.

        Args:
            user_id: Who signs in.
            how: `password`, `link` or `oidc`, for the audit log.
            by: From which address.
            replaces: What the browser's cookie holds; that session ends.

        Returns:
            What the cookie is to hold, and the session.
        """
        now = self._clock()
        secret = new_secret()
        session = Session(
            id=digest(secret),
            user_id=user_id,
            csrf_token=new_secret(),
            created_at=now,
            expires_at=now + SESSION_SECONDS,
            address=by.address,
        )
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            if replaces is not None:
                connection.execute(delete(sessions).where(sessions.c.id == digest(replaces)))
            connection.execute(
                insert(sessions).values(
                    id=session.id,
                    user_id=user_id,
                    csrf_token=session.csrf_token,
                    created_at=now,
                    expires_at=session.expires_at,
                    address=session.address,
                )
            )
            self._log.add(
                connection,
                "user.sign_in",
                by=Actor(user_id=user_id, address=by.address),
                object_id=user_id,
                details={"how": how},
            )
        return secret, session

    def of_user(self, user_id: str) -> list[Session]:
        """Return the open sessions of a user, newest first."""
        query = (
            select(sessions)
            .where(sessions.c.user_id == user_id, sessions.c.expires_at > self._clock())
            .order_by(sessions.c.created_at.desc())
        )
        with self._database.read() as connection:
            return [Session(**row) for row in connection.execute(query).mappings()]

    def end(self, session_id: str, *, by: Actor) -> None:
        """End one session, by the digest that is its key."""
        self._end(sessions.c.id == session_id, {"everywhere": False}, by)

    def end_all(self, user_id: str, *, by: Actor) -> None:
        """Sign a user out everywhere."""
        self._end(sessions.c.user_id == user_id, {"everywhere": True}, by)

    def _end(self, which: object, details: dict[str, bool], by: Actor) -> None:
        with self._database.write() as connection:
            gone = connection.execute(delete(sessions).where(which))  # type: ignore[arg-type]
            if gone.rowcount:
                self._log.add(
                    connection, "user.sign_out", by=by, object_id=by.user_id, details=details
                )
