"""The books: a line for each attempt, and what was used by month."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, select

from itda.server.database.tables import ledger, organisations, projects, users
from itda.server.queue.quotas import period_of, spend
from itda.server.queue.records import JobRecord, UsageLine
from itda.server.queue.shares import Owner, charge

OUTCOMES = ("done", "failed", "cancelled", "returned", "crashed", "set_aside")
CSV_COLUMNS = (
    "month", "organisation", "project", "user", "device_kind", "device_hours", "attempts",
    "jobs_done", "jobs_failed", "jobs_cancelled",
)  # fmt: skip

_ENDS = {"done": ("done",), "failed": ("failed", "set_aside"), "cancelled": ("cancelled",)}
_ADD_LINE = insert(ledger)
# The last three are what spreadsheets set for the languages of East Asia take for the first three.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_line(
    connection: Connection,
    job: JobRecord,
    lease: Row[*tuple[Any, ...]],
    outcome: str,
    now: float,
    *,
    device_seconds: float | None = None,
) -> None:
    """Write down an attempt that ended, and charge its owner.

    Args:
        connection: In whose transaction it is.
        job: Whose attempt it was.
        lease: Its row, with the kind and the name of the worker's device.
        outcome: One of `OUTCOMES`.
        now: When the device was free again.
        device_seconds: How long it worked for this job, where several shared it; None for all the
            time that the lease was held.
    """
    seconds = max(0.0, now - lease.claimed_at) if device_seconds is None else device_seconds
    kind = lease.worker_device_kind or job.device_kind
    connection.execute(
        _ADD_LINE,
        {
            "lease_id": lease.lease_id,
            "job_id": job.id,
            "organisation_id": job.organisation_id,
            "project_id": job.project_id,
            "user_id": job.user_id,
            "family": job.family,
            "tokens": job.tokens,
            "device_kind": kind,
            "device": lease.worker_device or "",
            "started_at": lease.claimed_at,
            "finished_at": now,
            "device_seconds": seconds,
            "outcome": outcome,
        },
    )
    owner = Owner.from_job(job)
    charge(connection, owner, seconds, now)
    spend(connection, owner, kind, seconds, now)


def usage(
    connection: Connection, project_ids: Sequence[str] | None, start: float, end: float
) -> list[UsageLine]:
    """Return what was used, by month, project, user and kind of device.

    Args:
        connection: To read with.
        project_ids: Of these projects; None for all.
        start: From this time on, in seconds since 1970.
        end: Before this time.
    """
    lines: list[UsageLine] = []
    # Months without any line, of which there are many before the first, are not asked for.
    ended = select(func.min(ledger.c.finished_at), func.max(ledger.c.finished_at))
    first, last = connection.execute(ended).one()
    if first is None:
        return []
    begins, end = max(start, first), min(end, last + 1.0)
    while begins < end:
        _, following = period_of(begins, "month")
        lines += _month(connection, project_ids, begins, min(following, end))
        begins = following
    return lines


def usage_csv(lines: Sequence[UsageLine]) -> str:
    """Return usage as CSV with a line of headings, for a grant report.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        names = (_harmless(one) for one in (line.organisation, line.project, line.user))
        hours = f"{line.device_seconds / 3600:.4f}"
        counts = (line.attempts, line.done, line.failed, line.cancelled)
        writer.writerow([line.month, *names, line.device_kind, hours, *counts])
    return text.getvalue()


def _month(
    connection: Connection, project_ids: Sequence[str] | None, begins: float, ends: float
) -> list[UsageLine]:
    counts = {
        name: func.sum(case((ledger.c.outcome.in_(outcomes), 1), else_=0)).label(name)
        for name, outcomes in _ENDS.items()
    }
    groups = (
        organisations.c.name.label("organisation"),
        ledger.c.project_id,
        projects.c.name.label("project"),
        ledger.c.user_id,
        users.c.email.label("user"),
        ledger.c.device_kind,
    )
    query = (
        select(
            *groups,
            func.sum(ledger.c.device_seconds).label("device_seconds"),
            func.count().label("attempts"),
            *counts.values(),
        )
        .select_from(
            ledger.join(projects, projects.c.id == ledger.c.project_id)
            .join(organisations, organisations.c.id == ledger.c.organisation_id)
            .join(users, users.c.id == ledger.c.user_id)
        )
        .where(ledger.c.finished_at >= begins, ledger.c.finished_at < ends)
        .group_by(*groups)
        .order_by(organisations.c.name, projects.c.name, users.c.email, ledger.c.device_kind)
    )
    if project_ids is not None:
        query = query.where(ledger.c.project_id.in_(project_ids))
    month = f"{datetime.fromtimestamp(begins, UTC):%Y-%m}"
    return [UsageLine(month=month, **row._mapping) for row in connection.execute(query)]


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
