"""What a job waits for: the jobs before it, workers that are there, a quota, a drained queue."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from itda.server.database.tables import jobs, leases, workers
from itda.server.queue import quotas
from itda.server.queue.records import JobRecord, QuotaStatus
from itda.server.queue.rows import DRAINING, QUEUED
from itda.server.queue.shares import Owner


def work_ahead(connection: Connection, job: JobRecord | None) -> tuple[int, float]:
    """Return how many jobs wait before one, and their seconds; all of them for None."""
    query = select(func.count(), func.coalesce(func.sum(jobs.c.need_seconds), 0.0)).where(QUEUED)
    if job is not None:
        same = (jobs.c.priority == int(job.priority)) & (jobs.c.id < job.id)
        query = query.where((jobs.c.priority < int(job.priority)) | same)
    count, seconds = connection.execute(query).one()
    return int(count), float(seconds)


def seconds_running(connection: Connection, now: float) -> float:
    """Return the seconds that jobs under way are still predicted to take."""
    rows = connection.execute(select(leases.c.need_seconds, leases.c.claimed_at)).all()
    return float(sum(max(0.0, row.need_seconds - (now - row.claimed_at)) for row in rows))


def count_workers(connection: Connection, device_kind: str, alive_since: float) -> int:
    """Return how many workers can take a job of a kind."""
    kinds = ("gpu",) if device_kind == "gpu" else ("cpu", "gpu")
    query = select(func.count()).where(
        workers.c.state == "active",
        workers.c.heartbeat_at >= alive_since,
        workers.c.device_kind.in_(kinds),
    )
    return int(connection.execute(query).scalar_one())


def starts_in(
    connection: Connection, device_kind: str, seconds: float, *, now: float, alive_since: float
) -> float | None:
    """Return in how many seconds a job starts that comes after others; None without a worker.

    Args:
        connection: To the database.
        device_kind: Of the job.
        seconds: What the jobs before it take.
        now: Seconds since 1970.
        alive_since: Workers that were not heard of since then do not count.
    """
    there = count_workers(connection, device_kind, alive_since)
    if not there or is_draining(connection):
        return None
    return (seconds + seconds_running(connection, now)) / there


def holding_quota(connection: Connection, job: JobRecord, now: float) -> QuotaStatus | None:
    """Return the quota that holds a waiting job back until it renews; None where none does."""
    return quotas.holding(connection, Owner.from_job(job), job.device_kind, job.need_seconds, now)


def is_draining(connection: Connection) -> bool:
    """Return whether no more jobs are given out."""
    return bool(connection.execute(DRAINING).scalar_one_or_none())
