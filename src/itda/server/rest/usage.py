"""Routes of what was used: by month, project and user, also as CSV for a report."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from itda.errors import InputError
from itda.language import Message
from itda.server.queue.records import UsageLine
from itda.server.rest.common import ProjectFilter, Reader, problems, readable_projects
from itda.server.rest.jobs import Service
from itda.wire import Usage, UsageView

CSV = "text/csv"

# The books are added up month by month.
_LONGEST = datetime.timedelta(days=3660)
_FIRST, _LAST = datetime.date(1970, 1, 1), datetime.date(9998, 12, 31)

Start = Annotated[
    datetime.date | None,
    Query(description="The first day, in UTC; the first of this month unless told."),
]
End = Annotated[
    datetime.date | None,
    Query(description="The first day that is not counted; tomorrow unless told."),
]
Everyone = Annotated[bool, Query(description="All projects of the server, for its administrators.")]

router = APIRouter(tags=["account"])


def _asked(
    who: Reader,
    services: Service,
    project: ProjectFilter = None,
    start: Start = None,
    end: End = None,
    everyone: Everyone = False,
) -> tuple[list[str], datetime.date, datetime.date]:
    if everyone:
        who.check_admin()
        projects = [one.id for one in services.accounts.projects.all()]
        projects = [key for key in projects if project in (None, key)]
    else:
        projects = readable_projects(who, project)
    today = datetime.datetime.fromtimestamp(services.clock(), datetime.UTC).date()
    first = start or today.replace(day=1)
    last = end or max(today, min(first, _LAST)) + datetime.timedelta(days=1)
    if not _FIRST <= first < last <= _LAST:
        raise InputError(
            Message("from {first} to {last} is no span of days", first=first, last=last),
            hint=Message("`start` comes before `end`"),
        )
    if last - first > _LONGEST:
        raise InputError(
            Message("from {first} to {last} is longer than ten years", first=first, last=last),
            hint=Message("ask for parts of it"),
        )
    return projects, first, last


Asked = Annotated[tuple[list[str], datetime.date, datetime.date], Depends(_asked)]


@router.get("/usage", response_model=Usage, responses=problems(404), summary="What was used")
def usage(services: Service, asked: Asked) -> Usage:
    """Give device hours by month, project, user and kind of device.

    Every attempt counts in the month in which it ended, the failed and cancelled ones too.
    """
    projects, first, last = asked
    lines = services.queue.usage(projects, _seconds(first), _seconds(last))
    return Usage(start=first, end=last, lines=tuple(map(_view, lines)))


@router.get(
    "/usage.csv",
    response_class=Response,
    responses={
        200: {
            "description": "A line for each month, project, user and kind of device.",
            "content": {CSV: {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
    summary="What was used, as CSV",
)
def usage_csv(services: Service, asked: Asked) -> Response:
    """Give the same as CSV, for spreadsheets and reports."""
    projects, first, last = asked
    text = services.queue.usage_csv(projects, _seconds(first), _seconds(last))
    name = f"itda-usage-{first}-{last}.csv"
    return Response(
        text,
        media_type=f"{CSV}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _seconds(day: datetime.date) -> float:
    return datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp()


def _view(line: UsageLine) -> UsageView:
    return UsageView(
        month=line.month,
        organisation=line.organisation,
        project=line.project_id,
        project_name=line.project,
        user=line.user_id,
        user_name=line.user,
        device_kind=line.device_kind,
        done=line.done,
        failed=line.failed,
        cancelled=line.cancelled,
        attempts=line.attempts,
        device_hours=line.device_seconds / 3600,
    )
