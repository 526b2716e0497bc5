"""Rows of the tables as records, and how a job's row is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from itda.server.database.tables import artefacts, events, job_files, jobs
from itda.server.errors import NotFoundError
from itda.server.queue.records import FileRecord, JobRecord, Priority, State

Chosen = Select[Any]

_FIELDS = tuple(JobRecord.__dataclass_fields__)
COLUMNS = tuple(jobs.c[name] for name in _FIELDS)


def job_record(row: Any) -> JobRecord:
    """Return a row of `jobs` as a record."""
    values = {name: getattr(row, name) for name in _FIELDS}
    return JobRecord(
        **{**values, "priority": Priority(row.priority), "state": State(row.state)},
    )


def locked(query: Chosen, connection: Connection, *, skip: bool = False) -> Chosen:
    """Return the query so that what it finds stays as it is until the transaction ends.

    SQLite has one writer at a time, so there it is so in any case.
    """
    if connection.dialect.name == "sqlite":
        return query
    return query.with_for_update(skip_locked=skip)


def find_job(connection: Connection, job_id: str, *, lock: bool = False) -> JobRecord:
    """Return a job.

    Raises:
        NotFoundError: There is none.
    """
    query = select(*COLUMNS).where(jobs.c.id == job_id)
    row = connection.execute(locked(query, connection) if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"job {job_id[:80]!r}: there is none")
    return job_record(row)


def change_job(connection: Connection, job_id: str, **values: Any) -> None:
    """Change a job's row in a way that a reader can see."""
    changed = update(jobs).where(jobs.c.id == job_id)
    connection.execute(changed.values(revision=jobs.c.revision + 1, **values))


def add_event(
    connection: Connection, job_id: str, time: float, kind: str, data: Mapping[str, Any]
) -> None:
    """Write down that something happened to a job."""
    connection.execute(insert(events).values(job_id=job_id, time=time, kind=kind, data=dict(data)))


def put_files(
    connection: Connection,
    job_id: str,
    direction: str,
    files: Sequence[FileRecord],
    time: float,
) -> None:
    """Name files of a job, in place of those of the same direction that it had."""
    connection.execute(
        delete(job_files).where(job_files.c.job_id == job_id, job_files.c.direction == direction)
    )
    # In one order in all transactions, so that two that name the same files do not wait for
    # each other.
    for file in sorted(files, key=lambda one: one.digest):
        insert_new(connection, artefacts, digest=file.digest, bytes=file.bytes, created_at=time)
        connection.execute(
            insert(job_files).values(
                job_id=job_id,
                direction=direction,
                kind=file.kind,
                name=file.name,
                digest=file.digest,
                bytes=file.bytes,
            )
        )


def insert_new(connection: Connection, table: Any, **values: Any) -> None:
    """Insert a row unless there is one of its key."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def file_record(row: Row[Any]) -> FileRecord:
    """Return a row of `job_files` as a record."""
    return FileRecord(kind=row.kind, name=row.name, digest=row.digest, bytes=row.bytes)
