"""Jobs on Ray with the shipped weights, of which a process or a node is killed: is every job done?

Twice the same jobs: on a local cluster with two processes, of which one that folds is killed, and
on two Ray nodes of this machine, of which the second is killed with all its processes as it folds.
The queue, the server and the worker are the real ones. Then the books are held against the jobs:
each done, with one such line in the ledger, no lease held, no file of a job missing, damaged or
without a job.

    python benchmarks/ray_cluster.py [--jobs 40] [--output FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import ray
from sqlalchemy import func, select

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import provenance, write_record
from itda.remote.client import Client
from itda.server.artefacts import Artefacts
from itda.server.database.database import Database
from itda.server.database.tables import jobs, leases, ledger
from itda.server.settings import ServerSettings

ITDA = (sys.executable, "-m", "itda")
RAY = (sys.executable, "-m", "ray.scripts.scripts")
FEWEST, MOST = 30, 120
FOLDS = "ray::itda"
"""How Ray titles a process while it has a task of Itda."""
WAIT_SECONDS = 900.0


class Site:
    """A server without workers of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **os.environ,
            "ITDA_HOME": str(folder),
            "ITDA_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        for name in ("ITDA_DATABASE", "ITDA_CLUSTER", "RAY_ADDRESS"):
            self.environment.pop(name, None)
        self.settings = ServerSettings(home=folder / "server")
        self.log = folder / "worker.log"
        self.running: list[subprocess.Popen[Any]] = []

    def start(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(command, env=self.environment, **options)
        self.running.append(process)
        return process

    def serve(self) -> Client:
        """Start the server; return a client of its owner."""
        command = (*ITDA, "serve", "--port", "0", "--no-browser", "--cluster", "none")
        server = self.start(*command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if "http" in word)
        scopes = ("--scope", "read", "--scope", "submit")
        made = subprocess.run(
            [*ITDA, "accounts", "token", "create", "owner@localhost", *scopes],
            env=self.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return Client(url, made.stdout.split()[0])

    def work(self, where: str) -> subprocess.Popen[Any]:
        """Start a worker that folds two jobs at a time, each for itself."""
        with self.log.open("w") as log:
            command = (*ITDA, "worker", "--ray", where, "--jobs", "2", "--batch", "1")
            return self.start(*command, stderr=log, stdout=log)

    def states(self) -> Counter[str]:
        database = Database(self.settings.database_url)
        with database.read() as connection:
            found = Counter(connection.execute(select(jobs.c.state)).scalars())
        database.close()
        return found

    def stop(self) -> None:
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    kill([psutil.Process(process.pid), *descendants(process)])


def descendants(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    try:
        return list(psutil.Process(process.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def that_fold(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """Find the processes below one that have a task at this moment."""
    found = []
    for one in descendants(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            if " ".join(one.cmdline()).startswith(FOLDS):
                found.append(one)
    return found


def kill(processes: list[psutil.Process]) -> None:
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {WAIT_SECONDS:.0f} s")
        time.sleep(0.05)
    return found


def sequences(count: int) -> str:
    """Write as many different sequences of 30 to 120 residues, the same each time."""
    chance = random.Random(11)
    lines = []
    for number in range(count):
        length = FEWEST + number * (MOST - FEWEST) // max(1, count - 1)
        lines += [f">job_{number}", "".join(chance.choices("ACDEFGHIKLNPQRSTVWY", k=length))]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def local(site: Site) -> Iterator[tuple[str, Callable[[subprocess.Popen[Any]], int]]]:
    """A cluster of the worker's own; one process that folds is killed."""

    def strike(worker: subprocess.Popen[Any]) -> int:
        victims = wait_until(lambda: that_fold(worker), "a process that folds")[:1]
        kill(victims)
        return len(victims)

    yield "local", strike


@contextlib.contextmanager
def two_nodes(site: Site) -> Iterator[tuple[str, Callable[[subprocess.Popen[Any]], int]]]:
    """Two nodes with a core each; the second is killed with all its processes."""
    token = site.settings.home.parent / "token"
    token.write_text(secrets.token_hex(32))
    site.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    common = ("--num-cpus=1", "--object-store-memory=100000000", "--block")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    head = ("--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false")
    site.start(*RAY, "start", *head, *common, **quiet)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(answers, "the first node")
    joins = (f"--address={address}", "--node-ip-address=127.0.0.1")
    second = site.start(*RAY, "start", *joins, *common, **quiet)

    def strike(_worker: subprocess.Popen[Any]) -> int:
        wait_until(lambda: that_fold(second), "a process that folds on the second node")
        victims = descendants(second)
        kill([psutil.Process(second.pid), *victims])
        return 1 + len(victims)

    wait_until(
        lambda: any("raylet" in one.name() for one in descendants(second)), "the second node"
    )
    yield address, strike


def books(site: Site, count: int) -> dict[str, Any]:
    """Hold the books against the jobs and the files."""
    database = Database(site.settings.database_url)
    files = Artefacts(site.settings.artefact_folder, database)
    with database.read() as connection:
        states = Counter(connection.execute(select(jobs.c.state)).scalars())
        outcomes = Counter(connection.execute(select(ledger.c.outcome)).scalars())
        done = select(ledger.c.job_id).where(ledger.c.outcome == "done")
        lines = Counter(connection.execute(done).scalars())
        held = connection.execute(select(func.count()).select_from(leases)).scalar_one()
        crashes = connection.execute(select(func.sum(jobs.c.crashes))).scalar_one()
    found = {
        "jobs": dict(states),
        "ledger": dict(outcomes),
        "jobs_done_once": sum(number == 1 for number in lines.values()),
        "deaths_counted": int(crashes),
        "leases_held": held,
        "files_without_a_job": len(list(files.unnamed())),
        "files_missing_or_damaged": len(list(files.verify())),
    }
    database.close()
    wrong = [
        name
        for name in ("leases_held", "files_without_a_job", "files_missing_or_damaged")
        if found[name]
    ]
    if states != {"done": count} or outcomes["done"] != count or found["jobs_done_once"] != count:
        wrong.append("jobs")
    if outcomes.total() == count:
        wrong.append("no attempt was cut short: nothing was shown")
    return {**found, "wrong": wrong}


def run(cluster: Callable[..., Any], count: int) -> dict[str, Any]:
    """Do all jobs on a cluster, of which a part is killed once a fifth is done."""
    with tempfile.TemporaryDirectory(prefix="itda-ray-") as folder:
        site = Site(Path(folder))
        try:
            client = site.serve()
            submitted = client.submit(sequences(count), family="mini")
            if len(submitted.jobs) != count:
                raise SystemExit(f"{len(submitted.jobs)} of {count} jobs were taken")
            with cluster(site) as (where, strike):
                began = time.perf_counter()
                worker = site.work(where)
                wait_until(lambda: site.states()["done"] >= count // 5, "the first jobs")
                killed, done_before = strike(worker), site.states()["done"]
                wait_until(
                    lambda: sum(site.states()[end] for end in ("done", "failed")) == count,
                    f"all jobs ({site.log.read_text()[-2000:]})",
                )
                seconds = time.perf_counter() - began
                worker.send_signal(signal.SIGTERM)
                status = worker.wait(60)
            found = books(site, count)
        finally:
            site.stop()
    return {
        "done_before_the_kill": done_before,
        "processes_killed": killed,
        "seconds": round(seconds, 1),
        "worker_status": status,
        **found,
    }


def main() -> None:
    """Run both clusters and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "ray_cluster.json"
    )
    options = parser.parse_args()
    began = {**provenance(), "load_average": os.getloadavg()}
    results = {
        "local cluster, a process killed": run(local, options.jobs),
        "two nodes, the second killed": run(two_nodes, options.jobs),
    }
    values = {"ray": ray.__version__, "jobs": options.jobs, "residues": [FEWEST, MOST]}
    write_record(options.output, "ray_cluster", {**values, "results": results}, began=began)
    for name, result in results.items():
        print(f"{name}: {result}")
    print(f"written to {options.output}")
    if any(result["wrong"] for result in results.values()):
        raise SystemExit("the books are wrong")


if __name__ == "__main__":
    main()
