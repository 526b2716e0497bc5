"""What the routes share: who asks, which job is meant, times, and what the document says."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, StringConstraints

from itda.language import Message
from itda.server.errors import NotFoundError
from itda.server.queue.records import JobRecord
from itda.server.rest.problems import MEDIA_TYPE
from itda.server.security.identity import Action, Identity, require
from itda.wire.base import printable

if TYPE_CHECKING:
    from itda.server.services import Services

Reader = Annotated[Identity, Depends(require("read"))]
Submitter = Annotated[Identity, Depends(require("submit"))]
Manager = Annotated[Identity, Depends(require("manage"))]
Administrator = Annotated[Identity, Depends(require("admin"))]

KEY_PATTERN = r"^[0-9a-f]{32}$"
_EXAMPLE = "0193c7a1b2c3000102030405060708ab"

JobKey = Annotated[
    str, Path(pattern=KEY_PATTERN, description="Key of the job.", examples=[_EXAMPLE])
]
UserKey = Annotated[str, Path(pattern=KEY_PATTERN, description="Key of the user.")]
ProjectKey = Annotated[str, Path(pattern=KEY_PATTERN, description="Key of the project.")]
ProjectFilter = Annotated[
    str | None,
    Query(pattern=KEY_PATTERN, description="Only this project; all that the asker can read."),
]


SearchText = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(printable),
    Query(description="Only where the name holds this."),
]

_SAID: dict[int, str] = {
    400: "A host name, header or encoding that is not the server's.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The asker may not do this.",
    404: "There is no such thing, or none that the asker may know of.",
    409: "It contradicts what is there.",
    413: "More than is taken at once.",
    422: "What is wrong, by field.",
    429: "Too many requests (`Retry-After`), or a quota is used up (`renews_at`).",
    507: "The server has no space left.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route can refuse, for its document; every route can refuse 400, 401, 429."""
    listed = sorted({400, 401, 403, 422, 429, *statuses})
    return {
        status: {
            "description": _SAID[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in listed
    }


def services_of(request: Request) -> Services:
    """Return what a request reaches."""
    found: Services = request.app.state.services
    return found


def moment(seconds: float) -> datetime.datetime:
    """Return a time of the database as it travels."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def moment_or_none(seconds: float | None) -> datetime.datetime | None:
    """Return a time of the database as it travels; None where there is none."""
    return None if seconds is None else moment(seconds)


def job_for(services: Services, who: Identity, job_id: str, action: Action) -> JobRecord:
    """Return a job that the asker may read, submit anew, or manage.

    What is done to another user's job needs a manager of the project.

    Raises:
        NotFoundError: There is none, or the asker may not know of it.
        ForbiddenError: The asker may read it, but not do that.
    """
    # One sentence for both, or it would tell which jobs others have.
    nothing = NotFoundError(Message("there is no job {job_id}", job_id=job_id))
    try:
        job: JobRecord = services.queue.job(job_id)
    except NotFoundError:
        raise nothing from None
    if job.project_id not in who.project_ids:
        raise nothing
    if action == "submit" and job.user_id != who.user.id:
        action = "manage"
    who.check(job.project_id, action)
    return job


def readable_projects(who: Identity, project_id: str | None) -> list[str]:
    """Return the keys of the projects that a list is of.

    Raises:
        NotFoundError: The asker may not know of the one that is named.
    """
    if project_id is None:
        return list(who.project_ids)
    who.check(project_id, "read")
    return [project_id]


def matches(request: Request, etag: str) -> bool:
    """Whether the asker has this already (`If-None-Match`)."""
    told = request.headers.get("if-none-match", "")
    bare = etag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") in (bare, "*") for part in told.split(",") if part)
