"""Tokens of the REST interface: scoped, hashed, revocable."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping

from itda.errors import InputError
from itda.language import Message
from itda.server.accounts.credentials import digest, new_token, shown_prefix
from itda.server.accounts.log import Log
from itda.server.accounts.projects import memberships_in
from itda.server.accounts.records import SCOPES, SERVER, Actor, Token
from itda.server.accounts.users import checked_name, user_in
from itda.server.database.database import Database
from itda.server.database.tables import new_id, tokens
from itda.server.errors import ForbiddenError, NotFoundError


class Tokens:
    """The tokens of a server.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where changes are written down.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Log) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    def create(
        self,
        user_id: str,
        name: str,
        scopes: Collection[str],
        *,
        project_id: str | None = None,
        expires_at: float | None = None,
        by: Actor = SERVER,
    ) -> tuple[str, Token]:
        """Create a token.

        Args:
            user_id: Whose it is; it never may do more than the user.
            name: What it is for.
            scopes: Of `read`, `submit`, `manage` and `admin`.
            project_id: The only project it reaches; None for all of the user's.
            expires_at: Seconds since 1970; None for never.
            by: Who creates it.

        Returns:
            The token, which is not kept and cannot be shown again, and what is kept of it.

        Raises:
            InputError: A name, scope or time that cannot be taken.
            ForbiddenError: `admin` for a user who is no administrator.
            NotFoundError: There is no such user, or the project is none of the user's.
        """
        wanted = checked_scopes(scopes)
        now = self._clock()
        if expires_at is not None and not now < expires_at < now + 1e10:
            raise InputError(
                Message("expires_at: is in the past"), hint=Message("name a time to come")
            )
        secret = new_token()
        token = Token(
            id=new_id(),
            user_id=user_id,
            project_id=project_id,
            name=checked_name(name, what="name of the token"),
            prefix=shown_prefix(secret),
            scopes=wanted,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
        )
        with self._database.write() as connection:
            user = user_in(connection, user_id)
            if "admin" in wanted and not user.is_admin:
                raise ForbiddenError(Message("scope admin: the user is no administrator"))
            if project_id is not None and project_id not in {
                one.project.id for one in memberships_in(connection, user_id)
            }:
                raise NotFoundError(Message("there is no such project"))
            values = {**asdict(token), "scopes": _written(wanted)}
            connection.execute(insert(tokens).values(digest=digest(secret), **values))
            self._log.add(
                connection,
                "token.create",
                by=by,
                project_id=project_id,
                object_id=token.id,
                details={"name": token.name, "scopes": _written(wanted), "user_id": user_id},
            )
        return secret, token

    def of_user(self, user_id: str) -> list[Token]:
        """Return the tokens of a user, newest first, the revoked ones too."""
        query = select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.id.desc())
        with self._database.read() as connection:
            return [token_of(row) for row in connection.execute(query).mappings()]

    def get(self, token_id: str) -> Token:
        """Return a token.

        Raises:
            NotFoundError: There is none of that key.
        """
        with self._database.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).mappings()
            found = row.first()
        if found is None:
            raise NotFoundError(Message("there is no such token"))
        return token_of(found)

    def revoke(self, token_id: str, *, user_id: str | None = None, by: Actor = SERVER) -> None:
        """End a token for good.

        Args:
            token_id: Its key, which is not the token.
            user_id: Whose it must be; None for anyone's.
            by: Who revokes it.

        Raises:
            NotFoundError: There is none, or it is another user's.
        """
        query = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).mappings()
            found = row.first()
            if found is None or user_id not in (None, found["user_id"]):
                raise NotFoundError(Message("there is no such token"))
            if connection.execute(query.values(revoked_at=self._clock())).rowcount:
                self._log.add(connection, "token.revoke", by=by, object_id=token_id)

    def used(self, token_id: str) -> None:
        """Note that a token was used now."""
        with self._database.write() as connection:
            connection.execute(
                update(tokens).where(tokens.c.id == token_id).values(last_used_at=self._clock())
            )


def token_of(row: RowMapping) -> Token:
    """Return the token of a row, without its digest."""
    values = {key: value for key, value in row.items() if key != "digest"}
    return Token(**{**values, "scopes": frozenset(row["scopes"].split())})


def checked_scopes(scopes: Collection[str]) -> frozenset[str]:
    """Return scopes.

    Raises:
        InputError: There are none, or one is unknown.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InputError(
            Message("scopes: {unknown!r} is none", unknown=unknown[0][:40])
            if unknown
            else Message("scopes: there are none"),
            hint=Message("some of {scopes:,}", scopes=SCOPES),
        )
    return frozenset(scopes)


def _written(scopes: frozenset[str]) -> str:
    return " ".join(scope for scope in SCOPES if scope in scopes)
