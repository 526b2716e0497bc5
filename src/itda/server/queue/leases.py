"""Leases: who holds one may write to its job, and nobody else may.

Each ending removes the lease in the transaction that changes the job, so that a job ends once,
however late a worker that was given up comes back with a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from itda.server.database.tables import events, jobs, leases, stages
from itda.server.queue.ledger import write_line
from itda.server.queue.records import FileRecord, JobRecord, State
from itda.server.queue.rows import add_event, change_job, find_job, locked, put_files

LONGEST_MESSAGE = 500
LONGEST_LOG = 20_000
LONGEST_WAIT_SECONDS = 300.0

SET_ASIDE = "SetAside"
"""The kind of error of a job that was set aside."""


@dataclass(frozen=True)
class Held:
    """A lease that is held, and its job, both locked.

    Attributes:
        lease: The lease's row.
        job: The job.
        device_seconds: How long the device worked for it; None for as long as the lease was held.
    """

    lease: Row[Any]
    job: JobRecord
    device_seconds: float | None = None


def hold(connection: Connection, lease_id: str) -> Held | None:
    """Lock a lease and its job; None where it was lost."""
    # The job is always locked before its lease: here, in `cancel` and in `reap`.
    query = select(leases.c.job_id).where(leases.c.lease_id == lease_id)
    job_id = connection.execute(query).scalar_one_or_none()
    if job_id is None:
        return None
    job = find_job(connection, job_id, lock=True)
    lease = connection.execute(
        locked(select(leases).where(leases.c.lease_id == lease_id), connection)
    ).one_or_none()
    return None if lease is None else Held(lease, job)


def renew(
    connection: Connection, worker_id: str, lease_ids: Sequence[str], expires_at: float, now: float
) -> tuple[frozenset[str], frozenset[str]]:
    """Renew leases; return those still held, and of these those whose job is to be cancelled."""
    if not lease_ids:
        return frozenset(), frozenset()
    mine = (leases.c.worker_id == worker_id) & leases.c.lease_id.in_(sorted(lease_ids))
    connection.execute(update(leases).where(mine).values(heartbeat_at=now, expires_at=expires_at))
    rows = connection.execute(
        select(leases.c.lease_id, jobs.c.cancel_requested_at)
        .join(jobs, jobs.c.id == leases.c.job_id)
        .where(mine)
    ).all()
    kept = frozenset(row.lease_id for row in rows)
    return kept, frozenset(row.lease_id for row in rows if row.cancel_requested_at is not None)


def write_events(
    connection: Connection, held: Held, told: Sequence[Mapping[str, Any]], now: float
) -> None:
    """Write down what a worker tells of its job: events, stages, and how far it is."""
    values: dict[str, Any] = {}
    for event in told:
        kind = str(event.get("event", "event"))
        data = {key: value for key, value in event.items() if key not in ("event", "job", "time")}
        add_event(connection, held.job.id, now, kind, data)
        if kind.startswith("stage_"):
            values |= _write_stage(connection, held, kind, data, now)
    if told:
        change_job(connection, held.job.id, **values)


def _write_stage(
    connection: Connection, held: Held, kind: str, data: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Write a stage's row and return what of it is said of the job."""
    name, message = str(data["stage"])[:64], str(data.get("message", ""))[:LONGEST_MESSAGE]
    mine = (stages.c.job_id == held.job.id) & (stages.c.name == name)
    row = connection.execute(select(stages).where(mine)).one_or_none()
    if row is None or row.attempt != held.lease.attempt:
        count = len(
            connection.execute(select(stages.c.name).where(stages.c.job_id == held.job.id)).all()
        )
        connection.execute(delete(stages).where(mine))
        connection.execute(
            stages.insert().values(
                job_id=held.job.id,
                name=name,
                position=row.position if row else count + 1,
                state="running",
                attempt=held.lease.attempt,
                started_at=now,
            )
        )
    if kind == "stage_finished":
        values = {"state": "done", "finished_at": now, "fraction": 1.0, "message": message}
        values |= {"seconds": data.get("seconds"), "cached": bool(data.get("cached"))}
        connection.execute(update(stages).where(mine).values(**values))
        return {"message": message}
    fraction = float(data.get("fraction", 0.0))
    # A stage that has several parts, one for each seed, begins more than once.
    connection.execute(
        update(stages).where(mine).values(state="running", fraction=fraction, message=message)
    )
    return {"message": message or name, "fraction": fraction}


