"""Clients that submit, workers that work, and a hand that kills both at random.

python -m tests.server.chaos.chaos --jobs 10000 --kills 50
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import itda
from itda.bench.record import provenance, write_record
from itda.errors import ItdaError
from itda.server.accounts.accounts import Accounts
from itda.server.artefacts import Artefacts
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.errors import ConflictError

from .books import problems, totals, unfinished
from .roles import settings_of

ROOT = Path(__file__).parents[3]
SEQUENCE = "MQIFVKTLTGKTITLEVEPSD"
FAILS_EVERY = 97
CANCEL_SHARE = 0.01
STARTING_SECONDS = 20.0


@dataclass
class Chaos:
    """A server and workers that are started again whenever they are killed."""

    home: Path
    database_url: str
    workers: int = 4
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started_at: dict[str, float] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.database = Database(self.database_url)
        migrate.upgrade(self.database)
        accounts = Accounts(self.database)
        owner = accounts.ensure_owner()
        self.token, _ = accounts.tokens.create(owner.user.id, "chaos", ["read", "submit"])
        self.artefacts = Artefacts(self._settings.artefact_folder, self.database)

    @property
    def _settings(self) -> Any:
        return settings_of(self.home, self.database_url, self.port)

    def start(self) -> None:
        for name in ("server", *(f"worker {number}" for number in range(self.workers))):
            self._start(name)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=1.0)
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not start: {self.log('server')}")

    def _start(self, name: str) -> None:
        role = name.split()[0]
        command = [sys.executable, "-m", "tests.server.chaos.roles", role, str(self.home)]
        command += [self.database_url, str(self.port)]
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self.started_at[name] = time.monotonic()

    def was_starting(self, name: str) -> bool:
        """Whether a process, started again late, may not yet have heard of signals."""
        return time.monotonic() - self.started_at[name] < STARTING_SECONDS

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()[-3000:]

    def kill_one(self) -> None:
        name = random.choice(sorted(self.processes))
        self.processes[name].kill()
        self.processes[name].wait()
        role = name.split()[0]
        self.kills[role] = self.kills.get(role, 0) + 1
        self._start(name)

    def restart_dead(self) -> None:
        """A process that ended by itself is a fault, and is started again so that the test ends."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.refused.append(f"{name} ended with {process.returncode}: {self.log(name)}")
                self._start(name)

    def submit_all(self, number: int, jobs: int, batch: int) -> None:
        """One client: it tries each submission under its key until it is answered."""
        url = f"http://127.0.0.1:{self.port}"
        with itda.Client(url, self.token, timeout=10.0) as client:
            for start in range(0, jobs, batch):
                names = [f"c{number}_{place}" for place in range(start, min(start + batch, jobs))]
                names = [
                    f"{name}_fails" if int(name.split("_")[1]) % FAILS_EVERY == 5 else name
                    for name in names
                ]
                text = "".join(f">{name}\n{SEQUENCE}\n" for name in names)
                answer = self._until_answered(
                    lambda text=text, start=start: client.submit(
                        text, family="mini", idempotency_key=f"{number}-{start}"
                    )
                )
                keys = [job.id for job in answer.jobs]
                with self._lock:
                    self.submitted += keys
                for key in keys:
                    if random.random() < CANCEL_SHARE:
                        self._until_answered(lambda key=key: self._cancel(client, key))

    @staticmethod
    def _cancel(client: Any, key: str) -> None:
        try:
            client.cancel(key)
        except ItdaError as error:
            if "ended already" not in str(error):
                raise

    def _until_answered(self, ask: Any) -> Any:
        deadline = time.monotonic() + 300
        while True:
            try:
                return ask()
            except ConflictError:
                raise
            except Exception as error:
                if time.monotonic() > deadline:
                    with self._lock:
                        self.refused.append(repr(error))
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.database.close()


def run(
    home: Path,
    database_url: str,
    *,
    jobs: int,
    kills: int,
    clients: int = 8,
    workers: int = 4,
    batch: int = 25,
    kill_every: float = 2.0,
    limit_seconds: float = 600.0,
) -> dict[str, Any]:
    """Run it and return what came of it; `problems` is empty where the books are right."""
    home.mkdir(parents=True, exist_ok=True)
    chaos = Chaos(home, database_url, workers)
    began = time.monotonic()
    try:
        chaos.start()
        share = jobs // clients
        counts = [share + (number < jobs % clients) for number in range(clients)]
        threads = [
            threading.Thread(target=chaos.submit_all, args=(number, count, batch), daemon=True)
            for number, count in enumerate(counts)
        ]
        for thread in threads:
            thread.start()
        killed, late = 0, began + limit_seconds
        while time.monotonic() < late:
            time.sleep(kill_every * random.uniform(0.5, 1.5) if killed < kills else 0.5)
            chaos.restart_dead()
            if killed < kills:
                chaos.kill_one()
                killed += 1
            elif not any(thread.is_alive() for thread in threads) and not unfinished(
                chaos.database
            ):
                break
        seconds = time.monotonic() - began
        for process in chaos.processes.values():
            process.terminate()
        statuses = {name: process.wait(60) for name, process in chaos.processes.items()}
        found = problems(chaos.database, chaos.artefacts, chaos.submitted)
        found += [
            f"{name} ended with {code}"
            for name, code in statuses.items()
            if code and not (code == -signal.SIGTERM and chaos.was_starting(name))
        ]
        return {
            "jobs": jobs,
            "clients": clients,
            "workers": workers,
            "kills": chaos.kills,
            "seconds": round(seconds, 1),
            "problems": found + chaos.refused,
            **{"books": totals(chaos.database)},
        }
    finally:
        chaos.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", default="sqlite", help="sqlite or postgresql")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    commit = provenance()
    folder = Path(tempfile.mkdtemp(prefix="itda-chaos-"))
    server = None
    if arguments.database == "sqlite":
        url = f"sqlite:///{folder / 'itda.db'}"
    else:
        from tests.server.postgres import Postgres, find_programs

        programs = find_programs()
        assert programs is not None, "PostgreSQL is not installed"
        server = Postgres(programs)
        url = server.new_database()
    try:
        result = run(folder, url, jobs=arguments.jobs, kills=arguments.kills)
    finally:
        if server is not None:
            server.stop()
    result["database"] = arguments.database
    print(json.dumps(result, indent=1))
    if arguments.out:
        write_record(arguments.out, "chaos", result, began=commit)
    if not result["problems"]:
        shutil.rmtree(folder)
    sys.exit(1 if result["problems"] else 0)


if __name__ == "__main__":
    main()
