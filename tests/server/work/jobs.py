"""Jobs in a queue, and workers for them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from itda.cluster.work import Executor
from itda.job.model import Job
from itda.server.artefacts import Artefacts
from itda.server.database import tables
from itda.server.database.database import Database
from itda.server.queue.queue import Queue
from itda.server.queue.records import FileRecord, JobRecord, NewJob, State
from itda.server.work.worker import Worker
from tests.patience import PATIENCE_SECONDS

from ...cluster.helpers import sequence_of, wait_until
from .rows import add_project

PROGRAM = (sys.executable, str(Path(__file__).parent / "steered_worker.py"), "worker")


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests that start processes, which take long, and of what no database has a part in."""


class Site:
    """A server without pages: a database, a home, a project."""

    def __init__(
        self, database: Database, home: Path, *, lease_seconds: float = 60.0, most_crashes: int = 3
    ) -> None:
        self.database = database
        self.home = home
        self.lease_seconds = lease_seconds
        self.queue = Queue(database, lease_seconds=lease_seconds, most_crashes=most_crashes)
        self.artefacts = Artefacts(home / "artefacts", database)
        with database.write() as connection:
            self.owner = add_project(connection)

    def submit(
        self,
        *names: str,
        metadata: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
        inputs: Sequence[FileRecord] = (),
        seconds: float = 0.0,
        family: str = "mini",
        **settings: Any,
    ) -> list[str]:
        new = []
        for name in names:
            job = Job.from_sequence(name, sequence_of(name)).replace(metadata=dict(metadata or {}))
            new.append(
                NewJob(
                    name=name,
                    family=family,
                    document=document or job.to_dict(),
                    settings=settings,
                    need_seconds=seconds,
                    inputs=tuple(inputs),
                )
            )
        return [record.id for record in self.queue.submit(new, **self.owner)]

    def state(self, job_id: str) -> State:
        return self.queue.job(job_id).state

    def wait(self, job_ids: Sequence[str], *states: State) -> list[JobRecord]:
        wanted = states or (State.DONE,)
        wait_until(lambda: all(self.state(one) in wanted for one in job_ids))
        return [self.queue.job(one) for one in job_ids]

    def ledger(self, job_id: str) -> list[str]:
        query = select(tables.ledger.c.outcome).where(tables.ledger.c.job_id == job_id)
        with self.database.read() as connection:
            return list(connection.execute(query.order_by(tables.ledger.c.finished_at)).scalars())

    def events(self, job_id: str) -> list[str]:
        return [event.kind for event in self.queue.events(job_id)]

    def worker(self, executor: Executor, name: str = "worker", **options: Any) -> Worker:
        return Worker(
            self.queue,
            self.artefacts,
            executor,
            folder=self.home / name,
            stages=self.home / "stages",
            lease_seconds=self.lease_seconds,
            **{"idle_seconds": 0.05, "pause_seconds": 0.05, **options},
        )


@contextlib.contextmanager
def at_work(worker: Worker) -> Iterator[Worker]:
    """Let a worker run in a thread, and stop it at the end."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@contextlib.contextmanager
def worker_process(site: Site, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run `itda worker` as a process, killed at the end where it still runs."""
    process = subprocess.Popen(
        [
            *PROGRAM,
            *("--home", str(site.home), "--device", "cpu", "--lease", str(site.lease_seconds)),
            *options,
        ],
        env={
            **os.environ,
            "ITDA_DATABASE": site.database.url.render_as_string(hide_password=False),
            "ITDA_HOME": str(site.home / "user"),
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        print(process.stderr.read())  # shown where the test fails
        process.wait()
