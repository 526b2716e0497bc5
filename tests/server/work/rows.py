"""Rows that a job needs, so that a file can be named by one."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from itda.server.database import tables
from itda.server.database.tables import new_id


def add_project(connection: Connection, *, weight: float = 1.0) -> dict[str, str]:
    """Add an organisation, a project and a user; return what `Queue.submit` is told of them."""
    ids = {name: new_id() for name in ("organisation_id", "project_id", "user_id")}
    at = {"created_at": 0.0}
    connection.execute(
        insert(tables.organisations).values(
            id=ids["organisation_id"], name=new_id(), weight=1.0, **at
        )
    )
    connection.execute(
        insert(tables.projects).values(
            id=ids["project_id"],
            organisation_id=ids["organisation_id"],
            name="p",
            weight=weight,
            **at,
        )
    )
    connection.execute(
        insert(tables.users).values(
            id=ids["user_id"], email=f"{new_id()}@example.org", name="u", is_admin=False, **at
        )
    )
    return ids


def add_job(connection: Connection) -> str:
    """Add a job and all it belongs to."""
    job_id = new_id()
    connection.execute(
        insert(tables.jobs).values(
            id=job_id,
            **add_project(connection),
            submission_id=new_id(),
            request_digest="",
            name="j",
            family="mini",
            document={},
            settings={},
            tokens=0,
            need_bytes=0,
            need_seconds=0.0,
            state="queued",
            created_at=0.0,
        )
    )
    return job_id


def name_file(connection: Connection, job_id: str, digest: str, size: int) -> None:
    """Let a job name a file."""
    connection.execute(insert(tables.artefacts).values(digest=digest, bytes=size, created_at=0.0))
    connection.execute(
        insert(tables.job_files).values(
            job_id=job_id, direction="output", kind=digest, name="f", digest=digest, bytes=size
        )
    )
