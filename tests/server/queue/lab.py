"""A queue with a clock that is set by hand, and those who use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from itda.server.database import tables
from itda.server.database.database import Database
from itda.server.database.tables import new_id
from itda.server.queue.queue import Queue
from itda.server.queue.records import Capacity, Claim, FileRecord, JobRecord, NewJob, NewWorker

BEGIN = 1_795_996_800.0
"""2026-11-30 00:00 UTC, the last day of a month."""


@dataclass(frozen=True)
class Person:
    organisation_id: str
    project_id: str
    user_id: str

    @property
    def ids(self) -> dict[str, str]:
        return vars(self).copy()


class Lab:
    def __init__(self, database: Database, **options: Any) -> None:
        self.database = database
        self.now = BEGIN
        self.queue = Queue(database, clock=lambda: self.now, **options)

    def person(
        self,
        name: str = "kim",
        *,
        weight: float = 1.0,
        organisation_weight: float = 1.0,
        organisation_id: str | None = None,
        project_id: str | None = None,
        user_weight: float = 1.0,
    ) -> Person:
        """Add a user, and a project and an organisation unless these are given."""
        user_id = new_id()
        with self.database.write() as connection:
            if organisation_id is None:
                organisation_id = new_id()
                connection.execute(
                    insert(tables.organisations).values(
                        id=organisation_id,
                        name=f"{name}'s institute",
                        weight=organisation_weight,
                        created_at=0.0,
                    )
                )
            if project_id is None:
                project_id = new_id()
                connection.execute(
                    insert(tables.projects).values(
                        id=project_id,
                        organisation_id=organisation_id,
                        name=f"{name}'s project",
                        weight=weight,
                        created_at=0.0,
                    )
                )
            connection.execute(
                insert(tables.users).values(
                    id=user_id,
                    email=f"{name}@example.org",
                    name=name,
                    is_admin=False,
                    created_at=0.0,
                )
            )
            connection.execute(
                insert(tables.members).values(
                    project_id=project_id, user_id=user_id, role="member", weight=user_weight
                )
            )
        return Person(organisation_id, project_id, user_id)

    def worker(self, device_kind: str = "cpu") -> str:
        return self.queue.register(
            NewWorker(
                host="desk",
                process=1,
                executor="tiny",
                device_kind=device_kind,
                device=f"a {device_kind}",
                memory_bytes=2**40,
            )
        )

    def submit(self, person: Person, *names: str, **options: Any) -> list[JobRecord]:
        """Submit jobs of these names; options of `submit` and fields of the jobs."""
        asked = {
            name: options.pop(name) for name in ("priority", "idempotency_key") if name in options
        }
        new = [new_job(name, **options) for name in names or ("job",)]
        return self.queue.submit(new, **person.ids, **asked)

    def claim(self, worker: str, **capacity: Any) -> Claim:
        (claim,) = self.queue.claim(worker, Capacity(**capacity))
        return claim

    def ledger(self, job_id: str | None = None) -> list[Any]:
        query = select(tables.ledger).order_by(tables.ledger.c.finished_at)
        if job_id is not None:
            query = query.where(tables.ledger.c.job_id == job_id)
        with self.database.read() as connection:
            return list(connection.execute(query).all())

    def count(self, table: Any) -> int:
        with self.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def new_job(name: str = "job", **fields: Any) -> NewJob:
    defaults: dict[str, Any] = {"family": "mini", "document": {"name": name}, "need_seconds": 10.0}
    return NewJob(name=name, **{**defaults, **fields})


def file(kind: str, content: int = 1) -> FileRecord:
    return FileRecord(kind=kind, name=f"{kind}.cif", digest=f"{content:064x}", bytes=content)
