"""Jobs come into the queue: all of a request, or none, and under one key only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from itda.errors import InputError
from itda.server.database.tables import jobs, new_id
from itda.server.errors import ConflictError, QuotaError
from itda.server.queue.quotas import refuse_used_up
from itda.server.queue.records import JobRecord, NewJob, Priority, State
from itda.server.queue.rows import COLUMNS, add_event, job_record, put_files
from itda.server.queue.shares import Owner

LONGEST_KEY = 200


def request_digest(new: Sequence[NewJob], priority: Priority) -> str:
    """Return what two requests have in common only where they ask for the same."""
    asked: list[Any] = [int(priority)]
    for job in new:
        files = sorted((file.kind, file.digest) for file in job.inputs)
        asked.append([job.name, job.family, job.document, job.settings, files])
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def submitted_under(
    connection: Connection, project_id: str, key: str, digest: str
) -> list[JobRecord]:
    """Return the jobs that were submitted under a key; none where it is new.

    Raises:
        ConflictError: Something else was submitted under it.
    """
    query = select(*COLUMNS, jobs.c.request_digest).where(
        jobs.c.project_id == project_id, jobs.c.idempotency_key == key
    )
    rows = connection.execute(query.order_by(jobs.c.position)).all()
    if any(row.request_digest != digest for row in rows):
        raise ConflictError(
            f"idempotency key {key!r}: was used for another request",
            hint="use a new key for a new request",
        )
    return [job_record(row) for row in rows]


def check_request(new: Sequence[NewJob], key: str | None) -> None:
    """Refuse what cannot be a request.

    Raises:
        InputError: There is no job, or the key is empty or too long.
    """
    if not new:
        raise InputError("there is no job", hint="give at least one record")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InputError(
            f"an idempotency key of {len(key)} characters",
            hint=f"use 1 to {LONGEST_KEY}, such as a UUID",
        )


def insert_jobs(
    connection: Connection,
    new: Sequence[NewJob],
    owner: Owner,
    priority: Priority,
    *,
    key: str | None,
    digest: str,
    most_queued: int,
    now: float,
) -> list[JobRecord]:
    """Write new jobs down.

    Raises:
        QuotaError: A quota is used up, or the project has too many jobs waiting.
    """
    _refuse_too_many(connection, owner, len(new), most_queued)
    needs = {(job.device_kind, job.need_seconds) for job in new}
    for kind in {kind for kind, _ in needs}:
        longest = max(seconds for one, seconds in needs if one == kind)
        refuse_used_up(connection, owner, kind, longest, now)
    submission = new_id()
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "organisation_id": owner.organisation_id,
            "project_id": owner.project_id,
            "user_id": owner.user_id,
            "submission_id": submission,
            "idempotency_key": key,
            "request_digest": digest,
            "position": position,
            "name": job.name,
            "family": job.family,
            "document": dict(job.document),
            "settings": dict(job.settings),
            "tokens": job.tokens,
            "need_bytes": job.need_bytes,
            "need_seconds": job.need_seconds,
            "device_kind": job.device_kind,
            "priority": int(priority),
            "state": State.QUEUED.value,
            "created_at": now,
        }
        for position, job in enumerate(new, start=1)
    ]
    # Keys of one millisecond sort by chance, and jobs of a request are to be listed in its order.
    for row, key_in_order in zip(rows, sorted(row["id"] for row in rows), strict=True):
        row["id"] = key_in_order
    connection.execute(insert(jobs), rows)
    for row, job in zip(rows, new, strict=True):
        if job.inputs:
            put_files(connection, row["id"], "input", job.inputs, now)
        add_event(connection, row["id"], now, "job_queued", {"priority": priority.name.lower()})
    query = select(*COLUMNS).where(jobs.c.submission_id == submission)
    return [job_record(row) for row in connection.execute(query.order_by(jobs.c.position))]


def _refuse_too_many(connection: Connection, owner: Owner, more: int, most: int) -> None:
    waiting = connection.execute(
        select(func.count()).where(
            jobs.c.state == State.QUEUED.value,
            jobs.c.priority.in_([int(one) for one in Priority]),
            jobs.c.project_id == owner.project_id,
        )
    ).scalar_one()
    if waiting + more > most:
        raise QuotaError(
            f"{waiting} jobs of the project wait already, and {more} more are above the "
            f"{most} that may wait at once",
            hint="submit the rest when some are done",
        )
