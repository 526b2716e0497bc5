"""Many at the same time: nobody gets what another has, nothing waits for ever, all adds up."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter

import pytest
from sqlalchemy import select

from itda.server.database import tables
from itda.server.errors import ConflictError, NotFoundError
from itda.server.queue.queue import Queue
from itda.server.queue.records import Capacity, Priority, State

from .lab import file, new_job
from .test_submit import in_threads

SECONDS = 3.0
LEAST = 10
"""Claims to be made, however long a busy machine takes."""
THREADS = 8


def test_no_two_workers_get_the_same_job(lab):
    people = [lab.person(name) for name in ("kim", "lee", "park")]
    for person in people:
        lab.submit(person, *(f"job {number}" for number in range(40)))

    def take(worker, jobs):
        taken = []
        while claims := lab.queue.claim(worker, Capacity(jobs=jobs)):
            taken += [claim.job.id for claim in claims]
        return taken

    workers = [(lab.worker(), number % 3 + 1) for number in range(THREADS)]
    found = in_threads(*(lambda one=one: take(*one) for one in workers))
    taken = Counter(job_id for one in found for job_id in one)
    assert max(taken.values()) == 1
    assert lab.count(tables.leases) == len(taken)
    # On PostgreSQL a worker passes over what another is just taking, and may find no more.
    for worker, jobs in workers:
        taken.update(take(worker, jobs))
    assert len(taken) == 120 and max(taken.values()) == 1


def test_two_ends_of_one_lease(lab):
    """A worker that was given up comes back just when its job is given away."""
    kim, worker = lab.person(), lab.worker()
    for number in range(15):
        (job,) = lab.submit(kim, f"job {number}")
        claim = lab.claim(worker)
        lab.now += 61
        ended = in_threads(
            lambda: lab.queue.finish(claim, [file("structure")], {}),  # noqa: B023
            lambda: lab.queue.reap() == 1,
            lambda: lab.queue.fail(claim, {"kind": "K", "problem": "p"}),  # noqa: B023
            lambda: lab.queue.worker_died(worker, "log") == 1,
            lambda: lab.queue.record(claim, [{"event": "note"}]) and False,  # noqa: B023
        )
        assert sorted(map(str, ended)) == ["False"] * 4 + ["True"]
        assert len(lab.ledger(job.id)) == 1
        if lab.queue.job(job.id).state is State.QUEUED:
            lab.queue.cancel(job.id)
    assert lab.count(tables.leases) == 0


@pytest.mark.parametrize("quotas", [False, True])
def test_everything_at_the_same_time(lab, quotas):
    people = [lab.person(name, weight=weight) for name, weight in (("kim", 1.0), ("lee", 2.0))]
    people.append(
        lab.person(
            "park", organisation_id=people[0].organisation_id, project_id=people[0].project_id
        )
    )
    if quotas:
        for person in people[:2]:
            lab.queue.set_quota("project", person.project_id, "cpu", 1e7, "day")
            lab.queue.set_quota("user", person.user_id, "cpu", 1e7, "month")
    queue = Queue(lab.database, clock=time.time, lease_seconds=0.15, most_crashes=3)
    ends = time.monotonic() + SECONDS
    problems, submitted, claimed = [], [], []

    def submit(chance):
        names = [f"{chance.random():.6f}" for _ in range(chance.choice((1, 1, 6)))]
        inputs = tuple(file(str(number), number + 1) for number in chance.sample(range(9), 3))
        new = [new_job(name, inputs=inputs, need_seconds=0.01) for name in names]
        key = chance.choice((None, "a", "b"))
        try:
            made = queue.submit(
                new,
                **chance.choice(people).ids,
                priority=chance.choice(list(Priority)),
                idempotency_key=key and f"{key}{chance.randrange(5)}",
            )
        except ConflictError:
            return
        submitted.extend(job.id for job in made)

    def work(chance, worker):
        claims = queue.claim(worker, Capacity(jobs=chance.choice((1, 4))))
        claimed.extend(claims)
        queue.beat(worker, [claim.lease_id for claim in claims])
        for claim in claims:
            queue.record(
                claim,
                [{"event": "stage_started", "stage": one} for one in chance.sample("abc", 2)],
            )
            if chance.random() < 0.02:
                time.sleep(0.3)  # and is given up
            outputs = [file(str(number), number + 1) for number in chance.sample(range(9), 3)]
            chance.choice(
                [
                    lambda: queue.finish(claim, outputs, {"ptm": 0.5}),  # noqa: B023
                    lambda: queue.finish(claim, outputs, {"ptm": 0.5}),  # noqa: B023
                    lambda: queue.fail(claim, {"kind": "K", "problem": "p"}),  # noqa: B023
                    lambda: queue.stopped(claim),  # noqa: B023
                    lambda: queue.crashed(claim, "log"),  # noqa: B023
                ]
            )()

    def meddle(chance):
        queue.reap()
        if not submitted:
            return
        job_id = chance.choice(submitted)
        with contextlib.suppress(ConflictError, NotFoundError):
            chance.choice((queue.cancel, queue.cancel, queue.retry, queue.remove))(job_id)

    def loop(number):
        chance, worker = random.Random(number), lab.worker()
        try:
            while (time.monotonic() < ends or len(claimed) <= LEAST) and not problems:
                if number < 2:
                    submit(chance)
                elif number < 3:
                    meddle(chance)
                else:
                    work(chance, worker)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    time.sleep(0.2)
    queue.reap()
    assert lab.count(tables.leases) == 0
    with lab.database.read() as connection:
        rows = connection.execute(select(tables.jobs)).all()
        lines = connection.execute(select(tables.ledger)).all()
        running = connection.execute(
            select(tables.stages.c.job_id).where(tables.stages.c.state == "running")
        ).all()
        charged = dict(
            connection.execute(select(tables.shares.c.owner_id, tables.shares.c.usage)).all()
        )
    assert rows
    assert len(lines) > LEAST
    assert running == []
    per_job = Counter(line.job_id for line in lines)
    for row in rows:
        assert row.state != "running"
        # Every claim has its line in the books, and none has two.
        assert per_job[row.id] == row.attempts
    for person in people[:2]:
        spent = sum(line.device_seconds for line in lines if line.project_id == person.project_id)
        assert charged.get(person.project_id, 0.0) == pytest.approx(spent, rel=1e-3)
