"""Jobs come into the queue: all of a request, or none, and under one key only once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from itda.errors import InputError
from itda.language import Message
from itda.server.database.tables import jobs, new_id
from itda.server.errors import ConflictError, QuotaError
from itda.server.queue.quotas import refuse_used_up
from itda.server.queue.records import JobRecord, NewJob, Priority, State
from itda.server.queue.rows import COLUMNS, QUEUED, add_events, event_row, job_record, put_files
from itda.server.queue.shares import Owner
from itda.server.queue.storable import is_storable, storable

LONGEST_KEY = 200
LONGEST_NAME = 200
LONGEST_FILE_NAME = 255
MOST_TOKENS = 2**31 - 1
MOST_BYTES = 2**62

_ADD_JOBS = insert(jobs)
_SUBMITTED = (
    select(*COLUMNS)
    .where(jobs.c.submission_id == bindparam("of_submission"))
    .order_by(jobs.c.position)
)
_WAITING = select(func.count()).where(
    QUEUED,
    jobs.c.priority.in_([int(one) for one in Priority]),
    jobs.c.project_id == bindparam("of_project"),
)


def request_digest(new: Sequence[NewJob], priority: Priority) -> str:
    """Return what two requests have in common only where they ask for the same."""
    asked: list[Any] = [int(priority)]
    for job in new:
        files = sorted((file.kind, file.digest) for file in job.inputs)
        asked.append([job.name, job.family, job.document, job.settings, files])
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def submitted_under(
    connection: Connection, project_id: str, key: str | None, digest: str
) -> list[JobRecord]:
    """Return the jobs that were submitted under a key; none where it is new, or there is none.

    Raises:
        ConflictError: Something else was submitted under it.
    """
    if key is None:
        return []
    query = select(*COLUMNS, jobs.c.request_digest).where(
        jobs.c.project_id == project_id, jobs.c.idempotency_key == key
    )
    rows = connection.execute(query.order_by(jobs.c.position)).all()
    if any(row.request_digest != digest for row in rows):
        raise ConflictError(
            Message("idempotency key {key!r}: was used for another request", key=key),
            hint=Message("use a new key for a new request"),
        )
    return [job_record(row) for row in rows]


def keep_rejected(connection: Connection, job_id: str, rejected: Sequence[Any]) -> None:
    """Write down, with the first job of a request, what of it gave none."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(rejected=list(rejected)))


def rejected_with(connection: Connection, job_id: str) -> list[Any]:
    """Return what was written down with the first job of a request."""
    query = select(jobs.c.rejected).where(jobs.c.id == job_id)
    return list(connection.execute(query).scalar_one_or_none() or ())


def check_request(new: Sequence[NewJob], key: str | None) -> None:
    """Refuse what cannot be a request.

    Raises:
        InputError: There is no job, the key is empty or too long, or a job cannot be kept.
    """
    if not new:
        raise InputError(Message("there is no job"), hint=Message("give at least one record"))
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InputError(
            Message("an idempotency key of {count} characters", count=len(key)),
            hint=Message("use 1 to {longest_key}, such as a UUID", longest_key=LONGEST_KEY),
        )
    if not is_storable(key or ""):
        raise InputError(
            Message("an idempotency key with characters that are none"), hint=Message("use a UUID")
        )
    for job in new:
        _check_job(job)


def _check_job(job: NewJob) -> None:
    names = [job.name, *(name for file in job.inputs for name in (file.kind, file.name))]
    if not is_storable([job.family, job.document, job.settings, names]):
        raise InputError(
            Message(
                "job {job!r}: holds the character U+0000, half a character, or a number that "
                "is none",
                job=storable(job.name)[:80],
            ),
            hint=Message("take it out; a file that was read as text may be none"),
        )
    if len(job.name) > LONGEST_NAME:
        raise InputError(
            Message(
                "job {job!r}…: its name has {count} characters",
                job=job.name[:80],
                count=len(job.name),
            ),
            hint=Message("use at most {longest_name}", longest_name=LONGEST_NAME),
        )
    for name in names[1:]:
        if len(name) > LONGEST_FILE_NAME:
            raise InputError(
                Message(
                    "file {name!r}…: its name has {count} characters",
                    name=name[:80],
                    count=len(name),
                ),
                hint=Message(
                    "use at most {longest_file_name}", longest_file_name=LONGEST_FILE_NAME
                ),
            )
    large = job.tokens > MOST_TOKENS or job.need_bytes > MOST_BYTES
    if large or not math.isfinite(job.need_seconds):
        raise InputError(
            Message(
                "job {job!r}: no machine can do {tokens} tokens",
                job=job.name[:80],
                tokens=job.tokens,
            ),
            hint=Message("predict domains of it"),
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
    # Keys of one microsecond sort by chance, and jobs of a request are to be listed in its order.
    for row, key_in_order in zip(rows, sorted(row["id"] for row in rows), strict=True):
        row["id"] = key_in_order
    connection.execute(_ADD_JOBS, rows)
    files = {row["id"]: job.inputs for row, job in zip(rows, new, strict=True) if job.inputs}
    put_files(connection, files, "input", now)
    said = {"priority": priority.name.lower()}
    add_events(connection, [event_row(row["id"], now, "job_queued", said) for row in rows])
    found = connection.execute(_SUBMITTED, {"of_submission": submission})
    return [job_record(row) for row in found]


def _refuse_too_many(connection: Connection, owner: Owner, more: int, most: int) -> None:
    waiting = connection.execute(_WAITING, {"of_project": owner.project_id}).scalar_one()
    if waiting + more > most:
        raise QuotaError(
            Message(
                "{waiting} jobs of the project wait already, and {more} more are above the "
                "{most} that may wait at once",
                waiting=waiting,
                more=more,
                most=most,
            ),
            hint=Message("submit the rest when some are done"),
        )
