"""Every error as `application/problem+json` (RFC 9457), without a word on the server's insides."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from itda.errors import ItdaError, OutputError, data_of
from itda.language import REQUEST, Message, choose_code
from itda.server.errors import QuotaError
from itda.server.security.head import takes_head
from itda.server.security.problem import headers_of
from itda.server.security.problem import status_of as security_status_of
from itda.wire import FieldProblem, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:itda:problem:"

_SHOWN_ERRORS = 20
_SHOWN_TEXT = 4000

log = logging.getLogger("itda.server")


class BodyError(ItdaError):
    """A body that is not what its route takes (422).

    Args:
        errors: Each field that is wrong.
    """

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__(_sentence(errors))
        self.errors = tuple(errors)


def install(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(ItdaError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(SQLAlchemyError, _unexpected)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: ItdaError) -> HTTPStatus:
    """Return the status of an error."""
    if isinstance(error, OutputError):
        return HTTPStatus.INSUFFICIENT_STORAGE
    return security_status_of(error)


def problem_of(error: Exception, request: Request) -> tuple[Problem, dict[str, str]]:
    """Return what is told of an error, and the headers that go with it.

    An error that nobody expected is written to the log under a key, and only the key is told.
    """
    path = request.url.path
    headers: dict[str, str] = {}
    if isinstance(error, RequestValidationError | ValidationError):
        error = BodyError(field_problems(error.errors()))
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(request))
        status = HTTPStatus(error.status_code)
        return _problem("about:blank", status, _detail(status, error), "", path), headers
    if not isinstance(error, ItdaError):
        return _fault(error, request), headers
    status = status_of(error)
    headers = headers_of(error)
    if status is HTTPStatus.INSUFFICIENT_STORAGE:
        log.error("what was sent could not be kept: %s", error.problem)
        error = OutputError(
            Message("the server cannot keep what was sent"),
            hint=Message("tell whoever runs the server"),
        )
    kind = f"{TYPE_PREFIX}{type(error).__name__}"
    told = error.said(REQUEST, choose_code(accepted=request.headers.get("accept-language", "")))
    made = _problem(kind, status, told.problem, told.hint, path)
    made = made.model_copy(update=data_of(error))
    if isinstance(error, BodyError):
        made = made.model_copy(update={"errors": error.errors[:_SHOWN_ERRORS]})
    if isinstance(error, QuotaError) and error.renews_at is not None:
        renews = datetime.datetime.fromtimestamp(error.renews_at, datetime.UTC)
        made = made.model_copy(update={"renews_at": renews})
    return made, headers


def field_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Return pydantic's errors by field; what was sent is not sent back."""
    found = []
    for error in errors[:_SHOWN_ERRORS]:
        message = str(error["msg"]).replace("Input should be", "must be", 1)
        place = ".".join(_printable(str(step)) for step in error["loc"])
        found.append(FieldProblem(field=place[:200] or "body", problem=_printable(message)[:500]))
    return found


def answer(error: Exception, request: Request) -> Response:
    """Return the answer that tells of an error."""
    problem, headers = problem_of(error, request)
    content = problem.model_dump(mode="json", exclude_defaults=True)
    content = {"type": problem.type, **content}
    return JSONResponse(content, problem.status, headers=headers, media_type=MEDIA_TYPE)


async def _expected(request: Request, error: Exception) -> Response:
    return answer(error, request)


async def _invalid(request: Request, error: Exception) -> Response:
    return answer(error, request)


async def _of_framework(request: Request, error: Exception) -> Response:
    return answer(error, request)


async def _unexpected(request: Request, error: Exception) -> Response:
    return answer(error, request)


def _fault(error: Exception, request: Request) -> Problem:
    key = uuid.uuid4().hex
    log.error("fault %s: %s %s", key, request.method, request.url.path, exc_info=error)
    return _problem(
        f"{TYPE_PREFIX}UnexpectedError",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "this is a fault of the server",
        f"tell whoever runs it: the details are in its log under {key}",
        f"{request.url.path}#{key}",
    )


def _problem(kind: str, status: HTTPStatus, detail: str, hint: str, path: str) -> Problem:
    return Problem(
        type=kind,
        title=status.phrase,
        status=int(status),
        detail=_printable(detail)[:_SHOWN_TEXT],
        hint=_printable(hint)[:_SHOWN_TEXT],
        instance=_printable(path)[:_SHOWN_TEXT],
    )


def _methods(request: Request) -> list[str]:
    """Return what an address takes: the framework names the methods of one route alone."""
    methods = [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return methods + ["HEAD"] * ("GET" in methods and takes_head(request.url.path))


def _detail(status: HTTPStatus, error: HTTPException) -> str:
    if status is HTTPStatus.NOT_FOUND:
        return "there is nothing at this address"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return "this address does not take this method"
    return str(error.detail)


def _sentence(errors: Sequence[FieldProblem]) -> str:
    if not errors:
        return "the request is not what this address takes"
    first = f"{errors[0].field}: {errors[0].problem}"
    return first if len(errors) == 1 else f"{len(errors)} fields are wrong; the first: {first}"


def _printable(text: str) -> str:
    """Return text that any encoding and any terminal takes."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}"
        for letter in text
    )
