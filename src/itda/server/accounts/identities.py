"""Whose a cookie, a token or a provider's account is, and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from itda.language import Message
from itda.server.accounts.credentials import TOKEN_PREFIX, digest
from itda.server.accounts.links import has_invitation
from itda.server.accounts.log import Log
from itda.server.accounts.projects import memberships_in
from itda.server.accounts.records import SCOPES, SERVER, Actor, Membership, Session, Token, User
from itda.server.accounts.tokens import token_of
from itda.server.accounts.users import Users, checked_email, checked_name, find_in, user_in
from itda.server.database.database import Database
from itda.server.database.tables import links, sessions, tokens, users
from itda.server.errors import ConflictError, ForbiddenError

USE_NOTED_SECONDS = 60.0
"""A token's last use is written down at most so often."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Whose a credential is.

    Attributes:
        user: Not disabled.
        memberships: The projects that the credential reaches.
        scopes: What it may do at most.
        session: Of a cookie.
        token: Of a token.
    """

    user: User
    memberships: tuple[Membership, ...]
    scopes: frozenset[str]
    session: Session | None = None
    token: Token | None = None


class Identities:
    """Finds users by what they show.

    Args:
        database: Where they are.
        clock: Seconds since 1970.
        log: Where new users are written down.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Log) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._users = Users(database, clock, log)

    def of_cookie(self, secret: str) -> Known | None:
        """Return whose a session's cookie is; None where it is over or nobody's."""
        query = select(sessions).where(
            sessions.c.id == digest(secret), sessions.c.expires_at > self._clock()
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            user = user_in(connection, row["user_id"])
            if user.disabled_at is not None:
                return None
            scopes = frozenset(SCOPES) if user.is_admin else frozenset(SCOPES) - {"admin"}
            return Known(
                user=user,
                memberships=tuple(memberships_in(connection, user.id)),
                scopes=scopes,
                session=Session(**row),
            )

    def of_token(self, secret: str) -> Known | None:
        """Return whose a token is; None where it is expired, revoked or nobody's."""
        if not secret.startswith(TOKEN_PREFIX):
            return None
        now = self._clock()
        query = select(tokens).where(tokens.c.digest == digest(secret))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
            if row is None or row["revoked_at"] is not None:
                return None
            if row["expires_at"] is not None and row["expires_at"] <= now:
                return None
            token = token_of(row)
            user = user_in(connection, token.user_id)
            if user.disabled_at is not None:
                return None
            reached = tuple(
                one
                for one in memberships_in(connection, user.id)
                if token.project_id in (None, one.project.id)
            )
        if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_SECONDS:
            with self._database.write() as connection:
                connection.execute(
                    update(tokens).where(tokens.c.id == token.id).values(last_used_at=now)
                )
        scopes = token.scopes if user.is_admin else token.scopes - {"admin"}
        return Known(user=user, memberships=reached, scopes=scopes, token=token)

    def of_provider(
        self, issuer: str, subject: str, *, email: str, verified: bool, name: str
    ) -> User:
        """Return the user of a provider's account, made at the first sign-in.

        A user who is there already is taken over only where the provider has verified the address
        and the address was invited and has no password yet; else whoever can write that address
        into an account of the provider would get the user's projects.

        Args:
            issuer: The provider.
            subject: Its name for the account.
            email: Address, as the provider tells it.
            verified: Whether the provider says that it has verified the address.
            name: As others see it.

        Raises:
            ConflictError: Another user has the address.
            ForbiddenError: The user is disabled.
            InputError: The provider tells no address.
        """
        this = (users.c.oidc_issuer == issuer) & (users.c.oidc_subject == subject)
        with self._database.write() as connection:
            found = connection.execute(select(users.c.id).where(this)).scalar()
            if found is not None:
                user = user_in(connection, found)
                if user.disabled_at is not None:
                    raise ForbiddenError(Message("the account is disabled"))
                return user
            address = checked_email(email)
            there = find_in(connection, address)
            if there is not None:
                self._take_over(connection, there, issuer, subject, verified=verified)
                return user_in(connection, there.id)
            return self._users.insert(
                connection,
                by=SERVER,
                email=address,
                name=checked_name(_printable(name) or address.split("@")[0], what="name"),
                oidc_issuer=issuer,
                oidc_subject=subject,
            )

    def _take_over(
        self, connection: Connection, user: User, issuer: str, subject: str, *, verified: bool
    ) -> None:
        invited = has_invitation(connection, user.id, self._clock())
        if not verified or not invited or user.has_password or user.oidc_issuer or user.disabled_at:
            raise ConflictError(
                Message("another account has this e-mail address"),
                hint=Message(
                    "sign in with its password, or have an administrator invite the address"
                ),
            )
        connection.execute(
            update(users)
            .where(users.c.id == user.id)
            .values(oidc_issuer=issuer, oidc_subject=subject)
        )
        # Whoever holds the invitation's link could else set a password beside it.
        connection.execute(links.delete().where(links.c.user_id == user.id))
        self._log.add(
            connection,
            "user.link_provider",
            by=Actor(user_id=user.id),
            object_id=user.id,
            details={"issuer": issuer},
        )


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:200]
