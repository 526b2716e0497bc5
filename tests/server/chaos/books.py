"""What has to be true of the books once every job has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from itda.server.artefacts import Artefacts
from itda.server.database.database import Database
from itda.server.database.tables import artefacts, job_files, jobs, leases, ledger

ENDS = ("done", "failed", "cancelled")


def unfinished(database: Database) -> int:
    with database.read() as connection:
        query = select(func.count()).select_from(jobs).where(jobs.c.state.not_in(ENDS))
        return int(connection.execute(query).scalar_one())


def problems(database: Database, files: Artefacts, submitted: Sequence[str]) -> list[str]:
    """Return everything that is wrong; `submitted` are the keys that clients were given."""
    found: list[str] = []
    with database.read() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.error)).all()
        ended = Counter(
            row.job_id
            for row in connection.execute(
                select(ledger.c.job_id).where(ledger.c.outcome.in_(("done", "failed")))
            )
        )
        held = connection.execute(select(func.count()).select_from(leases)).scalar_one()
        outputs = Counter(
            row.job_id
            for row in connection.execute(
                select(job_files.c.job_id).where(job_files.c.direction == "output")
            )
        )
        known = {row.digest for row in connection.execute(select(artefacts.c.digest))}
        named = {row.digest for row in connection.execute(select(job_files.c.digest))}
    names = Counter(row.name for row in rows)
    found += [f"{name}: {count} jobs" for name, count in names.items() if count > 1]
    found += [f"{key}: lost" for key in set(submitted) - {row.id for row in rows}]
    if len(rows) != len(submitted):
        found.append(f"{len(rows)} jobs in the books, {len(submitted)} submitted")
    for row in rows:
        expected_lines = 0 if row.state == "cancelled" else 1
        if row.state not in ENDS:
            found.append(f"{row.name}: {row.state}")
        elif row.state == "failed" and not (row.error or {}).get("problem"):
            found.append(f"{row.name}: failed without a reason")
        elif row.state == "failed" and row.error["kind"] == "SetAside":
            expected_lines = 0
        if ended[row.id] != expected_lines:
            found.append(f"{row.name}: {row.state}, ended {ended[row.id]} times in the ledger")
        if outputs[row.id] != (row.state == "done"):
            found.append(f"{row.name}: {row.state} with {outputs[row.id]} files")
    if held:
        found.append(f"{held} leases are held")
    files.collect(0.0)
    on_disk = {digest for digest in named if files.path(digest).is_file()}
    found += [f"{digest}: its file is missing" for digest in named - on_disk]
    found += [f"{digest}: no job names it" for digest in known - named]
    found += [f"{digest}: a file that no job names" for digest in files.unnamed()]
    found += [f"{damage.digest}: {damage.problem}" for damage in files.verify()]
    return found


def totals(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        states = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        lines = connection.execute(
            select(ledger.c.outcome, func.count()).group_by(ledger.c.outcome)
        ).all()
        again = connection.execute(
            select(func.count()).select_from(jobs).where(jobs.c.attempts > 1)
        ).scalar_one()
    return {
        "jobs": dict(map(tuple, states)),
        "ledger": dict(map(tuple, lines)),
        "jobs_with_more_than_one_attempt": again,
    }