def end_done(
    connection: Connection,
    held: Held,
    files: Sequence[FileRecord],
    summary: Mapping[str, Any],
    now: float,
) -> None:
    """End a job with its result."""
    put_files(connection, held.job.id, "output", files, now)
    _end(connection, held, State.DONE, "done", now, summary=dict(summary), fraction=1.0)


def end_failed(connection: Connection, held: Held, error: Mapping[str, str], now: float) -> None:
    """End a job with the reason why it cannot be done."""
    _end(connection, held, State.FAILED, "failed", now, error=dict(error))


def give_back(
    connection: Connection, held: Held, now: float, *, wait_seconds: float, reason: str
) -> None:
    """End an attempt through no fault of the job: it waits again, or is cancelled."""
    if held.job.cancel_requested_at is not None:
        _end(connection, held, State.CANCELLED, "cancelled", now)
        return
    _return(connection, held, "returned", now, wait_seconds, reason)


def end_crashed(
    connection: Connection, held: Held, log: str, now: float, *, most_crashes: int, until: float
) -> None:
    """End an attempt with the death of its worker.

    Args:
        connection: In whose transaction it is.
        held: The lease and the job.
        log: How it ended, and what the worker last wrote.
        now: The time.
        most_crashes: After as many the job is set aside.
        until: When the worker was last alive; till then the device is charged.
    """
    crashes = held.job.crashes + 1
    change_job(connection, held.job.id, crashes=crashes)
    log = log[-LONGEST_LOG:]
    if held.job.cancel_requested_at is not None:
        _end(connection, held, State.CANCELLED, "cancelled", now, until=until)
    elif crashes >= most_crashes:
        error = {
            "kind": SET_ASIDE,
            "problem": f"its worker died {crashes} times while it ran; it was set aside",
            "hint": "the log has the end of the last; try a smaller input, or another family",
            "log": log,
        }
        _end(connection, held, State.FAILED, "crashed", now, until=until, error=error)
    else:
        wait = min(LONGEST_WAIT_SECONDS, 2.0 ** (crashes - 1))
        reason = f"its worker died ({crashes} of {most_crashes})"
        _return(connection, held, "crashed", now, wait, reason, until=until, log=log)


def _return(
    connection: Connection,
    held: Held,
    outcome: str,
    now: float,
    wait_seconds: float,
    reason: str,
    *,
    until: float | None = None,
    log: str = "",
) -> None:
    _leave(connection, held, outcome, now if until is None else until)
    stopped = (stages.c.job_id == held.job.id) & (stages.c.state == "running")
    connection.execute(update(stages).where(stopped).values(state="stopped", finished_at=now))
    change_job(
        connection,
        held.job.id,
        state=State.QUEUED.value,
        not_before=now + wait_seconds,
        fraction=0.0,
        message=reason[:LONGEST_MESSAGE],
    )
    data = {"outcome": outcome, "reason": reason} | ({"log": log} if log else {})
    add_event(connection, held.job.id, now, "job_returned", data)


def _end(
    connection: Connection,
    held: Held,
    state: State,
    outcome: str,
    now: float,
    *,
    until: float | None = None,
    **values: Any,
) -> None:
    _leave(connection, held, outcome, now if until is None else until)
    last = "done" if state is State.DONE else "failed" if state is State.FAILED else "stopped"
    running = (stages.c.job_id == held.job.id) & (stages.c.state == "running")
    connection.execute(update(stages).where(running).values(state=last, finished_at=now))
    values = {"message": "", **values}
    change_job(connection, held.job.id, state=state.value, finished_at=now, **values)
    data = values.get("summary") or values.get("error") or {}
    add_event(
        connection,
        held.job.id,
        now,
        f"job_{'finished' if state is State.DONE else state}",
        {key: value for key, value in data.items() if key != "log"},
    )


def _leave(connection: Connection, held: Held, outcome: str, until: float) -> None:
    connection.execute(delete(leases).where(leases.c.lease_id == held.lease.lease_id))
    write_line(connection, held.job, held.lease, outcome, until, device_seconds=held.device_seconds)


def expired(connection: Connection, now: float) -> list[str]:
    """Return the leases that have run out."""
    query = select(leases.c.lease_id).where(leases.c.expires_at < now)
    return list(connection.execute(query.order_by(leases.c.expires_at)).scalars())


def forget(connection: Connection, job_id: str) -> None:
    """Remove what is said of a job's course."""
    for table in (events, stages):
        connection.execute(delete(table).where(table.c.job_id == job_id))
