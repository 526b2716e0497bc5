"""The workers: who is there, and who fell silent."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from itda.server.database.tables import new_id, workers
from itda.server.queue.holds import free_if_left
from itda.server.queue.records import NewWorker, WorkerRecord

_THERE = select(workers).where(workers.c.state != "gone").order_by(workers.c.id)


def add_worker(connection: Connection, worker: NewWorker, now: float) -> str:
    """Write down a worker that begins, and return its key."""
    values = {name: getattr(worker, name) for name in NewWorker.__dataclass_fields__}
    values |= {"id": new_id(), "started_at": now, "heartbeat_at": now, "state": "active"}
    connection.execute(insert(workers).values(**values))
    return str(values["id"])


def those_there(connection: Connection) -> list[WorkerRecord]:
    """Return the workers that are there, oldest first."""
    return [WorkerRecord(**row._mapping) for row in connection.execute(_THERE)]


def gone(connection: Connection, worker_id: str) -> None:
    """Write down that a worker is no longer there."""
    connection.execute(update(workers).where(workers.c.id == worker_id).values(state="gone"))
    free_if_left(connection, worker_id)


def silent_since(connection: Connection, time: float) -> list[str]:
    """Return the workers that were not heard of since a time."""
    late = (workers.c.heartbeat_at < time) & (workers.c.state != "gone")
    return list(connection.execute(select(workers.c.id).where(late)).scalars())


def gone_if_silent(connection: Connection, worker_id: str, time: float) -> None:
    """Write the same down of a worker that was not heard of since a time.

    One that froze while it had its row locked is left for the next time.
    """
    late = (workers.c.id == worker_id) & (workers.c.heartbeat_at < time)
    free = select(workers.c.id).where(late).with_for_update(skip_locked=True)
    if connection.execute(free).first() is not None:
        gone(connection, worker_id)
