"""An institute for the tests: who may submit, a clock that is set by hand, and small jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select

from itda.server.database.database import Database
from itda.server.database.tables import (
    leases,
    ledger,
    members,
    new_id,
    organisations,
    projects,
    users,
)
from itda.server.queue.queue import Queue
from itda.server.queue.records import (
    Capacity,
    Claim,
    FileRecord,
    JobRecord,
    NewJob,
    NewWorker,
)

START = 1_762_000_000.0
"""1 November 2025, 12:26:40 UTC."""

MANY = Capacity(jobs=1000)


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


def new_job(name: str = "ubiquitin", **values: Any) -> NewJob:
    given = {"family": "mini", "document": {"name": name}, "need_seconds": 10.0, **values}
    return NewJob(name=name, **given)


def a_file(kind: str, digit: str = "a", size: int = 10) -> FileRecord:
    return FileRecord(kind=kind, name=f"{kind}.cif", digest=digit * 64, bytes=size)


@dataclass
class House:
    """A database with one organisation, project, user and worker, and more where asked for."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    organisation: str = ""
    project: str = ""
    user: str = ""
    worker: str = ""

    def __post_init__(self) -> None:
        self.queue = Queue(self.database, clock=self.clock, lease_seconds=60.0, most_crashes=3)
        self.organisation = self.new_organisation("Institute")
        self.project = self.new_project("Folding")
        self.user = self.new_user("kim@example.org")
        self.worker = self.new_worker()

    def new_organisation(self, name: str, weight: float = 1.0) -> str:
        return self._insert(organisations, name=name, weight=weight, created_at=START)

    def new_project(self, name: str, weight: float = 1.0, organisation: str | None = None) -> str:
        owner = organisation or self.organisation
        values = {"organisation_id": owner, "name": name, "weight": weight, "created_at": START}
        return self._insert(projects, **values)

    def new_user(self, email: str) -> str:
        values = {"email": email, "name": email.split("@")[0], "is_admin": False}
        return self._insert(users, **values, created_at=START)

    def add_member(self, project: str, user: str, weight: float) -> None:
        values = {"project_id": project, "user_id": user, "role": "member", "weight": weight}
        with self.database.write() as connection:
            connection.execute(insert(members).values(**values))

    def new_worker(self, device_kind: str = "cpu") -> str:
        return self.queue.register(
            NewWorker(
                host="node1",
                process=1,
                executor="this-process",
                device_kind=device_kind,
                device=f"a {device_kind}",
                memory_bytes=2**40,
            )
        )

    def submit(
        self,
        *jobs: NewJob,
        project: str | None = None,
        user: str | None = None,
        organisation: str | None = None,
        **values: Any,
    ) -> list[JobRecord]:
        return self.queue.submit(
            jobs or (new_job(),),
            organisation_id=organisation or self.organisation,
            project_id=project or self.project,
            user_id=user or self.user,
            **values,
        )

    def claim(self, capacity: Capacity | None = None, worker: str | None = None) -> Claim | None:
        claims = self.queue.claim(worker or self.worker, capacity or Capacity())
        assert len(claims) <= 1
        return claims[0] if claims else None

    def running(self, **values: Any) -> Claim:
        """A job that has just been submitted and claimed."""
        [job] = self.submit(new_job(**values))
        claim = self.claim()
        assert claim is not None and claim.job.id == job.id
        return claim

    def lines(self, job_id: str | None = None) -> Sequence[Any]:
        """The ledger, oldest first."""
        query = select(ledger).order_by(ledger.c.finished_at, ledger.c.lease_id)
        if job_id is not None:
            query = query.where(ledger.c.job_id == job_id)
        with self.database.read() as connection:
            return connection.execute(query).all()

    def outcomes(self, job_id: str | None = None) -> list[str]:
        return [line.outcome for line in self.lines(job_id)]

    def held(self) -> list[str]:
        with self.database.read() as connection:
            return list(connection.execute(select(leases.c.job_id)).scalars())

    def _insert(self, table: Any, **values: Any) -> str:
        key = new_id()
        with self.database.write() as connection:
            connection.execute(insert(table).values(id=key, **values))
        return key
