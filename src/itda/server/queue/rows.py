"""Rows of the tables as records, and how a job's row is changed.

Statements are made once, here and in the modules beside: to make one anew costs more than to run
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Insert,
    Row,
    Table,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from itda.language import Message
from itda.server.database.tables import artefacts, events, job_files, jobs, state
from itda.server.errors import NotFoundError
from itda.server.queue.records import FileRecord, JobRecord, Priority, State
from itda.server.queue.storable import storable

_FIELDS = tuple(JobRecord.__dataclass_fields__)
COLUMNS = tuple(jobs.c[name] for name in _FIELDS)

QUEUED = jobs.c.state == literal_column("'queued'")
"""Written out, since an index of the queue alone is used only where the statement says so."""

DRAIN = "drain"
DRAINING = select(state.c.value).where(state.c.key == DRAIN)

_KEY = re.compile("[0-9a-f]{32}")
_FIND = select(*COLUMNS).where(jobs.c.id == bindparam("job_id"))
_FIND_AND_LOCK = _FIND.with_for_update()  # SQLite, with one writer at a time, leaves it out
_CHANGE = update(jobs).where(jobs.c.id == bindparam("job_id")).values(revision=jobs.c.revision + 1)
_ADD_EVENT = insert(events).inline()  # nobody asks for its number
_ADD_FILE = insert(job_files)
_REMOVE_FILES = delete(job_files).where(
    job_files.c.job_id == bindparam("of_job"), job_files.c.direction == bindparam("of_direction")
)


def job_record(row: Row[*tuple[Any, ...]]) -> JobRecord:
    """Return a row that begins with `COLUMNS` as a record."""
    values = dict(zip(_FIELDS, row, strict=False))
    values["priority"] = Priority(values["priority"])
    values["state"] = State(values["state"])
    return JobRecord(**values)


def find_job(connection: Connection, job_id: str, *, lock: bool = False) -> JobRecord:
    """Return a job; with `lock` nobody else changes it until the transaction ends.

    Raises:
        NotFoundError: There is none.
    """
    row = None
    if _KEY.fullmatch(job_id):
        query = _FIND_AND_LOCK if lock else _FIND
        row = connection.execute(query, {"job_id": job_id}).one_or_none()
    if row is None:
        raise NotFoundError(Message("job {job_id!r}: there is none", job_id=job_id[:80]))
    return job_record(row)


def execute_for(
    connection: Connection, statement: Executable, rows: Sequence[dict[str, Any]]
) -> None:
    """Execute a statement for each row; for one alone there is a faster way."""
    connection.execute(statement, rows if len(rows) > 1 else rows[0])


def change_job(connection: Connection, job_id: str, **values: Any) -> None:
    """Change a job's row in a way that a reader can see."""
    connection.execute(_CHANGE, {"job_id": job_id, **values})


def change_jobs(connection: Connection, changes: Sequence[dict[str, Any]]) -> None:
    """Change rows of jobs in a way that a reader can see: columns by name, and `job_id`."""
    execute_for(connection, _CHANGE, changes)


def event_row(job_id: str, time: float, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an event."""
    return {"job_id": job_id, "time": time, "kind": storable(kind)[:32], "data": storable(data)}


def add_event(
    connection: Connection, job_id: str, time: float, kind: str, data: Mapping[str, Any]
) -> None:
    """Write down that something happened to a job."""
    add_events(connection, [event_row(job_id, time, kind, data)])


def add_events(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write down what happened, as `event_row` gives it."""
    execute_for(connection, _ADD_EVENT, rows)


def put_files(
    connection: Connection, files: Mapping[str, Sequence[FileRecord]], direction: str, time: float
) -> None:
    """Name files of jobs, in place of those of the same direction that they had.

    Args:
        connection: In whose transaction it is.
        files: By the key of the job.
        direction: `input` or `output`.
        time: The time.
    """
    if files:
        mine = [{"of_job": job_id, "of_direction": direction} for job_id in files]
        execute_for(connection, _REMOVE_FILES, mine)
    sizes = {file.digest: file.bytes for mine in files.values() for file in mine}
    if not sizes:
        return
    # In one order in all transactions, so that two that name the same files do not wait for
    # each other.
    new = [{"digest": one, "bytes": sizes[one], "created_at": time} for one in sorted(sizes)]
    insert_new(connection, artefacts, new)
    rows = [
        {
            "job_id": job_id,
            "direction": direction,
            "kind": file.kind,
            "name": file.name,
            "digest": file.digest,
            "bytes": file.bytes,
        }
        for job_id, mine in files.items()
        for file in mine
    ]
    execute_for(connection, _ADD_FILE, rows)


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, but none of whose key there is one already."""
    execute_for(connection, _insert_new(table, connection.dialect.name), rows)


@cache
def _insert_new(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def file_record(row: Row[Any]) -> FileRecord:
    """Return a row of `job_files` as a record."""
    return FileRecord(kind=row.kind, name=row.name, digest=row.digest, bytes=row.bytes)
