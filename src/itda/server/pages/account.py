"""Signing in, passwords, tokens and sessions."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from itda.errors import InputError, ItdaError
from itda.language import Message, mark
from itda.server.accounts.records import SCOPES, Token
from itda.server.errors import UnauthenticatedError
from itda.server.pages.visitors import (
    APasserBy,
    AVisitor,
    Sent,
    Visitor,
    WhatWasSent,
    go_to,
)
from itda.server.security.origin import own_path

DAY_SECONDS = 86400.0
LIFETIMES_DAYS = (30, 90, 365)

SIGN_IN_ERRORS = {
    "wrong": mark("The e-mail address or the password is wrong."),
    "rate": mark("There were too many attempts. Please wait a minute."),
    "link": mark("The link is too old or was used already. Ask for another one."),
    "forbidden": mark("You may not sign in here."),
    "account": mark("Another account has this e-mail address. Sign in with its password."),
    "provider": mark("The provider of your account could not be reached, or did not sign you in."),
}
PASSWORD_ERRORS = {
    "password": mark(
        "This password cannot be taken. It needs at least 10 characters, must not be your e-mail "
        "address, and must not repeat a few characters."
    ),
    "wrong": mark("The current password is wrong."),
    "rate": mark("There were too many attempts. Please wait a minute."),
    "link": mark("The link is too old or was used already. Ask for another one."),
}
OTHER_ERROR = mark("This did not work. Please try again.")

router = APIRouter()


@router.get("/sign-in")
def sign_in(view: APasserBy, next: str = "/", error: str = "") -> Response:
    """Show the form to sign in; who is signed in goes on."""
    goal = own_path(next)
    if view.identity is not None and not error:
        return go_to(goal)
    settings = view.request.app.state.services.settings
    return view.render(
        "sign_in.html",
        next=goal,
        error=view.text(SIGN_IN_ERRORS.get(error, OTHER_ERROR)) if error else "",
        alone=settings.alone,
        has_provider=settings.oidc_issuer is not None,
    )


@router.get("/set-password")
def set_password(view: APasserBy, token: str = "", error: str = "") -> Response:
    """Show the form of a new password: to whom a link was given, or who is signed in."""
    accounts = view.request.app.state.services.accounts
    by_link = bool(token)
    try:
        if by_link:
            user, _ = accounts.links.look(token)
        elif view.identity is not None:
            user = view.identity.user
        else:
            raise UnauthenticatedError(Message("there is no link"), hint=Message("sign in first"))
    except ItdaError:
        return go_to("/sign-in?error=link")
    return view.render(
        "set_password.html",
        token=token,
        by_link=by_link,
        email=user.email,
        section="account",
        error=view.text(PASSWORD_ERRORS.get(error, OTHER_ERROR)) if error else "",
    )


@router.get("/account")
def account(visitor: AVisitor) -> Response:
    """Show the visitor's account."""
    return _account(visitor)


@router.post("/account/name")
def rename(visitor: AVisitor, sent: WhatWasSent) -> Response:
    """Change the name that others see."""
    visitor.services.accounts.users.rename(
        visitor.who.user.id, sent.text("name"), by=visitor.who.actor
    )
    return go_to("/account")


@router.post("/account/tokens")
def create_token(visitor: AVisitor, sent: WhatWasSent) -> Response:
    """Create a token, and show it this once."""
    try:
        secret, token = _create(visitor, sent)
    except ItdaError as error:
        return _account(visitor, refusal=error, status=422)
    return _account(visitor, secret=secret, created=token)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(visitor: AVisitor, token_id: str) -> Response:
    """End a token of the visitor's."""
    visitor.services.accounts.tokens.revoke(
        token_id, user_id=visitor.who.user.id, by=visitor.who.actor
    )
    return go_to("/account#tokens")


@router.post("/account/sessions/{session_id}/end")
def end_session(visitor: AVisitor, session_id: str) -> Response:
    """End a session of the visitor's."""
    sessions = visitor.services.accounts.sessions
    if any(one.id == session_id for one in sessions.of_user(visitor.who.user.id)):
        sessions.end(session_id, by=visitor.who.actor)
    return go_to("/account#sessions")


def _create(visitor: Visitor, sent: Sent) -> tuple[str, Token]:
    scopes = [scope for scope in SCOPES if sent.text(f"scope_{scope}")]
    project_id = sent.text("project") or None
    days = sent.text("days")
    if days and days not in map(str, LIFETIMES_DAYS):
        raise InputError(Message("days: {days!r} is none of the choices", days=days[:20]))
    visitor.who.check_grant(scopes, project_id)
    secret, token = visitor.services.accounts.tokens.create(
        visitor.who.user.id,
        sent.text("name"),
        scopes,
        project_id=project_id,
        expires_at=visitor.services.clock() + int(days) * DAY_SECONDS if days else None,
        by=visitor.who.actor,
    )
    return secret, token


def _account(
    visitor: Visitor,
    *,
    secret: str = "",
    created: Token | None = None,
    refusal: ItdaError | None = None,
    status: int = 200,
) -> Response:
    accounts, user = visitor.services.accounts, visitor.who.user
    now = visitor.services.clock()
    tokens = accounts.tokens.of_user(user.id)
    return visitor.view.render(
        "account.html",
        status,
        section="account",
        user=user,
        tokens=[one for one in tokens if one.revoked_at is None],
        sessions=accounts.sessions.of_user(user.id),
        projects=visitor.who.projects,
        project_names={one.id: one.name for one in visitor.who.projects},
        scopes=[one for one in SCOPES if one != "admin" or visitor.who.is_admin],
        lifetimes=LIFETIMES_DAYS,
        now=now,
        secret=secret,
        created=created,
        refusal=refusal,
        origin=visitor.origin,
    )
