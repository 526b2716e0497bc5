"""A worker takes jobs: the class first, then whose turn it is, then the oldest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, exists, insert, select

from itda.server.database.tables import job_files, jobs, leases, new_id
from itda.server.queue.holds import MOST_OVERTAKEN_SECONDS, free, held_job, hold_for
from itda.server.queue.quotas import Rooms
from itda.server.queue.records import Capacity, Claim, FileRecord, JobRecord, State
from itda.server.queue.rows import (
    COLUMNS,
    QUEUED,
    add_events,
    change_jobs,
    event_row,
    execute_for,
    file_record,
    job_record,
)
from itda.server.queue.shares import Owner, Turn, in_turn

Found = tuple[JobRecord, bool]
"""A job, and whether files came with it."""

_OLDEST = (
    select(
        *COLUMNS,
        exists()
        .where(job_files.c.job_id == jobs.c.id, job_files.c.direction == "input")
        .label("has_inputs"),
    )
    .where(
        QUEUED,
        jobs.c.priority == bindparam("class"),
        jobs.c.project_id == bindparam("project"),
        jobs.c.user_id == bindparam("user"),
        jobs.c.not_before <= bindparam("now"),
        (jobs.c.need_bytes <= bindparam("bytes"))
        | (
            (jobs.c.need_bytes <= bindparam("whole"))
            & (jobs.c.created_at <= bindparam("overtaken"))
            & jobs.c.held_for.is_(None)
        ),
        jobs.c.need_seconds <= bindparam("seconds"),
        jobs.c.device_kind == bindparam("kind"),
    )
    .order_by(jobs.c.id)  # which is by age
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ADD_LEASE = insert(leases)
_INPUTS = (
    select(job_files)
    .where(
        job_files.c.job_id.in_(bindparam("of_jobs", expanding=True)),
        job_files.c.direction == "input",
    )
    .order_by(job_files.c.kind)
)


def claim_jobs(
    connection: Connection,
    worker_id: str,
    capacity: Capacity,
    *,
    lease_seconds: float,
    now: float,
) -> list[Claim]:
    """Take up to `capacity.jobs` jobs of one owner, one family and the same settings.

    None where the queue is drained, or the worker's host is held for a job that has no room yet.
    """
    rooms: Rooms | None = None
    for turn in in_turn(connection, capacity.device_kind, now):
        if rooms is None:
            rooms = Rooms(connection, now, are_any=turn.are_quotas)
            held = held_job(connection, worker_id, capacity.device_kind) if turn.are_held else None
            if held is not None:
                if held.need_seconds > rooms.left(Owner.from_job(held), held.device_kind):
                    free(connection, held.id)  # its quota is used up: others go on
                elif not _fits(held, capacity):
                    return []
                else:
                    return _lease(connection, [(held, True)], worker_id, lease_seconds, now)
        found = _oldest_of(connection, turn, capacity, rooms, now)
        if found and found[0][0].need_bytes > capacity.memory_bytes:
            if hold_for(connection, found[0][0], worker_id, now):
                return []
            # Held already, for a job of another kind of device: it holds no second.
            found = _oldest_of(connection, turn, replace(capacity, whole_bytes=0), rooms, now)
        if found:
            return _lease(connection, found, worker_id, lease_seconds, now)
    return []


def _fits(job: JobRecord, capacity: Capacity) -> bool:
    return job.need_bytes <= capacity.memory_bytes and job.need_seconds <= capacity.seconds


def _oldest_of(
    connection: Connection,
    turn: Turn,
    capacity: Capacity,
    rooms: Rooms,
    now: float,
) -> list[Found]:
    """Return the oldest jobs of an owner that the worker can do; they are locked."""
    room = rooms.left(turn.owner, capacity.device_kind)
    if room <= 0:
        return []
    asked = {
        "class": turn.priority,
        "project": turn.owner.project_id,
        "user": turn.owner.user_id,
        "now": now,
        "bytes": capacity.memory_bytes,
        "whole": capacity.whole_bytes,
        "overtaken": now - MOST_OVERTAKEN_SECONDS,
        "seconds": min(room, capacity.seconds),
        "kind": turn.device_kind,
        "most": capacity.jobs,
    }
    chosen: list[Found] = []
    for row in connection.execute(_OLDEST, asked):
        job = job_record(row)
        room -= job.need_seconds
        if room < 0:
            break
        if chosen:
            first = chosen[0][0]
            if max(first.need_bytes, job.need_bytes) > capacity.memory_bytes:
                break
            if (job.family, job.settings) != (first.family, first.settings):
                break
        chosen.append((job, bool(row.has_inputs)))
    return chosen


def _lease(
    connection: Connection,
    chosen: Sequence[Found],
    worker_id: str,
    lease_seconds: float,
    now: float,
) -> list[Claim]:
    expires_at = now + lease_seconds
    inputs = _inputs(connection, [job.id for job, has_inputs in chosen if has_inputs])
    claims = [
        Claim(
            job=replace(
                job,
                state=State.RUNNING,
                attempts=job.attempts + 1,
                started_at=now if job.started_at is None else job.started_at,
                message="",
                revision=job.revision + 1,
            ),
            inputs=inputs[job.id],
            lease_id=new_id(),
            attempt=job.attempts + 1,
            expires_at=expires_at,
        )
        for job, _ in chosen
    ]
    lasts: dict[str, Any] = {"claimed_at": now, "heartbeat_at": now, "expires_at": expires_at}
    new_leases: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for claim in claims:
        job = claim.job
        new_leases.append(
            {
                "job_id": job.id,
                "lease_id": claim.lease_id,
                "worker_id": worker_id,
                "attempt": claim.attempt,
                "organisation_id": job.organisation_id,
                "project_id": job.project_id,
                "user_id": job.user_id,
                "need_seconds": job.need_seconds,
                **lasts,
            }
        )
        changes.append(
            {
                "job_id": job.id,
                "state": job.state.value,
                "attempts": job.attempts,
                "started_at": job.started_at,
                "message": job.message,
                "held_for": None,
            }
        )
    execute_for(connection, _ADD_LEASE, new_leases)
    change_jobs(connection, changes)
    add_events(
        connection,
        [event_row(one.job.id, now, "job_claimed", {"attempt": one.attempt}) for one in claims],
    )
    return claims


def _inputs(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[FileRecord, ...]]:
    found: dict[str, tuple[FileRecord, ...]] = defaultdict(tuple)
    if not job_ids:
        return found
    for row in connection.execute(_INPUTS, {"of_jobs": job_ids}):
        found[row.job_id] += (file_record(row),)
    return found
