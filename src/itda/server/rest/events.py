"""Events of a job: as a page of JSON, or as a stream that goes on where it was cut."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from itda.server.errors import NotFoundError
from itda.server.queue.records import EventRecord, JobRecord
from itda.server.rest.common import JobKey, Reader, job_for, problems
from itda.server.rest.jobs import Service
from itda.server.rest.views import event_view, job_view, state_name
from itda.server.services import Services
from itda.wire import EventPage, EventView, JobView
from itda.wire.base import LARGEST_NUMBER

STREAM = "text/event-stream"

LOOK_SECONDS = 0.5
"""How often the database is asked for more."""

HEARTBEAT_SECONDS = 15.0
"""After so long without an event a comment is sent, so that nothing between closes the stream."""

LONGEST_SECONDS = 600.0
"""A stream ends after it, and the asker comes again; what was revoked meanwhile ends so too."""

RETRY_MILLISECONDS = 2000

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs/{job_id}/events",
    response_model=EventPage,
    responses={
        200: {
            "description": "Events as a page, or as a stream.",
            "content": {
                STREAM: {
                    "schema": {"type": "string"},
                    "example": "id: 7\nevent: stage_started\n"
                    'data: {"id": 7, "kind": "stage_started", "data": {"stage": "predict"}}\n\n',
                }
            },
        },
        204: {"description": "The job has ended and there is no event after the last."},
        **problems(404),
    },
    summary="Follow a job",
)
async def events(
    job_id: JobKey,
    request: Request,
    who: Reader,
    services: Service,
    after: Annotated[
        int, Query(ge=0, le=LARGEST_NUMBER, description="Only events with a larger `id`.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events of a page.")] = 500,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=32,
            description="As `after`; a browser sends it when it comes again.",
        ),
    ] = None,
) -> Response:
    """Give what happened to a job, and what happens.

    With `Accept: text/event-stream` it is a stream of server-sent events: each event of the job
    under its kind and with its `id`; `job` without an `id` whenever the job changes, with all that
    `GET /jobs/{id}` says but for what was asked; comments to keep the connection. It ends with the
    job. Otherwise it is a page, and `after` gives the next.
    """
    found = await run_in_threadpool(job_for, services, who, job_id, "read")
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after = max(after, min(int(last_event_id), LARGEST_NUMBER))
    if STREAM in request.headers.get("accept", ""):
        return await _stream(services, request, found, after, resumed=last_event_id is not None)
    page = await run_in_threadpool(services.queue.events, job_id, after, limit)
    # Read again after the events: where it has ended by now, they may have come after the first.
    found = await run_in_threadpool(services.queue.job, job_id)
    views = [event_view(one) for one in page]
    content = EventPage(
        events=tuple(views), next=views[-1].id if views else after, state=state_name(found)
    )
    return JSONResponse(content.model_dump(mode="json"), headers={"Cache-Control": "no-store"})


async def _stream(
    services: Services, request: Request, job: JobRecord, after: int, *, resumed: bool
) -> Response:
    if resumed and job.state.ended:
        more = await run_in_threadpool(services.queue.events, job.id, after, 1)
        if not more:
            # To a browser this says that it need not come again.
            return Response(status_code=204)
    return StreamingResponse(
        _sent(services, request, job.id, after),
        media_type=STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _sent(
    services: Services, request: Request, job_id: str, after: int
) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    began = spoke = time.monotonic()
    revision = -1
    ending: threading.Event = request.app.state.ending
    while not ending.is_set() and time.monotonic() - began < LONGEST_SECONDS:
        try:
            job, found = await run_in_threadpool(_look, services, job_id, after)
        except NotFoundError:
            # It was removed.
            return
        for event in found:
            after = event.id
            yield _event(event_view(event))
        if job.revision != revision:
            yield _job(job_view(job))
        if found or job.revision != revision:
            spoke = time.monotonic()
        revision = job.revision
        if job.state.ended and not found:
            return
        if time.monotonic() - spoke > HEARTBEAT_SECONDS:
            spoke = time.monotonic()
            yield ": alive\n\n"
        if await request.is_disconnected():
            return
        if not found:
            await asyncio.sleep(LOOK_SECONDS)


def _look(services: Services, job_id: str, after: int) -> tuple[JobRecord, list[EventRecord]]:
    # The job first: of one that had ended by then, all events are there.
    job = services.queue.job(job_id)
    return job, list(services.queue.events(job_id, after, 500))


def _event(event: EventView) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"


def _job(job: JobView) -> str:
    return f"event: job\ndata: {job.model_dump_json()}\n\n"
