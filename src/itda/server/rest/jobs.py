"""Routes of jobs: submit, plan, list, look at, cancel, retry, remove."""

from __future__ import annotations

import hashlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection

from itda.errors import InputError
from itda.language import Message, choose_code
from itda.server.queue import submission
from itda.server.queue.records import JobRecord, State
from itda.server.rest.bodies import read_body, request_body
from itda.server.rest.common import (
    KEY_PATTERN,
    JobKey,
    ProjectFilter,
    Reader,
    SearchText,
    Submitter,
    job_for,
    matches,
    problems,
    readable_projects,
    services_of,
)
from itda.server.rest.views import etag_of, job_detail, job_view, priority_of, stage_view
from itda.server.security.identity import Identity
from itda.server.services import Services
from itda.server.understand import Upload, in_language
from itda.wire import (
    JobDetail,
    JobPage,
    JobView,
    PlanRequest,
    RecordUnderstood,
    Stages,
    StageView,
    StateName,
    Submission,
    Submitted,
    Understood,
)

MOST_JOBS = 200

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gives the same jobs, however often it is "
        "sent; with another request it is refused (409).",
    ),
]
Service = Annotated[Services, Depends(services_of)]

router = APIRouter(tags=["jobs"])


@router.post(
    "/jobs",
    status_code=201,
    response_model=Submitted,
    responses=problems(404, 409, 413, 507),
    openapi_extra=request_body(Submission),
    summary="Submit jobs",
)
async def submit(
    request: Request, who: Submitter, services: Service, key: IdempotencyKey = None
) -> Submitted:
    """Queue every record of an input, all of them or none.

    The input is what `itda fold` reads: FASTA, or jobs as YAML or JSON, also compressed with gzip.
    Files that jobs name come in the same request, as parts of a form, and are named without a
    folder. A record that cannot be folded leaves the others alone and is told in `rejected`; where
    none can be folded, the request is refused.
    """
    body, files = await read_body(
        request, Submission, most_bytes=services.settings.limits.body_bytes
    )
    return await run_in_threadpool(_submit, services, who, body, files, key)


@router.post(
    "/plan",
    response_model=Understood,
    responses=problems(413),
    openapi_extra=request_body(PlanRequest),
    summary="Say what an input would cost",
)
async def plan(request: Request, who: Reader, services: Service) -> Understood:
    """Say what an input holds, which families can fold it, at what cost, and when it would start.

    Nothing is kept of it. What is wrong with the input is part of the answer: `problems`, and
    `error` of each record.
    """
    body, files = await read_body(
        request, PlanRequest, most_bytes=services.settings.limits.body_bytes
    )
    found = await run_in_threadpool(
        services.understanding.understand, body.input, files, body.options
    )
    return in_language(found, choose_code(accepted=request.headers.get("accept-language", "")))


@router.get("/jobs", response_model=JobPage, responses=problems(404), summary="List jobs")
def jobs(
    request: Request,
    response: Response,
    who: Reader,
    services: Service,
    project: ProjectFilter = None,
    state: Annotated[
        list[StateName] | None, Query(max_length=5, description="Only these; may be repeated.")
    ] = None,
    text: SearchText = "",
    before: Annotated[
        str | None, Query(pattern=KEY_PATTERN, description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS, description="Jobs of a page.")] = 50,
) -> JobPage:
    """Give the jobs that the asker can read, newest first.

    `Link: <…>; rel="next"` leads to the next page.
    """
    page = services.queue.jobs(
        readable_projects(who, project),
        states=[State(one) for one in state or ()],
        text=text,
        before=before,
        limit=limit,
    )
    if page.next_before is not None:
        query = [(name, value) for name, value in request.query_params.multi_items()]
        query = [(name, value) for name, value in query if name != "before"]
        target = urlencode([*query, ("before", page.next_before)])
        response.headers["Link"] = f'<{request.url.path}?{target}>; rel="next"'
    return JobPage(
        jobs=tuple(job_view(job) for job in page.jobs), total=page.total, next=page.next_before
    )


@router.get(
    "/jobs/{job_id}",
    response_model=JobDetail,
    responses={
        304: {"description": "It is as the asker has it (`If-None-Match`)."},
        **problems(404),
    },
    summary="Look at a job",
)
def job(
    job_id: JobKey, request: Request, response: Response, who: Reader, services: Service
) -> object:
    """Give a job; its `ETag` changes whenever the job does."""
    found = job_for(services, who, job_id, "read")
    etag = etag_of(found)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(request, etag):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return _detail(services, found)


