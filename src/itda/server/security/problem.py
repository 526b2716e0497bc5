"""Errors as `application/problem+json` (RFC 9457), for what is refused before a route."""

from __future__ import annotations

import math
from http import HTTPStatus

from fastapi.responses import JSONResponse

from itda.errors import ItdaError
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


def problem(error: ItdaError, status: HTTPStatus | None = None) -> JSONResponse:
    """Return the answer that tells of an error."""
    status = status or status_of(error)
    headers = {}
    if isinstance(error, RateError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="itda"'
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": error.problem,
    }
    if error.hint:
        content["hint"] = error.hint
    return JSONResponse(
        content, status_code=int(status), headers=headers, media_type="application/problem+json"
    )
