"""The books: a line for each attempt, and what was used by month."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, case, func, insert, select

from itda.server.database.tables import ledger, organisations, projects, users, workers
from itda.server.queue.quotas import period_of
from itda.server.queue.records import JobRecord, UsageLine
from itda.server.queue.shares import Owner, charge

OUTCOMES = ("done", "failed", "cancelled", "returned", "crashed")
CSV_COLUMNS = (
    "month", "organisation", "project", "user", "device_kind", "device_hours", "attempts",
    "jobs_done", "jobs_failed", "jobs_cancelled",
)  # fmt: skip


def write_line(
    connection: Connection,
    job: JobRecord,
    lease: Row[tuple[object, ...]],
    outcome: str,
    now: float,
    *,
    device_seconds: float | None = None,
) -> None:
    """Write down an attempt that ended, and charge its owner.

    Args:
        connection: In whose transaction it is.
        job: Whose attempt it was.
        lease: Its row.
        outcome: One of `OUTCOMES`.
        now: When the device was free again.
        device_seconds: How long it worked for this job, where several shared it; None for all the
            time that the lease was held.
    """
    worker = connection.execute(
        select(workers.c.device_kind, workers.c.device).where(workers.c.id == lease.worker_id)
    ).one_or_none()
    seconds = max(0.0, now - lease.claimed_at) if device_seconds is None else device_seconds
    connection.execute(
        insert(ledger).values(
            lease_id=lease.lease_id,
            job_id=job.id,
            organisation_id=job.organisation_id,
            project_id=job.project_id,
            user_id=job.user_id,
            family=job.family,
            tokens=job.tokens,
            device_kind=worker.device_kind if worker else job.device_kind,
            device=worker.device if worker else "",
            started_at=lease.claimed_at,
            finished_at=now,
            device_seconds=seconds,
            outcome=outcome,
        )
    )
    charge(connection, Owner(job.organisation_id, job.project_id, job.user_id), seconds, now)


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
    begins = start
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
        outcome: func.sum(case((ledger.c.outcome == outcome, 1), else_=0)).label(outcome)
        for outcome in ("done", "failed", "cancelled")
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
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
