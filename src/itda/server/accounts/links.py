"""Links that sign in or set a password: short-lived, and for passwords used once."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import RowMapping

from itda.language import Message
from itda.server.accounts import passwords
from itda.server.accounts.credentials import digest, new_secret
from itda.server.accounts.log import Log
from itda.server.accounts.records import Actor, User
from itda.server.accounts.users import Users, user_in
from itda.server.database.database import Database
from itda.server.database.tables import links
from itda.server.errors import UnauthenticatedError

SIGN_IN, INVITE, RESET = "sign_in", "invite", "reset"

LINK_SECONDS = {SIGN_IN: 3600.0, INVITE: 7 * 86400.0, RESET: 86400.0}
"""How long a link of each purpose works."""


class Links:
    """The links of a server that are still good.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where their use is written down.
        users: Whose passwords they set.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], log: Log, users: Users
    ) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._users = users

    def create(self, user_id: str, purpose: str, *, by: Actor) -> str:
        """Return the token of a new link; earlier links of the user work no longer."""
        with self._database.write() as connection:
            return self.create_in(connection, user_id, purpose, by=by)

    def create_in(self, connection: Connection, user_id: str, purpose: str, *, by: Actor) -> str:
        """Do what `create` does in a transaction."""
        now = self._clock()
        secret = new_secret()
        user_in(connection, user_id)
        connection.execute(
            delete(links).where((links.c.user_id == user_id) | (links.c.expires_at <= now))
        )
        connection.execute(
            insert(links).values(
                digest=digest(secret),
                user_id=user_id,
                purpose=purpose,
                created_at=now,
                expires_at=now + LINK_SECONDS[purpose],
            )
        )
        self._log.add(
            connection, "link.create", by=by, object_id=user_id, details={"purpose": purpose}
        )
        return secret

    def look(self, secret: str) -> tuple[User, str]:
        """Return whose a link is, and its purpose, without using it up.

        Raises:
            UnauthenticatedError: It is none, too old, or used.
        """
        with self._database.read() as connection:
            row = self._good(connection, secret)
            return user_in(connection, row["user_id"]), row["purpose"]

    def set_password(self, secret: str, password: str, *, address: str | None) -> User:
        """Set the password of whom a link was given to, and use it up.

        Raises:
            UnauthenticatedError: The link is none, too old, used, or only signs in.
            InputError: The password breaks a rule; the link is still good.
        """
        user, purpose = self.look(secret)
        if purpose == SIGN_IN:
            raise _bad_link()
        passwords.check_rules(password, user.email)
        kept = passwords.hash_password(password)
        with self._database.write() as connection:
            row = self._good(connection, secret)
            taken = connection.execute(
                update(links)
                .where(links.c.digest == row["digest"], links.c.used_at.is_(None))
                .values(used_at=self._clock())
            )
            if taken.rowcount != 1:  # another request was faster
                raise _bad_link()
            by = Actor(user_id=user.id, address=address)
            self._users.keep_password(connection, user.id, kept, by=by)
        return user

    def _good(self, connection: Connection, secret: str) -> RowMapping:
        row = (
            connection.execute(
                select(links).where(
                    links.c.digest == digest(secret),
                    links.c.used_at.is_(None),
                    links.c.expires_at > self._clock(),
                )
            )
            .mappings()
            .first()
        )
        if row is None or user_in(connection, row["user_id"]).disabled_at is not None:
            raise _bad_link()
        return row


def has_invitation(connection: Connection, user_id: str, now: float) -> bool:
    """Whether a user was invited and has not followed the link yet."""
    query = select(links.c.digest).where(
        links.c.user_id == user_id,
        links.c.purpose == INVITE,
        links.c.used_at.is_(None),
        links.c.expires_at > now,
    )
    return connection.execute(query).first() is not None


def _bad_link() -> UnauthenticatedError:
    return UnauthenticatedError(
        Message("the link is too old or was used"),
        hint=Message("ask for another one; the server's start prints one"),
    )
