"""Pages for what fails; programs get what the REST interface answers."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from itda.errors import ItdaError
from itda.language import SOURCE, mark
from itda.server.errors import QuotaError, UnauthenticatedError
from itda.server.pages.view import View, told, view_of
from itda.server.security.identity import optional_identity
from itda.server.security.problem import headers_of, status_of
from itda.server.security.problem import problem as answer_of

if TYPE_CHECKING:
    from fastapi import FastAPI

Handler = Callable[[Request, Any], Any]

TITLES = {
    400: mark("The request cannot be read"),
    401: mark("Please sign in"),
    403: mark("This is not allowed"),
    404: mark("There is no such page"),
    409: mark("This contradicts what is there"),
    413: mark("This is too large"),
    422: mark("This cannot be taken"),
    429: mark("Too much for now"),
    500: mark("Something broke"),
}
SENTENCES = {
    400: mark("The browser sent something that the server cannot read."),
    401: mark("You are not signed in, or your session has ended."),
    403: mark("Your account may not do this."),
    404: mark("It does not exist, was removed, or belongs to a project that is not yours."),
    409: mark("Go back, reload the page, and try again."),
    413: mark("More was sent than the server takes at once."),
    422: mark("What was sent cannot be taken, for this reason:"),
    429: mark("A limit has been reached."),
    500: mark("This is a fault of the server. Its administrator finds the details in its log."),
}


def install(app: FastAPI) -> None:
    """Answer browsers with pages; everyone else as before."""
    app.state.page_of_refusal = page_of_refusal
    for kind in (ItdaError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _choosing(app.exception_handlers.get(kind)))


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page, or for a part of one."""
    if request.scope["path"].startswith(("/api/", "/static/", "/healthz", "/readyz")):
        return False
    return "text/html" in request.headers.get("accept", "")


def _choosing(other: Handler | None) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        if wants_page(request):
            if request.method == "GET":
                # So that the page of an error leads on as others do.
                with contextlib.suppress(Exception):
                    await optional_identity(request)
            return page_of(request, error)
        if other is not None:
            answer = other(request, error)
            answered: Response = await answer if isinstance(answer, Awaitable) else answer
            return answered
        if isinstance(error, ItdaError):
            return answer_of(error)
        status = error.status_code if isinstance(error, HTTPException) else 500
        return Response(HTTPStatus(status).phrase, status_code=status, media_type="text/plain")

    return handle


def page_of_refusal(scope: Scope, error: ItdaError, status: HTTPStatus | None) -> Response | None:
    """Return the page that tells of what a gate refused; None to who asks for no page."""
    if not wants_page(Request(scope)):
        return None
    # What it was sent to is not looked at again: that may be why it is refused.
    asked = {**scope, "path": "/", "raw_path": b"/", "query_string": b"", "state": {}}
    return page_of(Request(asked), error, status)


def page_of(request: Request, error: Exception, status: HTTPStatus | None = None) -> Response:
    """Return the page that tells of an error.

    Args:
        request: Who asks for it, and in which language.
        error: What is told.
        status: Other than the error's own.
    """
    view = view_of(request, getattr(request.state, "identity", None))
    if isinstance(error, UnauthenticatedError):
        return _to_sign_in(request, view)
    hint, told_in = "", SOURCE
    if isinstance(error, ItdaError):
        code, said = int(status or status_of(error)), told(error, view.language)
        problem, hint, told_in = said.problem, said.hint, said.lang
    elif isinstance(error, HTTPException):
        code = error.status_code
        problem = "" if error.detail == HTTPStatus(code).phrase else str(error.detail)
    elif isinstance(error, RequestValidationError):
        code, problem = 422, _first(error)
    else:
        code, problem = 500, ""
    known = code if code in TITLES else (500 if code >= 500 else 400)
    sentence = view.text(SENTENCES[known])
    if isinstance(error, QuotaError) and error.renews_at is not None:
        sentence = view.text(mark("The quota is used up; it renews on %(time)s.")) % {
            "time": view.language.date_time(error.renews_at)
        }
    answer = view.render(
        "failure_part.html" if view.is_part else "failure.html",
        code,
        title=view.text(TITLES[known]),
        sentence=sentence,
        problem=problem,
        hint=hint,
        told_in=told_in,
    )
    if isinstance(error, ItdaError):
        answer.headers.update(headers_of(error))
    return answer


def _to_sign_in(request: Request, view: View) -> Response:
    goal = view.address if request.method == "GET" and not view.is_part else "/"
    address = "/sign-in" if goal == "/" else f"/sign-in?{urlencode({'next': goal})}"
    if view.is_part:
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, status_code=303)


def _first(error: RequestValidationError) -> str:
    first: dict[str, Any] = next(iter(error.errors()), {})
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    return f"{place}: {first.get('msg', 'not valid')}"
