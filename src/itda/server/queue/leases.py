"""Leases: who holds one may write to its job, and nobody else may.

Each ending removes the lease in the transaction that changes the job, so that a job ends once,
however late a worker that was given up comes back with a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from itda.server.database.tables import events, jobs, leases, stages, workers
from itda.server.queue.ledger import write_line
from itda.server.queue.records import FileRecord, JobRecord, State
from itda.server.queue.rows import (
    COLUMNS,
    add_event,
    add_events,
    change_job,
    event_row,
    execute_for,
    job_record,
    put_files,
)
from itda.server.queue.storable import storable

LONGEST_MESSAGE = 500
LONGEST_LOG = 20_000
LONGEST_WAIT_SECONDS = 300.0

SET_ASIDE = "SetAside"
"""The kind of error of a job that was set aside."""

_HOLD = (
    select(
        *COLUMNS,
        leases.c.lease_id,
        leases.c.worker_id,
        leases.c.attempt,
        leases.c.claimed_at,
        leases.c.heartbeat_at,
        leases.c.expires_at,
        workers.c.device_kind.label("worker_device_kind"),
        workers.c.device.label("worker_device"),
    )
    .select_from(
        leases.join(jobs, jobs.c.id == leases.c.job_id).outerjoin(
            workers, workers.c.id == leases.c.worker_id
        )
    )
    .where(leases.c.lease_id == bindparam("held"))
    .with_for_update(of=(jobs, leases))
)
_HOLD_IF_FREE = _HOLD.with_for_update(of=(jobs, leases), skip_locked=True)
_MINE = (leases.c.worker_id == bindparam("mine")) & leases.c.lease_id.in_(
    bindparam("held", expanding=True)
)
_RENEW = update(leases).where(_MINE)
_KEPT = (
    select(leases.c.lease_id, jobs.c.cancel_requested_at)
    .join(jobs, jobs.c.id == leases.c.job_id)
    .where(_MINE)
)
_RELEASE = delete(leases).where(leases.c.lease_id == bindparam("held"))
_EXPIRED = (
    select(leases.c.lease_id)
    .where(leases.c.expires_at < bindparam("now"))
    .order_by(leases.c.expires_at)
)
_STAGES = select(stages).where(stages.c.job_id == bindparam("of_job"))
_REMOVE_STAGES = delete(stages).where(
    stages.c.job_id == bindparam("of_job"), stages.c.name == bindparam("of_stage")
)
_ADD_STAGES = insert(stages)
_END_STAGES = update(stages).where(
    stages.c.job_id == bindparam("of_job"), stages.c.state == "running"
)


def wait_before(attempt: int, first_seconds: float = 1.0) -> float:
    """Return how long a job waits, in seconds, for an attempt after so many: twice as long each."""
    return min(LONGEST_WAIT_SECONDS, first_seconds * 2.0 ** min(attempt - 1, 30))


@dataclass(frozen=True)
class Held:
    """A lease that is held, and its job, both locked.

    Attributes:
        lease: The lease's row, with the kind and the name of its worker's device.
        job: The job.
        device_seconds: How long the device worked for it; None for as long as the lease was held.
    """

    lease: Row[*tuple[Any, ...]]
    job: JobRecord
    device_seconds: float | None = None


def hold(connection: Connection, lease_id: str, *, wait: bool = True) -> Held | None:
    """Lock a lease and its job; None where it was lost, or another has it now and `wait` is no."""
    query = _HOLD if wait else _HOLD_IF_FREE
    row = connection.execute(query, {"held": lease_id}).one_or_none()
    return None if row is None else Held(row, job_record(row))


def renew(
    connection: Connection, worker_id: str, lease_ids: Sequence[str], expires_at: float, now: float
) -> tuple[frozenset[str], frozenset[str]]:
    """Renew leases; return those still held, and of these those whose job is to be cancelled."""
    if not lease_ids:
        return frozenset(), frozenset()
    mine = {"mine": worker_id, "held": sorted(lease_ids)}
    connection.execute(_RENEW, {**mine, "heartbeat_at": now, "expires_at": expires_at})
    rows = connection.execute(_KEPT, mine).all()
    kept = frozenset(row.lease_id for row in rows)
    return kept, frozenset(row.lease_id for row in rows if row.cancel_requested_at is not None)


def write_events(
    connection: Connection, held: Held, told: Sequence[Mapping[str, Any]], now: float
) -> None:
    """Write down what a worker tells of its job: events, stages, and how far it is."""
    if not told:
        return
    rows: list[dict[str, Any]] = []
    staged: list[tuple[str, Mapping[str, Any]]] = []
    for event in told:
        kind = str(event.get("event", "event"))
        data = {key: value for key, value in event.items() if key not in ("event", "job", "time")}
        rows.append(event_row(held.job.id, now, kind, data))
        if kind.startswith("stage_"):
            staged.append((kind, rows[-1]["data"]))
    add_events(connection, rows)
    values = _write_stages(connection, held, staged, now) if staged else {}
    change_job(connection, held.job.id, **values)


def _write_stages(
    connection: Connection,
    held: Held,
    told: Sequence[tuple[str, Mapping[str, Any]]],
    now: float,
) -> dict[str, Any]:
    """Write the rows of stages and return what of them is said of the job."""
    mine = {"of_job": held.job.id}
    rows = {row.name: dict(row._mapping) for row in connection.execute(_STAGES, mine)}
    changed: dict[str, dict[str, Any]] = {}
    said: dict[str, Any] = {}
    for kind, data in told:
        name, message = str(data["stage"])[:64], str(data.get("message", ""))[:LONGEST_MESSAGE]
        row = rows.get(name)
        if row is None or row["attempt"] != held.lease.attempt:
            row = rows[name] = {
                "job_id": held.job.id,
                "name": name,
                "position": row["position"] if row else len(rows) + 1,
                "attempt": held.lease.attempt,
                "started_at": now,
                "finished_at": None,
                "seconds": None,
                "cached": False,
            }
        changed[name] = row
        if kind == "stage_finished":
            row |= {"state": "done", "finished_at": now, "fraction": 1.0, "message": message}
            row |= {"seconds": data.get("seconds"), "cached": bool(data.get("cached"))}
            said |= {"message": message}
        else:
            # A stage that has several parts, one for each seed, begins more than once.
            fraction = min(1.0, max(0.0, float(data.get("fraction") or 0.0)))
            row |= {"state": "running", "fraction": fraction, "message": message}
            said |= {"message": message or name, "fraction": fraction}
    execute_for(connection, _REMOVE_STAGES, [{**mine, "of_stage": name} for name in changed])
    execute_for(connection, _ADD_STAGES, list(changed.values()))
    return said


def end_done(
    connection: Connection,
    held: Held,
    files: Sequence[FileRecord],
    summary: Mapping[str, Any],
    now: float,
) -> None:
    """End a job with its result."""
    if files:
        put_files(connection, {held.job.id: files}, "output", now)
    _end(connection, held, State.DONE, "done", now, summary=storable(summary), fraction=1.0)


def end_failed(connection: Connection, held: Held, error: Mapping[str, str], now: float) -> None:
    """End a job with the reason why it cannot be done."""
    _end(connection, held, State.FAILED, "failed", now, error=storable(error))


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
    log = storable(log[-LONGEST_LOG:])
    if held.job.cancel_requested_at is not None:
        _end(connection, held, State.CANCELLED, "cancelled", now, until=until, crashes=crashes)
    elif crashes >= most_crashes:
        error = {
            "kind": SET_ASIDE,
            "problem": f"its worker died {crashes} times while it ran; it was set aside",
            "hint": "the log has the end of the last; try a smaller input, or another family",
            "log": log,
        }
        values: dict[str, Any] = {"error": error, "crashes": crashes}
        _end(connection, held, State.FAILED, "set_aside", now, until=until, **values)
    else:
        wait = wait_before(crashes)
        reason = f"its worker died ({crashes} of {most_crashes})"
        said: dict[str, Any] = {"until": until, "log": log, "crashes": crashes}
        _return(connection, held, "crashed", now, wait, reason, **said)


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
    **values: Any,
) -> None:
    reason = storable(reason)
    _end_stages(connection, held, "stopped", now)
    change_job(
        connection,
        held.job.id,
        state=State.QUEUED.value,
        not_before=now + wait_seconds,
        fraction=0.0,
        message=reason[:LONGEST_MESSAGE],
        **values,
    )
    data = {"outcome": outcome, "reason": reason} | ({"log": log} if log else {})
    add_event(connection, held.job.id, now, "job_returned", data)
    _leave(connection, held, outcome, now if until is None else until)


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
    last = "done" if state is State.DONE else "failed" if state is State.FAILED else "stopped"
    _end_stages(connection, held, last, now)
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
    _leave(connection, held, outcome, now if until is None else until)


def _end_stages(connection: Connection, held: Held, state: str, now: float) -> None:
    connection.execute(_END_STAGES, {"of_job": held.job.id, "state": state, "finished_at": now})


def _leave(connection: Connection, held: Held, outcome: str, until: float) -> None:
    # Last of all, since others who charge the same owners wait from here to the end.
    connection.execute(_RELEASE, {"held": held.lease.lease_id})
    write_line(connection, held.job, held.lease, outcome, until, device_seconds=held.device_seconds)


def expired(connection: Connection, now: float) -> list[str]:
    """Return the leases that have run out."""
    return list(connection.execute(_EXPIRED, {"now": now}).scalars())


def forget(connection: Connection, job_id: str) -> None:
    """Remove what is said of a job's course."""
    for table in (events, stages):
        connection.execute(delete(table).where(table.c.job_id == job_id))
