"""Eight submit, four work, somebody kills them: each job ends exactly once.

What the workers wrote down themselves is held against the books. Some are not killed but stopped
for longer than a lease lasts, and go on as if nothing had been.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from itda.server.database.database import Database
from itda.server.database.tables import job_files, jobs, leases, ledger
from itda.server.database.tables import workers as table
from itda.server.errors import ConflictError
from itda.server.queue.queue import Queue
from itda.server.queue.records import State

from .lab import Lab, new_job

ROOT = Path(__file__).parents[3]
CLIENTS = 8
JOBS_OF_A_CLIENT = 40
WORKERS = 4
KILLS = 10
PAUSES = 2
LEASE_SECONDS = 0.7
LONGEST_SECONDS = 120.0


class Nest:
    """The process that forks workers."""

    def __init__(self, database_url: str, log: Path) -> None:
        command = [sys.executable, "-m", "tests.server.queue.killed"]
        command += [database_url, str(log), str(LEASE_SECONDS)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.workers = [self.hatch() for _ in range(WORKERS)]

    def hatch(self) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        with self.process:
            pass


class Killer:
    """Kills workers that hold a lease, and lets some rest for longer than it lasts."""

    def __init__(self, database: Database, workers: Nest, chance: random.Random) -> None:
        self.database, self.nest, self.chance = database, workers, chance
        self.killed = self.paused = 0
        self.resting: dict[int, threading.Timer] = {}
        self.next = 0.0

    def act(self) -> None:
        now = time.monotonic()
        worker = self.chance.choice(self.nest.workers)
        if now < self.next or self.killed >= KILLS or worker in self.resting:
            return
        os.kill(worker, signal.SIGSTOP)
        if not self._holds(worker):
            os.kill(worker, signal.SIGCONT)
            return
        self.next = now + self.chance.uniform(0.05, 0.2)
        if self.killed > self.paused * 3 and self.paused < PAUSES:
            self._let_rest(worker)
        else:
            os.kill(worker, signal.SIGKILL)
            self.nest.workers[self.nest.workers.index(worker)] = self.nest.hatch()
            self.killed += 1

    def _let_rest(self, worker: int) -> None:
        # By a thread of its own: whoever waits for a lock of the worker could not wake it.
        timer = threading.Timer(2 * LEASE_SECONDS, self._wake, [worker])
        self.resting[worker] = timer
        timer.start()
        self.paused += 1

    def _wake(self, worker: int) -> None:
        os.kill(worker, signal.SIGCONT)
        del self.resting[worker]

    def close(self) -> None:
        for timer in list(self.resting.values()):
            timer.join()

    def _holds(self, worker: int) -> bool:
        held = select(leases.c.job_id).join(table, table.c.id == leases.c.worker_id)
        with self.database.read() as connection:
            return connection.execute(held.where(table.c.process == worker)).first() is not None


@contextlib.contextmanager
def nest(database_url: str, log: Path) -> Iterator[Nest]:
    made = Nest(database_url, log)
    try:
        yield made
    finally:
        made.close()


def submit_all(database_url: str, ids: dict[str, str], client: int, keys: dict[str, str]) -> None:
    """Submit jobs, some of them twice under one key, and cancel some."""
    database = Database(database_url)
    queue, chance = Queue(database), random.Random(client)
    for number in range(JOBS_OF_A_CLIENT):
        name = f"{client}-{number}"
        asked = {**ids, "idempotency_key": name}
        [job] = queue.submit([new_job(name, need_seconds=0.01)], **asked)
        keys[name] = job.id
        if chance.random() < 0.2:
            [same] = queue.submit([new_job(name, need_seconds=0.01)], **asked)
            keys[f"{name} again"] = same.id
        if chance.random() < 0.1:
            with contextlib.suppress(ConflictError):
                queue.cancel(job.id)
    database.close()


def unfinished(database: Database) -> int:
    ends = [state.value for state in State if state.ended]
    query = select(func.count()).select_from(jobs).where(jobs.c.state.not_in(ends))
    with database.read() as connection:
        return int(connection.execute(query).scalar_one())


def test_every_job_ends_once_whoever_is_killed(database, tmp_path):
    database_url = database.url.render_as_string(hide_password=False)
    person = Lab(database).person()
    keys: dict[str, str] = {}
    clients = [
        threading.Thread(target=submit_all, args=(database_url, person.ids, client, keys))
        for client in range(CLIENTS)
    ]
    queue = Queue(database, lease_seconds=LEASE_SECONDS, most_crashes=3)
    log, chance, reaped = tmp_path / "ends", random.Random(1), 0
    deadline = time.monotonic() + LONGEST_SECONDS
    with nest(database_url, log) as workers:
        killer = Killer(database, workers, chance)
        for client in clients:
            client.start()
        while any(one.is_alive() for one in clients) or unfinished(database):
            assert time.monotonic() < deadline, "it does not come to an end"
            time.sleep(0.02)
            reaped += queue.reap()
            killer.act()
        for client in clients:
            client.join()
        killer.close()

    with database.read() as connection:
        states = {row.id: row.state for row in connection.execute(select(jobs.c.id, jobs.c.state))}
        lines = connection.execute(select(ledger.c.job_id, ledger.c.outcome)).all()
        held = connection.execute(select(func.count()).select_from(leases)).scalar_one()
        results = Counter(
            connection.execute(
                select(job_files.c.job_id).where(job_files.c.direction == "output")
            ).scalars()
        )
        reasons = connection.execute(select(jobs.c.error).where(jobs.c.state == "failed")).scalars()
        assert all(reason["problem"] for reason in reasons)
    assert killer.killed >= 1
    assert reaped >= 1
    assert held == 0

    # None is lost, and none was made twice under one key.
    assert set(keys.values()) == set(states)
    assert len(states) == CLIENTS * JOBS_OF_A_CLIENT
    assert all(keys[name] == keys[name.removesuffix(" again")] for name in keys)

    # Each ended once in the ledger; one that was cancelled while it waited has no line of an end.
    ends = Counter(one.job_id for one in lines if one.outcome not in ("returned", "crashed"))
    for job_id, state in states.items():
        assert ends[job_id] == 1 or (ends[job_id] == 0 and state == "cancelled")
        assert results[job_id] == (state == "done")

    # Each end that a worker was told it had made is the one in the books.
    told = [line.split() for line in log.read_text().splitlines()]
    final = [(job_id, what) for job_id, what in told if what != "returned"]
    assert len({job_id for job_id, _ in final}) == len(final)
    assert all(states[job_id] == what for job_id, what in final)
