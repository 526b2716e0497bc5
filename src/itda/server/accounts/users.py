"""Users: who there is, and who they say they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from itda.errors import InputError
from itda.language import Message
from itda.server.accounts import passwords
from itda.server.accounts.log import Log
from itda.server.accounts.records import SERVER, Actor, User
from itda.server.database.database import Database
from itda.server.database.tables import links, new_id, sessions, users
from itda.server.errors import ConflictError, NotFoundError

_EMAIL = re.compile(r"[^\s@<>\"'\\,;:()\[\]]{1,64}@[^\s@<>\"'\\,;:()\[\]]{1,255}")


class Users:
    """The users of a server.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where changes are written down.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Log) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    def add(
        self,
        email: str,
        name: str = "",
        *,
        password: str | None = None,
        is_admin: bool = False,
        by: Actor = SERVER,
    ) -> User:
        """Add a user.

        Args:
            email: Address, by which the user signs in; kept in lower case.
            name: As others see it; empty for what comes before the `@`.
            password: None where one is set later, by a link, or never, with a provider's account.
            is_admin: Whether the user administers the server.
            by: Who adds.

        Raises:
            InputError: The address, name or password cannot be taken.
            ConflictError: There is a user with that address.
        """
        address = checked_email(email)
        shown = checked_name(name or address.split("@")[0], what="name")
        kept = None
        if password is not None:
            passwords.check_rules(password, address)
            kept = passwords.hash_password(password)
        try:
            with self._database.write() as connection:
                return self.insert(
                    connection,
                    by=by,
                    email=address,
                    name=shown,
                    password_hash=kept,
                    is_admin=is_admin,
                )
        except IntegrityError as error:
            raise ConflictError(
                Message("{address}: there is a user with that address", address=address),
                hint=Message("add that user to a project instead"),
            ) from error

    def insert(self, connection: Connection, *, by: Actor = SERVER, **values: Any) -> User:
        """Add the row of a user, checked already, in a transaction."""
        user_id = new_id()
        connection.execute(insert(users).values(id=user_id, created_at=self._clock(), **values))
        self._log.add(
            connection,
            "user.add",
            by=by,
            object_id=user_id,
            details={"email": values["email"], "is_admin": values.get("is_admin", False)},
        )
        return user_in(connection, user_id)

    def get(self, user_id: str) -> User:
        """Return a user.

        Raises:
            NotFoundError: There is none of that key.
        """
        with self._database.read() as connection:
            return user_in(connection, user_id)

    def find(self, email: str) -> User | None:
        """Return the user of an address; None where there is none."""
        if not email.isprintable():
            return None
        with self._database.read() as connection:
            return find_in(connection, email.strip().lower())

    def all(self, text: str = "", *, limit: int = 1000) -> list[User]:
        """Return users whose address or name holds a text, by address."""
        query = select(users).order_by(users.c.email).limit(limit)
        if not text.isprintable():
            return []
        if text:
            query = query.where(
                or_(
                    users.c.email.icontains(text, autoescape=True),
                    users.c.name.icontains(text, autoescape=True),
                )
            )
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(query).mappings()]

    def check(self, email: str, password: str) -> User | None:
        """Return the user who signs in so; None for a wrong address, password, or disabled user.

        All three take the same time.
        """
        address = email.strip().lower()[:320] if email.isprintable() else ""
        query = select(users).where(users.c.email == address)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        same = passwords.matches(password, row["password_hash"] if row else None)
        if row is None or not same or row["disabled_at"] is not None:
            return None
        return _user(row)

    def set_password(self, user_id: str, password: str, *, by: Actor = SERVER) -> None:
        """Set a password, and sign the user out everywhere.

        Raises:
            InputError: The password breaks a rule.
            NotFoundError: There is no such user.
        """
        passwords.check_rules(password, self.get(user_id).email)
        kept = passwords.hash_password(password)
        with self._database.write() as connection:
            self.keep_password(connection, user_id, kept, by=by)

    def keep_password(
        self, connection: Connection, user_id: str, kept: str, *, by: Actor = SERVER
    ) -> None:
        """Set what is kept of a password in a transaction, and end sessions and links."""
        connection.execute(update(users).where(users.c.id == user_id).values(password_hash=kept))
        connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        connection.execute(delete(links).where(links.c.user_id == user_id))
        self._log.add(connection, "user.set_password", by=by, object_id=user_id)

    def disable(self, user_id: str, *, by: Actor = SERVER) -> None:
        """Shut a user out: sessions, links and tokens work no longer. Jobs stay.

        Raises:
            ConflictError: It is the last administrator.
            NotFoundError: There is no such user.
        """
        with self._database.write() as connection:
            if user_in(connection, user_id).disabled_at is not None:
                return
            self._keep_an_admin(connection, user_id)
            connection.execute(
                update(users).where(users.c.id == user_id).values(disabled_at=self._clock())
            )
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            connection.execute(delete(links).where(links.c.user_id == user_id))
            self._log.add(connection, "user.disable", by=by, object_id=user_id)

    def enable(self, user_id: str, *, by: Actor = SERVER) -> None:
        """Let a user in again; tokens that were not revoked work again."""
        with self._database.write() as connection:
            user_in(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=None))
            self._log.add(connection, "user.enable", by=by, object_id=user_id)

    def set_admin(self, user_id: str, is_admin: bool, *, by: Actor = SERVER) -> None:
        """Make a user an administrator, or no longer one.

        Raises:
            ConflictError: It is the last administrator.
            NotFoundError: There is no such user.
        """
        with self._database.write() as connection:
            user_in(connection, user_id)
            if not is_admin:
                self._keep_an_admin(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id).values(is_admin=is_admin))
            self._log.add(
                connection,
                "user.set_admin",
                by=by,
                object_id=user_id,
                details={"is_admin": is_admin},
            )

    def set_language(self, user_id: str, language: str | None) -> None:
        """Remember the language of a user's pages; None for the browser's."""
        with self._database.write() as connection:
            connection.execute(
                update(users)
                .where(users.c.id == user_id)
                .values(language=language[:8] if language else None)
            )

    def rename(self, user_id: str, name: str, *, by: Actor = SERVER) -> None:
        """Change the name that others see."""
        shown = checked_name(name, what="name")
        with self._database.write() as connection:
            user_in(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id).values(name=shown))
            self._log.add(
                connection, "user.rename", by=by, object_id=user_id, details={"name": shown}
            )

    def _keep_an_admin(self, connection: Connection, user_id: str) -> None:
        others = select(func.count()).where(
            users.c.is_admin, users.c.disabled_at.is_(None), users.c.id != user_id
        )
        if user_in(connection, user_id).is_admin and not connection.execute(others).scalar_one():
            raise ConflictError(
                Message(
                    "this is the last administrator, without whom nobody could mend the server"
                ),
                hint=Message("make another user an administrator first"),
            )


