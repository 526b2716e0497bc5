"""How many jobs a second the queue hands out and takes back, on SQLite and on PostgreSQL.

Ten thousand jobs of eight users in four projects of two organisations wait; processes claim and
finish some of them (`--claims`), so that the queue stays long while it is measured. Nothing is
computed: this is what the books cost. On a machine that is busy with other things the jobs a
processor second of the workers tell more than those a second. PostgreSQL is one of the tests' own,
on this machine; it does not wait for its disk, and SQLite does so for submissions alone.

    python benchmarks/claims.py [--jobs 10000] [--claims 2000] [--runs 3] [--output FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import provenance, write_record
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import jobs, ledger, new_id, organisations, projects, users
from itda.server.queue.queue import Queue
from itda.server.queue.records import Capacity, NewJob, NewWorker

WORKERS = (1, 4)
AT_ONCE = (1, 16)
REQUEST_JOBS = 500
WAIT_SECONDS = 300.0


@contextmanager
def databases(kind: str) -> Iterator[Any]:
    """Give a function that makes an empty database and returns its URL."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="itda-bench-") as folder:
            yield lambda: f"sqlite:///{folder}/{new_id()}.db"
        return
    sys.path.insert(0, str(ROOT))
    from tests.server.postgres import Postgres, find_programs

    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    server = Postgres(programs)
    try:
        yield server.new_database
    finally:
        server.stop()


def fill(database: Database, count: int) -> float:
    """Queue jobs of eight users in four projects; return the jobs taken a second."""
    now = time.time()
    owners = []
    with database.write() as connection:
        for number in range(2):
            organisation = new_id()
            values = {"id": organisation, "name": f"organisation {number}", "weight": 1.0}
            connection.execute(insert(organisations).values(**values, created_at=now))
            for other in range(2):
                project = new_id()
                values = {"id": project, "name": f"project {other}", "weight": 1.0 + other}
                values |= {"organisation_id": organisation, "created_at": now}
                connection.execute(insert(projects).values(**values))
                for third in range(2):
                    user = new_id()
                    values = {"id": user, "email": f"{number}{other}{third}@example.org"}
                    values |= {"name": "", "is_admin": False, "created_at": now}
                    connection.execute(insert(users).values(**values))
                    owners.append((organisation, project, user))
    queue = Queue(database)
    began = time.perf_counter()
    for first in range(0, count, REQUEST_JOBS):
        organisation, project, user = owners[first // REQUEST_JOBS % len(owners)]
        names = [f"job {number}" for number in range(first, min(count, first + REQUEST_JOBS))]
        queue.submit(
            [
                NewJob(name=name, family="mini", document={"name": name}, need_seconds=5.0)
                for name in names
            ],
            organisation_id=organisation,
            project_id=project,
            user_id=user,
        )
    return count / (time.perf_counter() - began)


def work(url: str, claims: int, at_once: int, barrier: Barrier, spent: Any) -> None:
    """Claim and finish so many jobs, and add the processor seconds that it took."""
    database = Database(url)
    queue = Queue(database)
    worker = queue.register(
        NewWorker(
            host="here",
            process=0,
            executor="none",
            device_kind="cpu",
            device="cpu",
            memory_bytes=2**40,
        )
    )
    queue.workers()
    barrier.wait(WAIT_SECONDS)
    began, done = time.process_time(), 0
    while done < claims:
        for claim in queue.claim(worker, Capacity(jobs=min(at_once, claims - done))):
            if not queue.finish(claim, [], {"residues": 76}):
                raise SystemExit("a lease was lost")
            done += 1
    with spent.get_lock():
        spent.value += time.process_time() - began
    barrier.wait(WAIT_SECONDS)
    database.close()


def hand_out(url: str, claims: int, workers: int, at_once: int) -> tuple[float, float]:
    """Return the jobs that so many processes claim and finish a second, and a processor second."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers + 1)
    spent = context.Value("d", 0.0)
    each = claims // workers
    arguments = (url, each, at_once, barrier, spent)
    processes = [context.Process(target=work, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    barrier.wait(WAIT_SECONDS)
    began = time.perf_counter()
    barrier.wait(WAIT_SECONDS)
    seconds = time.perf_counter() - began
    for process in processes:
        process.join(WAIT_SECONDS)
        if process.exitcode:
            raise SystemExit(f"a worker ended with {process.exitcode}")
    return each * workers / seconds, each * workers / spent.value


def check(database: Database, expected: int) -> None:
    """Hold the books against what was done: each job once."""
    with database.read() as connection:
        done = connection.execute(
            select(func.count()).select_from(jobs).where(jobs.c.state == "done")
        ).scalar_one()
        lines = connection.execute(
            select(func.count(func.distinct(ledger.c.job_id)), func.count())
        ).one()
    if (done, *lines) != (expected, expected, expected):
        raise SystemExit(f"{expected} jobs were finished; the books have {done}, {lines}")


def measure(kind: str, count: int, claims: int, runs: int) -> dict[str, Any]:
    """Measure one kind of database."""
    submitted: list[float] = []
    rates: dict[tuple[int, int], list[tuple[float, float]]] = {}
    with databases(kind) as new_database:
        for workers in WORKERS:
            for at_once in AT_ONCE:
                for _ in range(runs):
                    url = new_database()
                    database = Database(url)
                    migrate.upgrade(database)
                    submitted.append(fill(database, count))
                    rate = hand_out(url, claims, workers, at_once)
                    check(database, claims // workers * workers)
                    database.close()
                    rates.setdefault((workers, at_once), []).append(rate)
    return {
        "submitted_a_second": summary(submitted),
        "claimed_and_finished_a_second": [
            {
                "workers": workers,
                "claimed_at_once": at_once,
                **summary([second for second, _ in values]),
                "a_processor_second_of_the_workers": summary([spent for _, spent in values]),
            }
            for (workers, at_once), values in rates.items()
        ],
    }


def summary(values: list[float]) -> dict[str, Any]:
    """Give the median and every value."""
    return {
        "median": round(statistics.median(values)),
        "values": [round(value) for value in values],
    }


def main() -> None:
    """Measure both databases and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--claims", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    default_output = ROOT / "benchmarks" / "results" / "queue.json"
    parser.add_argument("--output", type=Path, default=default_output)
    options = parser.parse_args()
    began = {**provenance(), "load_average": os.getloadavg()}
    results = {
        kind: measure(kind, options.jobs, options.claims, options.runs)
        for kind in options.databases
    }
    values = {"jobs_waiting": options.jobs, "claims": options.claims, "runs": options.runs}
    write_record(options.output, "queue", {**values, "results": results}, began=began)
    for kind, result in results.items():
        print(f"{kind:<12}submitted         {result['submitted_a_second']['median']:>6} a second")
        for one in result["claimed_and_finished_a_second"]:
            how = f"{one['workers']} workers, {one['claimed_at_once']:>2} at once"
            each = one["a_processor_second_of_the_workers"]["median"]
            print(f"{'':<12}{how:<22}{one['median']:>5} a second, {each:>5} a processor second")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
