"""A server's REST interface without its workers: two projects and those who use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from itda.server import rest, security
from itda.server.database.database import Database
from itda.server.queue.records import Capacity, FileRecord, NewWorker
from itda.server.services import Services, make_services
from itda.server.settings import Limits, ServerSettings
from itda.wire import UBIQUITIN

from ..accounts.clock import Clock

FASTA = f">ubiquitin\n{UBIQUITIN}\n"
SCOPES = ("read", "submit", "manage", "admin")


@dataclass
class House:
    """A server with an owner, a colleague of the same project, and a stranger of another."""

    services: Services
    app: FastAPI
    clock: Clock
    project: str
    other_project: str
    owner: str
    colleague: str
    stranger: str
    reader: str
    worker: str

    def client(self, token: str | None) -> TestClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return TestClient(
            self.app,
            base_url="http://localhost",
            headers=headers,
            raise_server_exceptions=False,
        )

    def claim(self):
        """Let the worker take the next job."""
        (claim,) = self.services.queue.claim(self.worker, Capacity())
        return claim

    def finish(self, files: dict[str, tuple[str, bytes]] | None = None):
        """Let the worker do the next job, and return its record."""
        claim = self.claim()
        records = []
        for kind, (name, content) in (files or {}).items():
            digest, size = self.services.artefacts.put(content)
            records.append(FileRecord(kind=kind, name=name, digest=digest, bytes=size))
        assert self.services.queue.finish(claim, records, {"mean_plddt": 80.5, "samples": 1})
        return self.services.queue.job(claim.job.id)


def make_house(database: Database, home: Path, *, limits: Limits | None = None) -> House:
    clock = Clock()
    settings = ServerSettings(home=home, limits=limits or Limits())
    services = make_services(settings, database, clock=clock)
    accounts = services.accounts
    owner = accounts.ensure_owner()
    other = accounts.projects.add(owner.organisation.id, "Other")
    colleague = accounts.users.add("colleague@example.org")
    stranger = accounts.users.add("stranger@example.org")
    accounts.projects.set_member(owner.project.id, colleague.id, "member")
    accounts.projects.set_member(other.id, stranger.id, "manager")

    def token(user_id: str, *scopes: str) -> str:
        return accounts.tokens.create(user_id, "test", scopes)[0]

    app = FastAPI(title="Itda", openapi_url="/api/v1/openapi.json")
    app.state.services = services
    security.install(app, services)
    rest.install(app, services)
    app.include_router(rest.routes(services), prefix="/api/v1")
    worker = services.queue.register(
        NewWorker(
            host="bench",
            process=1,
            executor="none",
            device_kind="cpu",
            device="a processor",
            memory_bytes=8 * 10**9,
        )
    )
    return House(
        services=services,
        app=app,
        clock=clock,
        project=owner.project.id,
        other_project=other.id,
        owner=token(owner.user.id, *SCOPES),
        colleague=token(colleague.id, "read", "submit"),
        stranger=token(stranger.id, "read", "submit", "manage"),
        reader=token(owner.user.id, "read"),
        worker=worker,
    )