def user_in(connection: Connection, user_id: str) -> User:
    """Return a user within a transaction.

    Raises:
        NotFoundError: There is none of that key.
    """
    row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
    if row is None:
        raise NotFoundError(Message("there is no such user"))
    return _user(row)


def find_in(connection: Connection, email: str) -> User | None:
    """Return the user of an address in lower case, within a transaction."""
    row = connection.execute(select(users).where(users.c.email == email)).mappings().first()
    return None if row is None else _user(row)


def checked_email(email: str) -> str:
    """Return an address in lower case.

    Raises:
        InputError: It is none.
    """
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address) or len(address) > 320 or not address.isprintable():
        raise InputError(
            Message("e-mail: {email!r} is no address", email=email[:80]),
            hint=Message("write NAME@DOMAIN"),
        )
    return address


def checked_name(name: str, *, what: str) -> str:
    """Return a name without outer blanks.

    Raises:
        InputError: It is empty, longer than 200 characters, or not printable.
    """
    shown = name.strip()
    if not shown or len(shown) > 200 or not shown.isprintable():
        raise InputError(
            Message("{what}: {name!r} cannot be taken", what=what, name=name[:80]),
            hint=Message("1 to 200 characters, without line breaks"),
        )
    return shown


def _user(row: RowMapping) -> User:
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        is_admin=row["is_admin"],
        language=row["language"],
        has_password=row["password_hash"] is not None,
        oidc_issuer=row["oidc_issuer"],
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )
