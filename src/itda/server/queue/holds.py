"""A large job is not overtaken for ever: a machine is held for it until there is room.

A job whose turn it is, that would have room if the worker did nothing else, and that has waited
for longer than `MOST_OVERTAKEN_SECONDS`, is held for the worker's host: the workers of that host
claim nothing else for the same kind of device until it fits. `jobs.held_for` says so of a job that
waits; it is cleared when the job is claimed or cancelled, and when no worker of the host is left
that could take it. Another host may take the job meanwhile. A host holds one job at most.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, exists, select, update

from itda.server.database.tables import jobs, workers
from itda.server.queue.records import JobRecord
from itda.server.queue.rows import COLUMNS, QUEUED, add_event, change_job, job_record
from itda.server.queue.shares import kinds_done_on

MOST_OVERTAKEN_SECONDS = 600.0

_HOST = select(workers.c.host).where(workers.c.id == bindparam("worker")).scalar_subquery()
# It waits for whoever is just taking the job, so that no other of the host passes by meanwhile.
_HELD = (
    select(*COLUMNS)
    .where(
        QUEUED,
        jobs.c.held_for == _HOST,
        jobs.c.device_kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(jobs.c.id)
    .with_for_update()
)
# The host's workers hold one after another, and find what the one before has held.
_LOCK_HOST = (
    select(workers.c.host)
    .where(workers.c.host == _HOST)
    .order_by(workers.c.id)
    .with_for_update(key_share=True)
)
_ANY_HELD = select(jobs.c.id).where(QUEUED, jobs.c.held_for == bindparam("host")).limit(1)
_LEFT_BEHIND = select(jobs.c.id).where(
    QUEUED,
    jobs.c.held_for == _HOST,
    ~exists().where(
        workers.c.host == jobs.c.held_for,
        workers.c.state != "gone",
        workers.c.memory_bytes >= jobs.c.need_bytes,
        (workers.c.device_kind == jobs.c.device_kind) | (workers.c.device_kind == "gpu"),
    ),
)
_FREE = (
    update(jobs)
    .where(QUEUED, jobs.c.id == bindparam("job_id"), jobs.c.held_for.is_not(None))
    .values(held_for=None, message="", revision=jobs.c.revision + 1)
)


def held_job(connection: Connection, worker_id: str, device_kind: str) -> JobRecord | None:
    """Return the job that a worker's host is held for, locked; None where there is none."""
    row = connection.execute(
        _HELD, {"worker": worker_id, "kinds": kinds_done_on(device_kind)}
    ).first()
    return None if row is None else job_record(row)


def hold_for(connection: Connection, job: JobRecord, worker_id: str, now: float) -> bool:
    """Hold a worker's host for a job that is locked; no where the host is held for another."""
    host = connection.execute(_LOCK_HOST, {"worker": worker_id}).scalars().first()
    if host is None or connection.execute(_ANY_HELD, {"host": host}).first() is not None:
        return False
    size = f"{job.need_bytes / 1e9:.1f} GB"
    reason = f"waits for {size} to become free on {host}"
    change_job(connection, job.id, held_for=host, message=reason)
    data = {"host": host, "bytes": job.need_bytes, "reason": reason}
    add_event(connection, job.id, now, "job_held", data)
    return True


def free(connection: Connection, job_id: str) -> None:
    """Hold no host for a job any longer."""
    connection.execute(_FREE, {"job_id": job_id})


def free_if_left(connection: Connection, worker_id: str) -> None:
    """Free what the host of a worker that is gone is held for, where no other could take it."""
    for job_id in connection.execute(_LEFT_BEHIND, {"worker": worker_id}).scalars().all():
        free(connection, job_id)
