"""What people ask of a job that is in the queue: to stop it, to try it again, to remove it."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from itda.language import Message
from itda.server.database.tables import job_files, jobs
from itda.server.errors import ConflictError
from itda.server.queue import leases, quotas
from itda.server.queue.records import JobRecord, State
from itda.server.queue.rows import add_event, change_job, find_job
from itda.server.queue.shares import Owner


def cancel_job(connection: Connection, job_id: str, now: float) -> JobRecord:
    """Cancel a job: at once where it waits, at its next report where it runs.

    Raises:
        NotFoundError: There is none.
        ConflictError: It has ended otherwise.
    """
    job = find_job(connection, job_id, lock=True)
    if job.state in (State.DONE, State.FAILED):
        raise _conflict(job, Message("it has ended already"))
    if job.state is State.QUEUED:
        change_job(
            connection,
            job_id,
            state=State.CANCELLED.value,
            held_for=None,
            cancel_requested_at=now,
            finished_at=now,
            message="",
        )
        add_event(connection, job_id, now, "job_cancelled", {})
    elif job.state is State.RUNNING and job.cancel_requested_at is None:
        change_job(connection, job_id, cancel_requested_at=now)
        add_event(connection, job_id, now, "cancel_requested", {})
    return find_job(connection, job_id)


def retry_job(connection: Connection, job_id: str, now: float) -> JobRecord:
    """Queue a job again that failed or was cancelled; finished stages are found again.

    Raises:
        NotFoundError: There is none.
        ConflictError: It waits, runs, or is done.
        QuotaError: A quota is used up.
    """
    job = find_job(connection, job_id, lock=True)
    if job.state not in (State.FAILED, State.CANCELLED):
        raise _conflict(job, Message("only what failed or was cancelled is tried again"))
    quotas.refuse_used_up(connection, Owner.from_job(job), job.device_kind, job.need_seconds, now)
    change_job(
        connection,
        job_id,
        state=State.QUEUED.value,
        not_before=0.0,
        finished_at=None,
        cancel_requested_at=None,
        crashes=0,
        error=None,
        fraction=0.0,
        message="",
    )
    add_event(connection, job_id, now, "job_queued", {"retry": True})
    return find_job(connection, job_id)


def remove_job(connection: Connection, job_id: str) -> None:
    """Remove a job that has ended, with its events and files; the ledger keeps its lines.

    Raises:
        NotFoundError: There is none.
        ConflictError: It waits or runs.
    """
    job = find_job(connection, job_id, lock=True)
    if not job.state.ended:
        raise _conflict(job, Message("cancel it first"))
    leases.forget(connection, job_id)
    connection.execute(delete(job_files).where(job_files.c.job_id == job_id))
    connection.execute(delete(jobs).where(jobs.c.id == job_id))


def _conflict(job: JobRecord, hint: Message) -> ConflictError:
    return ConflictError(
        Message("job {job!r} is {state}", job=job.name, state=job.state), hint=hint
    )
