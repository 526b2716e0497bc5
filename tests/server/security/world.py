"""A whole server with a project whose every text and file holds a mark that nobody else may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient

from itda.cluster.perform import Performer
from itda.cluster.work import Done, Task, Work
from itda.engine.stop import Stop
from itda.server.accounts.records import Actor, Project, User
from itda.server.app import create_app
from itda.server.queue.records import Capacity, FileRecord, JobRecord
from itda.server.services import Services, open_services
from itda.server.settings import Limits, ServerSettings

from ..accounts.clock import Clock
from .bare import bearer, client_of

NAME = "Canary"
SEQUENCE = "CANARYPEPTIDEHIDDEN"
HTML = f"{NAME} <img src=x onerror=alert('canary')> \"'&"
MARKS = ("canary", SEQUENCE.lower())
"""What nobody outside of the project may see, in lower case."""

ALL = ("read", "submit", "manage")


@dataclass
class World:
    """What the tests ask.

    Attributes:
        app: The whole application.
        services: What it reaches.
        clock: Its time.
        project: The project with the marks.
        other: Another one.
        users: By what they are called here: `alice` manages the project, `carol` may only read it,
            `bob` manages the other one, and `root` administers the server.
        tokens: By what is wrong with them, and whose they are.
        job: A done job of alice's, with files.
        waiting: One that waits.
    """

    app: FastAPI
    services: Services
    clock: Clock
    project: Project
    other: Project
    users: dict[str, User]
    tokens: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    job: JobRecord | None = None
    waiting: JobRecord | None = None

    def browser(self, name: str | None = None) -> TestClient:
        """Return a browser in which a user is signed in, with the page's token in a header."""
        browser = client_of(self.app)
        if name is not None:
            user = self.users[name]
            secret, session = self.services.accounts.sessions.start(
                user.id, how="password", by=Actor()
            )
            browser.cookies.set("itda_session", secret, domain="127.0.0.1")
            browser.headers["X-CSRF-Token"] = session.csrf_token
            self.keys[f"session {name}"] = session.id
        return browser

    def state(self) -> tuple[object, ...]:
        """Return all of the project that a request might change."""
        accounts, queue = self.services.accounts, self.services.queue
        jobs = queue.jobs([self.project.id], limit=200)
        return (
            [(job.id, job.state, job.revision, job.name) for job in jobs.jobs],
            [queue.files(job.id) for job in jobs.jobs],
            accounts.projects.get(self.project.id),
            accounts.projects.members(self.project.id),
            accounts.projects.organisations(),
            [
                (one.id, one.is_admin, one.disabled_at, one.has_password, one.name)
                for one in accounts.users.all()
            ],
            [
                (one.id, one.revoked_at, one.scopes)
                for name in ("alice", "root")
                for one in accounts.tokens.of_user(self.users[name].id)
            ],
            queue.quotas(),
            queue.draining(),
        )


def make_world(database_url: str, folder: Path, **limits: int) -> World:
    clock = Clock()
    settings = ServerSettings(
        home=folder,
        database_url=database_url,
        limits=Limits(sign_ins_per_minute=100_000, requests_per_minute=1_000_000, **limits),
    )
    settings.artefact_folder.mkdir(parents=True)
    services = open_services(settings, clock=clock)
    accounts = services.accounts
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, f"{NAME} project")
    other = accounts.projects.add(accounts.projects.add_organisation("SNU").id, "Other")
    users = {
        "alice": accounts.users.add("alice@lab.example", "Alice Canary"),
        "carol": accounts.users.add("carol@lab.example", "Carol"),
        "bob": accounts.users.add("bob@lab.example", "Bob"),
        "root": accounts.users.add("root@lab.example", "Root", is_admin=True),
    }
    accounts.projects.set_member(project.id, users["alice"].id, "manager")
    accounts.projects.set_member(project.id, users["carol"].id, "viewer")
    accounts.projects.set_member(other.id, users["bob"].id, "manager")
    world = World(create_app(services), services, clock, project, other, users)
    _make_tokens(world)
    _make_jobs(world)
    return world


def _make_tokens(world: World) -> None:
    create = world.services.accounts.tokens.create
    ids = {name: user.id for name, user in world.users.items()}
    now = world.clock()
    world.tokens["full"], full = create(ids["alice"], "canary token", ALL)
    world.tokens["read-only"], _ = create(ids["alice"], "canary read", ["read"])
    world.tokens["other"], _ = create(ids["bob"], "t", ALL)
    world.tokens["admin"], _ = create(ids["root"], "t", [*ALL, "admin"])
    world.tokens["expired"], _ = create(ids["alice"], "canary old", ALL, expires_at=now + 10)
    world.tokens["revoked"], revoked = create(ids["alice"], "canary gone", ALL)
    world.services.accounts.tokens.revoke(revoked.id)
    world.keys["token"] = full.id
    # Of alice and for the other project alone: a token reaches no further than it says.
    world.services.accounts.projects.set_member(world.other.id, ids["alice"], "manager")
    world.tokens["narrow"], _ = create(ids["alice"], "t", ALL, project_id=world.other.id)
    world.clock.wait(11)


def _make_jobs(world: World) -> None:
    client = client_of(world.app)
    submission = {"family": "mini", "project": world.project.id}
    headers = bearer(world.tokens["full"])
    for name in (HTML, NAME):
        told = {
            "version": 1,
            "name": name,
            "entities": [{"protein": {"id": "A", "sequence": SEQUENCE}}],
        }
        answer = client.post(
            "/api/v1/jobs", headers=headers, json={**submission, "input": yaml.safe_dump(told)}
        )
        assert answer.status_code == 201, answer.text
        made = world.services.queue.job(answer.json()["jobs"][0]["id"])
        if world.job is None:
            world.job = fold_one(world)
            assert world.job.id == made.id
        else:
            world.waiting = made


def fold_one(world: World) -> JobRecord:
    """Do what a worker does with the job that waits."""
    queue, artefacts = world.services.queue, world.services.artefacts
    (claim,) = queue.claim("0" * 32, Capacity())
    output = world.services.settings.home / "output"
    done: list[Done] = []
    task = Task(
        key=claim.job.id,
        family=claim.job.family,
        document=claim.job.document,
        settings=claim.job.settings,
        output=output,
    )

    def end(_key: str, outcome: object) -> None:
        assert isinstance(outcome, Done), outcome
        done.append(outcome)

    Performer(device="cpu", threads=1).perform(
        Work(tasks=(task,)),
        lambda _key, events: queue.record(claim, events),
        end,
        Stop(),
    )
    files = []
    for kind, path in done[0].files.items():
        digest, size = artefacts.put(path)
        files.append(FileRecord(kind=kind, name=path.name, digest=digest, bytes=size))
    assert queue.finish(claim, files, done[0].summary)
    return queue.job(claim.job.id)