@router.get(
    "/jobs/{job_id}/stages",
    response_model=Stages,
    responses=problems(404),
    summary="Stages of a job",
)
def stages(job_id: JobKey, who: Reader, services: Service) -> Stages:
    """Give the stages of a job so far, in order."""
    job_for(services, who, job_id, "read")
    found: list[StageView] = [stage_view(one) for one in services.queue.stages(job_id)]
    return Stages(stages=tuple(found))


@router.post(
    "/jobs/{job_id}/cancel",
    response_model=JobView,
    responses=problems(404, 409),
    summary="Cancel a job",
)
def cancel(job_id: JobKey, who: Submitter, services: Service) -> JobView:
    """End a job that waits at once; tell the worker of a running one to stop.

    A job that ended already is refused (409).
    """
    found = job_for(services, who, job_id, "submit")
    cancelled = services.queue.cancel(job_id)
    _audit(services, who, found, "job.cancel")
    return job_view(cancelled)


@router.post(
    "/jobs/{job_id}/retry",
    response_model=JobView,
    responses=problems(404, 409),
    summary="Try a job again",
)
def retry(job_id: JobKey, who: Submitter, services: Service) -> JobView:
    """Queue a job again that failed or was cancelled; it goes on from its last finished stage."""
    found = job_for(services, who, job_id, "submit")
    who.check(found.project_id, "submit")
    again = services.queue.retry(job_id)
    _audit(services, who, found, "job.retry")
    return job_view(again)


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    responses=problems(404, 409),
    summary="Remove a job",
)
def remove(job_id: JobKey, who: Submitter, services: Service) -> Response:
    """Remove a job that ended, with its files; what it used stays in the books."""
    found = job_for(services, who, job_id, "submit")
    services.queue.remove(job_id)
    _audit(services, who, found, "job.remove")
    return Response(status_code=204)


def _submit(
    services: Services,
    who: Identity,
    body: Submission,
    files: list[Upload],
    key: str | None,
) -> Submitted:
    project = who.project(body.project, "submit")
    if body.priority == "urgent":
        who.check(project.id, "manage")
    digest = _digest(body, files)
    if key is not None:
        earlier = _submitted_before(services, project.id, key, digest)
        if earlier is not None:
            return earlier
    prepared = services.understanding.prepare(
        body.input, files, body.options, artefacts=services.artefacts
    )
    if len(prepared) > services.settings.limits.jobs:
        raise InputError(
            Message(
                "{count} jobs; {jobs} are taken at once",
                count=len(prepared),
                jobs=services.settings.limits.jobs,
            )
        )

    def write_down(connection: Connection, made: list[JobRecord]) -> None:
        if prepared.rejected:
            told = [one.model_dump(mode="json") for one in prepared.rejected]
            submission.keep_rejected(connection, made[0].id, told)
        services.accounts.log.add(
            connection,
            "job.submit",
            by=who.actor,
            project_id=project.id,
            object_id=made[0].submission_id,
            details={"jobs": len(made), "family": body.family},
        )

    queued = services.queue.submit(
        list(prepared),
        organisation_id=project.organisation_id,
        project_id=project.id,
        user_id=who.user.id,
        priority=priority_of(body.priority),
        idempotency_key=key,
        request_digest=digest,
        also=write_down,
    )
    return Submitted(jobs=tuple(map(job_view, queued)), rejected=prepared.rejected)


def _submitted_before(
    services: Services, project_id: str, key: str, digest: str
) -> Submitted | None:
    with services.database.read() as connection:
        jobs = submission.submitted_under(connection, project_id, key, digest)
        if not jobs:
            return None
        told = submission.rejected_with(connection, jobs[0].id)
    rejected = tuple(RecordUnderstood.model_validate(one) for one in told)
    return Submitted(jobs=tuple(map(job_view, jobs)), rejected=rejected)


def _digest(body: Submission, files: list[Upload]) -> str:
    """Return what two requests to one project have in common only where they are the same."""
    digest = hashlib.sha256(body.model_dump_json(exclude={"project"}).encode())
    for file in files:
        digest.update(hashlib.sha256(file.name.encode("utf-8", "surrogatepass")).digest())
        digest.update(hashlib.sha256(file.content).digest())
    return digest.hexdigest()


def _detail(services: Services, found: JobRecord) -> JobDetail:
    if found.state is not State.QUEUED:
        return job_detail(found)
    ahead, starts_in = services.queue.position(found.id)
    held_by = services.queue.held_by(found.id) if starts_in is None else None
    return job_detail(found, ahead, starts_in, held_by)


def _audit(services: Services, who: Identity, job: JobRecord, action: str) -> None:
    services.accounts.audit(
        action,
        by=who.actor,
        project_id=job.project_id,
        object_id=job.id,
        details={"name": job.name},
    )
