"""What is refused before a route: `application/problem+json` (RFC 9457), or a page to a browser."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.types import Scope

from itda.errors import ItdaError, data_of
from itda.language import REQUEST, SOURCE, choose_code
from itda.server.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    RateError,
    TooLargeError,
    UnauthenticatedError,
)

STATUS: tuple[tuple[type[ItdaError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (ConflictError, HTTPStatus.CONFLICT),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (QuotaError, HTTPStatus.TOO_MANY_REQUESTS),
    (RateError, HTTPStatus.TOO_MANY_REQUESTS),
)


def status_of(error: ItdaError) -> HTTPStatus:
    """Return the status of an error: 422 where it has none of its own."""
    return next(
        (status for kind, status in STATUS if isinstance(error, kind)),
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )


def headers_of(error: ItdaError) -> dict[str, str]:
    """Return the headers that go with an error."""
    headers = {}
    if isinstance(error, RateError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="itda"'
    return headers


def refusal(scope: Scope, error: ItdaError, status: HTTPStatus | None = None) -> Response:
    """Return the answer of a gate; `app.state.page_of_refusal` makes pages, where there is one.

    Args:
        scope: Of the request, whose body is not read.
        error: Why it is refused.
        status: Other than the error's own.
    """
    make_page = getattr(scope["app"].state, "page_of_refusal", None) if "app" in scope else None
    page: Response | None = make_page and make_page(scope, error, status)
    accepted = dict(scope.get("headers", ())).get(b"accept-language", b"").decode("latin-1")
    return page or problem(error, status, choose_code(accepted=accepted))


def problem(
    error: ItdaError, status: HTTPStatus | None = None, language: str = SOURCE
) -> JSONResponse:
    """Return the answer that tells a program of an error, in a language."""
    status, made = status or status_of(error), data_of(error)
    error = error.said(REQUEST, language)
    content: dict[str, Any] = {
        **made,
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": error.problem,
    }
    if error.hint:
        content["hint"] = error.hint
    return JSONResponse(
        content,
        status_code=int(status),
        headers=headers_of(error),
        media_type="application/problem+json",
    )
