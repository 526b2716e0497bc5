"""What can be read of jobs: one, many, their stages, events and files."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, or_, select

from itda.server.database.tables import events, job_files, jobs, stages
from itda.server.queue.records import EventRecord, FileRecord, Page, StageRecord, State
from itda.server.queue.rows import COLUMNS, file_record, job_record
from itda.server.queue.storable import storable


def page_of_jobs(
    connection: Connection,
    project_ids: Sequence[str] | None,
    *,
    states: Sequence[State],
    text: str,
    before: str | None,
    limit: int,
) -> Page:
    """Return some jobs, newest first, and how many there are in all."""
    wanted = select(*COLUMNS).select_from(jobs)
    if project_ids is not None:
        wanted = wanted.where(jobs.c.project_id.in_(list(project_ids)))
    if states:
        wanted = wanted.where(jobs.c.state.in_([state.value for state in states]))
    if text:
        wanted = wanted.where(_matches(storable(text)))
    total = connection.execute(wanted.with_only_columns(func.count())).scalar_one()
    if before is not None:
        wanted = wanted.where(jobs.c.id < storable(before))
    rows = connection.execute(wanted.order_by(jobs.c.id.desc()).limit(limit + 1)).all()
    shown = tuple(job_record(row) for row in rows[:limit])
    more = len(rows) > limit and bool(shown)
    return Page(jobs=shown, next_before=shown[-1].id if more else None, total=total)


def _matches(text: str) -> ColumnElement[bool]:
    """Return what holds for jobs that a text is part of."""
    # A database may know no other capitals than those of ASCII, so the text is looked for as it
    # is, too. Some systems write a syllable of Korean as one character and some as its letters.
    forms = {form for name in ("NFC", "NFD") for form in (unicodedata.normalize(name, text),)}
    parts = [jobs.c.family == text.lower(), jobs.c.id == text.lower()]
    for form in sorted({text, *forms}):
        parts.append(jobs.c.name.contains(form, autoescape=True))
        parts.append(func.lower(jobs.c.name).contains(form.lower(), autoescape=True))
    return or_(*parts)


def stages_of(connection: Connection, job_id: str) -> list[StageRecord]:
    """Return the stages of a job in their order."""
    fields = tuple(StageRecord.__dataclass_fields__)
    query = select(*(stages.c[name] for name in fields)).where(stages.c.job_id == job_id)
    rows = connection.execute(query.order_by(stages.c.position, stages.c.name))
    return [StageRecord(**row._mapping) for row in rows]


def events_of(connection: Connection, job_id: str, after: int, limit: int) -> list[EventRecord]:
    """Return what happened to a job after an event, oldest first."""
    query = select(events).where(events.c.job_id == job_id, events.c.id > min(after, 2**63 - 1))
    rows = connection.execute(query.order_by(events.c.id).limit(limit))
    return [EventRecord(**row._mapping) for row in rows]


def files_of(connection: Connection, job_id: str, direction: str) -> list[FileRecord]:
    """Return the files of a job."""
    query = select(job_files).where(
        job_files.c.job_id == job_id, job_files.c.direction == direction
    )
    return [file_record(row) for row in connection.execute(query.order_by(job_files.c.kind))]
