"""An institute's days in seconds: workers, demand, and a clock that jumps to what happens next.

Only time is simulated; who is next is decided by the queue that a server has.

    python -m tests.server.queue.simulation [HOURS]

writes what was measured to benchmarks/results/fair_shares.json.
"""

from __future__ import annotations

import heapq
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from itda.bench.record import SOURCE, provenance, write_record
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import jobs, ledger
from itda.server.queue.records import Capacity, Claim, NewJob

from .lab import Lab, Person

HOUR = 3600.0
WORKERS = 4


@dataclass(frozen=True)
class Demand:
    """What one user submits, and how long it takes.

    Attributes:
        person: Who.
        jobs: Of each submission.
        every_seconds: Between two submissions.
        seconds: Shortest and longest that the plan predicts.
        truth: What a job takes, for each second that was predicted: least and most.
        until: No submission after that time, in seconds from the beginning.
    """

    person: Person
    jobs: int
    every_seconds: float
    seconds: tuple[float, float]
    truth: tuple[float, float] = (1.0, 1.0)
    until: float = float("inf")


@dataclass
class Simulation:
    """Workers that take jobs until a time is over."""

    lab: Lab
    demands: Sequence[Demand]
    workers: int = WORKERS
    seed: int = 0

    def __post_init__(self) -> None:
        self.begin = self.lab.now
        self.random = random.Random(self.seed)
        self.idle = [self.lab.worker() for _ in range(self.workers)]
        self.running: list[Claim] = []
        self._order = 0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []

    def run(self, seconds: float) -> None:
        for demand in self.demands:
            self._at(self.begin, lambda demand=demand: self._arrive(demand))  # type: ignore[misc]
        while self._coming and self._coming[0][0] <= self.begin + seconds:
            self.lab.now = self._coming[0][0]
            while self._coming and self._coming[0][0] <= self.lab.now:
                heapq.heappop(self._coming)[2]()
            self._take()

    def close(self) -> None:
        """End what runs."""
        for claim in self.running:
            assert self.lab.queue.stopped(claim)

    def used(self, column: str, begins: float = 0.0) -> dict[str, float]:
        """The device seconds in the ledger, by a column of it."""
        by = ledger.c[column]
        query = select(by, func.sum(ledger.c.device_seconds)).group_by(by)
        query = query.where(ledger.c.started_at >= self.begin + begins)
        with self.lab.database.read() as connection:
            return {key: float(seconds) for key, seconds in connection.execute(query)}

    def waiting(self) -> dict[str, int]:
        """The jobs of each user that wait."""
        query = select(jobs.c.user_id, func.count()).group_by(jobs.c.user_id)
        with self.lab.database.read() as connection:
            rows = connection.execute(query.where(jobs.c.state == "queued"))
            return {key: int(count) for key, count in rows}

    def _at(self, time: float, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._coming, (time, self._order, what))

    def _arrive(self, demand: Demand) -> None:
        new = []
        for number in range(demand.jobs):
            seconds = self.random.uniform(*demand.seconds)
            document = {"seconds": seconds * self.random.uniform(*demand.truth)}
            new.append(
                NewJob(name=str(number), family="mini", document=document, need_seconds=seconds)
            )
        self.lab.queue.submit(new, **demand.person.ids)
        following = self.lab.now + demand.every_seconds
        if following - self.begin < demand.until:
            self._at(following, lambda: self._arrive(demand))

    def _take(self) -> None:
        while self.idle:
            claims = self.lab.queue.claim(self.idle[-1], Capacity())
            if not claims:
                return
            worker, claim = self.idle.pop(), claims[0]
            self.running.append(claim)
            ends = self.lab.now + claim.job.document["seconds"]
            self._at(ends, lambda w=worker, c=claim: self._finish(w, c))  # type: ignore[misc]

    def _finish(self, worker: str, claim: Claim) -> None:
        assert self.lab.queue.finish(claim, [], {})
        self.running.remove(claim)
        self.idle.append(worker)


def deviations(used: dict[str, float], weights: dict[str, float]) -> dict[str, float]:
    """How far each share is from its weight's, as a part of it."""
    total, weight = sum(used.values()), sum(weights.values())
    return {key: used.get(key, 0.0) / total / (weights[key] / weight) - 1 for key in weights}


def three_projects(lab: Lab) -> tuple[list[Demand], dict[str, float]]:
    """Projects of weights 1, 1 and 2 whose jobs, arrivals and predictions are unlike."""
    long = lab.person("long")
    short = lab.person("short", organisation_id=long.organisation_id)
    mixed = lab.person("mixed", organisation_id=long.organisation_id, weight=2.0)
    demands = [
        # All at once, long, and longer than was predicted.
        Demand(long, 200, 24 * HOUR, (300.0, 900.0), truth=(1.0, 2.0)),
        # Every ten minutes, short, and shorter than was predicted.
        Demand(short, 15, 600.0, (60.0, 180.0), truth=(0.5, 1.0)),
        # Every two hours, of all lengths.
        Demand(mixed, 120, 2 * HOUR, (30.0, 600.0), truth=(0.5, 1.5)),
    ]
    weights = {long.project_id: 1.0, short.project_id: 1.0, mixed.project_id: 2.0}
    return demands, weights


def users_of_a_project(lab: Lab) -> tuple[list[Demand], dict[str, float]]:
    """Two users of one project; one has ten times as many jobs."""
    many = lab.person("many")
    few = lab.person(
        "few", organisation_id=many.organisation_id, project_id=many.project_id, user_weight=1.0
    )
    demands = [
        Demand(many, 400, 8 * HOUR, (60.0, 300.0)),
        Demand(few, 40, HOUR, (100.0, 600.0)),
    ]
    return demands, {many.user_id: 1.0, few.user_id: 1.0}


def organisations(lab: Lab) -> tuple[list[Demand], dict[str, float]]:
    """Organisations of weights 1 and 3; the lighter has more projects, of heavy weights."""
    light = lab.person("light")
    other = lab.person("other", organisation_id=light.organisation_id, weight=100.0)
    heavy = lab.person("heavy", organisation_weight=3.0)
    demands = [
        Demand(light, 100, 4 * HOUR, (60.0, 300.0)),
        Demand(other, 100, 4 * HOUR, (60.0, 300.0)),
        Demand(heavy, 100, 2 * HOUR, (100.0, 600.0)),
    ]
    return demands, {light.organisation_id: 1.0, heavy.organisation_id: 3.0}


SCENES = {
    "project_id": three_projects,
    "user_id": users_of_a_project,
    "organisation_id": organisations,
}
"""By the column of the ledger whose shares are looked at."""


def figures(lab: Lab, column: str, hours: float) -> Iterator[dict[str, float]]:
    demands, weights = SCENES[column](lab)
    simulation = Simulation(lab, demands)
    simulation.run(hours * HOUR)
    used = simulation.used(column)
    for key, deviation in deviations(used, weights).items():
        yield {
            "weight": weights[key],
            "device_hours": round(used[key] / HOUR, 2),
            "deviation_percent": round(100 * deviation, 2),
        }


def main() -> None:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 48.0
    began, found = provenance(), {}
    with tempfile.TemporaryDirectory() as folder:
        for column, scene in SCENES.items():
            database = Database(f"sqlite:///{Path(folder) / column}.db")
            migrate.upgrade(database)
            found[scene.__name__] = list(figures(Lab(database), column, hours))
            database.close()
    output = SOURCE / "benchmarks" / "results" / "fair_shares.json"
    values = {"hours": hours, "workers": WORKERS, "shares": found}
    write_record(output, "fair_shares", values, began=began)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
