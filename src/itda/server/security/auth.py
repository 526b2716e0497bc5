"""`/auth/…`: sign in and out, follow a link, set a password.

A browser is sent on, with `?error=CODE` where something was wrong; a program that accepts JSON
alone gets JSON.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from itda.errors import InputError, ItdaError
from itda.language import Message
from itda.server.accounts.accounts import Accounts
from itda.server.accounts.links import SIGN_IN
from itda.server.accounts.log import FAILED_SIGN_IN
from itda.server.accounts.records import Actor, User
from itda.server.accounts.sessions import SESSION_SECONDS
from itda.server.errors import ForbiddenError, RateError, UnauthenticatedError
from itda.server.security.address import client_address
from itda.server.security.cookies import SESSION_COOKIE, clear_cookie, read_cookie, set_cookie
from itda.server.security.forms import FORMS, media_type, read_form
from itda.server.security.identity import Identity, identity
from itda.server.security.limits import limits_of
from itda.server.security.origin import own_path, refuse_other_origin
from itda.server.security.problem import problem

SIGN_IN_PAGE = "/sign-in"
PASSWORD_PAGE = "/set-password"


def routes() -> APIRouter:
    """Return the routes of passwords and links."""
    router = APIRouter(prefix="/auth", include_in_schema=False)
    router.add_api_route("/sign-in", sign_in, methods=["POST"])
    router.add_api_route("/sign-out", sign_out, methods=["POST"])
    router.add_api_route("/link", follow_link, methods=["GET"])
    router.add_api_route("/set-password", set_password, methods=["POST"])
    return router


async def sign_in(request: Request) -> Response:
    """Sign in with `email` and `password`, and go to `next`."""
    told = await _fields(request)
    goal = own_path(told.get("next"))
    try:
        refuse_other_origin(request)
        user = await run_in_threadpool(_check, request, told)
    except ItdaError as error:
        return refused(request, error, SIGN_IN_PAGE, {"next": goal} if goal != "/" else {})
    return await signed_in(request, user, goal, how="password")


async def sign_out(request: Request, who: Annotated[Identity, Depends(identity)]) -> Response:
    """Sign out; with `everywhere`, of every browser."""
    told = await _fields(request)
    sessions = _accounts(request).sessions
    if told.get("everywhere"):
        who.check_scope("manage")
        await run_in_threadpool(sessions.end_all, who.user.id, by=who.actor)
    elif who.session is not None:
        await run_in_threadpool(sessions.end, who.session.id, by=who.actor)
    answer: Response = (
        Response(status_code=204)
        if wants_json(request)
        else RedirectResponse(SIGN_IN_PAGE, status_code=303)
    )
    clear_cookie(request, answer, SESSION_COOKIE)
    return answer


async def follow_link(request: Request, token: str = "") -> Response:
    """Sign in by a link, or go on to the page where a password is set."""
    limits, address = limits_of(request.app), client_address(request)
    try:
        limits.sign_in(address)
        user, purpose = await run_in_threadpool(_accounts(request).links.look, token)
    except ItdaError as error:
        return refused(request, error, SIGN_IN_PAGE)
    if purpose != SIGN_IN:
        limits.signed_in(address)
        query = urllib.parse.urlencode({"token": token})
        return RedirectResponse(f"{PASSWORD_PAGE}?{query}", status_code=303)
    return await signed_in(request, user, "/", how="link")


async def set_password(request: Request) -> Response:
    """Set `password` by the `token` of a link, or by `current_password` of who is signed in."""
    told = await _fields(request)
    token = told.get("token", "")
    try:
        refuse_other_origin(request)
        limits_of(request.app).sign_in(client_address(request))
        if token:
            user = await run_in_threadpool(
                _accounts(request).links.set_password,
                token,
                told.get("password", ""),
                address=client_address(request),
            )
        else:
            user = await _change_password(request, told)
    except ItdaError as error:
        return refused(request, error, PASSWORD_PAGE, {"token": token} if token else {})
    return await signed_in(request, user, own_path(told.get("next")), how="password")


async def signed_in(request: Request, user: User, goal: str, *, how: str) -> Response:
    """Start a session, and send the browser on; the try that was counted is counted no longer."""
    limits_of(request.app).signed_in(client_address(request))
    secret, session = await run_in_threadpool(
        _accounts(request).sessions.start,
        user.id,
        how=how,
        by=Actor(address=client_address(request)),
        replaces=read_cookie(request, SESSION_COOKIE),
    )
    answer: Response
    if wants_json(request):
        answer = JSONResponse(
            {
                "user": {"id": user.id, "email": user.email, "name": user.name},
                "csrf_token": session.csrf_token,
                "expires_at": session.expires_at,
            }
        )
    else:
        answer = RedirectResponse(goal, status_code=303)
    set_cookie(request, answer, SESSION_COOKIE, secret, seconds=SESSION_SECONDS)
    return answer


def refused(
    request: Request,
    error: ItdaError,
    page: str,
    query: Mapping[str, str] | None = None,
    *,
    code: str | None = None,
) -> Response:
    """Tell of an error: as JSON where that is asked for, else on a page, by its code."""
    if wants_json(request):
        return problem(error)
    told = urllib.parse.urlencode({**(query or {}), "error": code or error_code(error)})
    return RedirectResponse(f"{page}?{told}", status_code=303)


def error_code(error: ItdaError) -> str:
    """Return the code by which a page finds its words for an error."""
    if isinstance(error, WrongPasswordError):
        return "wrong"
    if isinstance(error, InputError):
        return "password"
    if isinstance(error, RateError):
        return "rate"
    if isinstance(error, UnauthenticatedError):
        return "link"
    if isinstance(error, ForbiddenError):
        return "forbidden"
    return "account"


def wants_json(request: Request) -> bool:
    """Whether who asks is a program and not a browser."""
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "text/html" not in accepted


class WrongPasswordError(UnauthenticatedError):
    """The address or the password is wrong; which of them is not told."""


def _check(request: Request, told: Mapping[str, str]) -> User:
    limits = limits_of(request.app)
    email, password = told.get("email", ""), told.get("password", "")
    limits.sign_in(client_address(request))
    limits.account(email)
    accounts = _accounts(request)
    user = accounts.users.check(email, password)
    if user is None:
        accounts.audit(
            FAILED_SIGN_IN,
            by=Actor(address=client_address(request)),
            details={"email": email[:100]},
        )
        raise WrongPasswordError(Message("the e-mail address or the password is wrong"))
    limits.account_opened(email)
    return user


async def _change_password(request: Request, told: Mapping[str, str]) -> User:
    who = await identity(request)
    accounts = _accounts(request)
    if who.session is None:
        raise ForbiddenError(Message("a token cannot change a password"))
    known = await run_in_threadpool(
        accounts.users.check, who.user.email, told.get("current_password", "")
    )
    if known is None:
        raise WrongPasswordError(Message("the current password is wrong"))
    await run_in_threadpool(
        accounts.users.set_password, who.user.id, told.get("password", ""), by=who.actor
    )
    return who.user


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, or of a JSON object."""
    kind = media_type(request)
    items: Any = {}
    if kind == "application/json":
        try:
            items = await request.json()
        except ValueError:
            raise InputError(Message("the request is no JSON")) from None
    elif kind in FORMS:
        items = dict(await read_form(request))
    if not isinstance(items, dict):
        raise InputError(Message("the request is no JSON object"))
    return {key: value for key, value in items.items() if isinstance(value, str)}


def _accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.services.accounts
    return accounts
