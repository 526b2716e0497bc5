"""From the records of the server to what travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from itda.server.queue.records import (
    EventRecord,
    FileRecord,
    JobRecord,
    Priority,
    QuotaStatus,
    StageRecord,
)
from itda.server.rest.common import moment, moment_or_none
from itda.wire import (
    EventView,
    FileView,
    JobDetail,
    JobError,
    JobView,
    PriorityName,
    StageView,
    StateName,
)

_PRIORITIES: Mapping[Priority, PriorityName] = {
    Priority.URGENT: "urgent",
    Priority.NORMAL: "normal",
    Priority.BACKGROUND: "background",
}


def job_view(job: JobRecord) -> JobView:
    """Return a job as lists have it."""
    return JobView(**_job(job))


def job_detail(
    job: JobRecord,
    ahead: int | None = None,
    starts_in: float | None = None,
    quota: QuotaStatus | None = None,
) -> JobDetail:
    """Return a job with what was asked for.

    Args:
        job: Which.
        ahead: Jobs before it; None where it waits no longer.
        starts_in: Seconds until it would start; None where nobody knows.
        quota: What holds it back; None where nothing does.
    """
    return JobDetail(
        **_job(job),
        document=dict(job.document),
        settings=dict(job.settings),
        ahead=ahead,
        starts_in_seconds=starts_in,
        quota_renews_at=moment(quota.renews_at) if quota else None,
    )


def etag_of(job: JobRecord) -> str:
    """Return what changes whenever the job does; weak, for the place in the queue is not in it."""
    return f'W/"{job.id}.{job.revision}"'


def stage_view(stage: StageRecord) -> StageView:
    """Return a stage."""
    return StageView(
        name=stage.name,
        position=stage.position,
        state=stage.state,
        attempt=stage.attempt,
        started_at=moment(stage.started_at),
        finished_at=moment_or_none(stage.finished_at),
        seconds=stage.seconds,
        cached=stage.cached,
        fraction=stage.fraction,
        message=stage.message,
    )


def event_view(event: EventRecord) -> EventView:
    """Return an event."""
    return EventView(id=event.id, time=moment(event.time), kind=event.kind, data=dict(event.data))


def file_view(job_id: str, file: FileRecord, *, inputs: bool) -> FileView:
    """Return a file of a job."""
    url = f"/api/v1/jobs/{job_id}/files/{quote(file.kind, safe='')}"
    return FileView(
        kind=file.kind,
        name=file.name,
        bytes=file.bytes,
        sha256=file.digest,
        url=f"{url}?direction=input" if inputs else url,
    )


def state_name(job: JobRecord) -> StateName:
    """Return where a job is."""
    name: StateName = job.state.value
    return name


def priority_of(name: PriorityName) -> Priority:
    """Return the class that a request names."""
    return next(priority for priority, known in _PRIORITIES.items() if known == name)


def _job(job: JobRecord) -> dict[str, Any]:
    error = None
    if job.error is not None:
        error = JobError.model_validate({"kind": "UnexpectedError", "problem": "", **job.error})
    return {
        "id": job.id,
        "project": job.project_id,
        "user": job.user_id,
        "submission": job.submission_id,
        "position": job.position,
        "name": job.name,
        "family": job.family,
        "state": job.state.value,
        "priority": _PRIORITIES[Priority(job.priority)],
        "fraction": min(1.0, max(0.0, job.fraction)),
        "message": job.message,
        "created_at": moment(job.created_at),
        "started_at": moment_or_none(job.started_at),
        "finished_at": moment_or_none(job.finished_at),
        "cancel_requested": job.cancel_requested_at is not None,
        "attempts": job.attempts,
        "tokens": job.tokens,
        "need_bytes": job.need_bytes,
        "need_seconds": job.need_seconds,
        "device_kind": job.device_kind,
        "error": error,
        "summary": None if job.summary is None else dict(job.summary),
        "revision": job.revision,
    }
