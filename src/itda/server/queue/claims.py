"""A worker takes jobs: the class first, then whose turn it is, then the oldest."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert, select

from itda.server.database.tables import job_files, jobs, leases, new_id
from itda.server.queue.quotas import Rooms
from itda.server.queue.records import Capacity, Claim, FileRecord, JobRecord, Priority, State
from itda.server.queue.rows import COLUMNS, add_event, change_job, file_record, job_record, locked
from itda.server.queue.shares import Owner, owners_in_turn


def claim_jobs(
    connection: Connection,
    worker_id: str,
    capacity: Capacity,
    *,
    lease_seconds: float,
    now: float,
) -> list[Claim]:
    """Take up to `capacity.jobs` jobs of one owner, one family and the same settings."""
    rooms = Rooms(connection, now)
    for priority in Priority:
        for owner in owners_in_turn(connection, int(priority), now):
            found = _oldest_of(connection, owner, priority, capacity, rooms, now)
            if found:
                return [_lease(connection, job, worker_id, lease_seconds, now) for job in found]
    return []


def _oldest_of(
    connection: Connection,
    owner: Owner,
    priority: Priority,
    capacity: Capacity,
    rooms: Rooms,
    now: float,
) -> list[JobRecord]:
    """Return the oldest jobs of an owner that the worker can do; they are locked."""
    kinds = ("cpu", "gpu") if capacity.device_kind == "gpu" else ("cpu",)
    query = (
        select(*COLUMNS)
        .where(
            jobs.c.state == State.QUEUED.value,
            jobs.c.priority == int(priority),
            jobs.c.project_id == owner.project_id,
            jobs.c.user_id == owner.user_id,
            jobs.c.not_before <= now,
            jobs.c.need_bytes <= capacity.memory_bytes,
            jobs.c.device_kind.in_(kinds),
        )
        .order_by(jobs.c.created_at, jobs.c.id)
    )
    room = rooms.left(owner, capacity.device_kind)
    if room <= 0:
        return []
    most_seconds = min(room, capacity.seconds)
    if most_seconds < float("inf"):
        query = query.where(jobs.c.need_seconds <= most_seconds)
    query = locked(query.limit(capacity.jobs), connection, skip=True)
    chosen: list[JobRecord] = []
    for row in connection.execute(query):
        job = job_record(row)
        room -= job.need_seconds
        same = not chosen or (job.family, job.settings) == (chosen[0].family, chosen[0].settings)
        if not same or room < 0:
            break
        chosen.append(job)
    return chosen


def _lease(
    connection: Connection, job: JobRecord, worker_id: str, lease_seconds: float, now: float
) -> Claim:
    attempt, lease = job.attempts + 1, new_id()
    connection.execute(
        insert(leases).values(
            job_id=job.id,
            lease_id=lease,
            worker_id=worker_id,
            attempt=attempt,
            claimed_at=now,
            heartbeat_at=now,
            expires_at=now + lease_seconds,
        )
    )
    started = now if job.started_at is None else job.started_at
    change_job(
        connection,
        job.id,
        state=State.RUNNING.value,
        attempts=attempt,
        started_at=started,
        message="",
    )
    add_event(connection, job.id, now, "job_claimed", {"attempt": attempt})
    return Claim(
        job=replace(
            job,
            state=State.RUNNING,
            attempts=attempt,
            started_at=started,
            message="",
            revision=job.revision + 1,
        ),
        inputs=_inputs(connection, job.id),
        lease_id=lease,
        attempt=attempt,
        expires_at=now + lease_seconds,
    )


def _inputs(connection: Connection, job_id: str) -> tuple[FileRecord, ...]:
    query = select(job_files).where(job_files.c.job_id == job_id, job_files.c.direction == "input")
    return tuple(file_record(row) for row in connection.execute(query.order_by(job_files.c.kind)))
