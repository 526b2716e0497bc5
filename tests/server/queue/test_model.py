"""The queue against a small model of it: any operations in any order, and the books agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from itda.server.database import tables
from itda.server.errors import ConflictError
from itda.server.queue.ledger import OUTCOMES
from itda.server.queue.records import Capacity, Claim, Priority

from .lab import BEGIN, Lab, file

LEASE_SECONDS = 60.0
MOST_CRASHES = 2
TOLD = ("finish", "fail", "stopped", "crashed", "crashed", "record")
ENDS = ("done", "failed", "cancelled")


@dataclass
class Known:
    """A job as the model has it."""

    state: str = "queued"
    attempts: int = 0
    crashes: int = 0
    to_cancel: bool = False
    lease: str = ""
    expires_at: float = 0.0
    not_before: float = 0.0
    lines: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def end(self, state: str, line: str) -> None:
        self.state, self.lease = state, ""
        self.lines[line] += 1
        self.ended += state in ENDS


class Model:
    def __init__(self, lab):
        self.lab = lab
        self.lab.now = BEGIN
        with self.lab.database.write() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(table.delete())
        self.people = [self.lab.person(name) for name in ("kim", "lee")]
        self.workers = [self.lab.worker() for _ in range(2)]
        self.jobs: dict[str, Known] = {}
        self.claims: list[tuple[str, Claim]] = []
        self.drained = False
        self.submit(0, 3)
        self.submit(1, 2)

    # Operations ----------------------------------------------------------------------------------

    def submit(self, first, second):
        person, priority = self.people[first % 2], Priority(second % 3)
        made = self.lab.submit(person, *"abc"[: 1 + second // 3], priority=priority)
        for job in made:
            self.jobs[job.id] = Known()

    def wait(self, first, _second):
        self.lab.now += (0.5, 1.0, 2.0, 5.0, 59.0, 61.0)[first]

    def claim(self, first, second):
        worker, count, now = first % 2, 1 + second // 2, self.lab.now
        claims = self.lab.queue.claim(self.workers[worker], Capacity(jobs=count))
        ready = [one for one in self.jobs.values() if one.state == "queued"]
        ready = [one for one in ready if one.not_before <= now]
        assert bool(claims) == (bool(ready) and not self.drained)
        assert len(claims) <= count
        for claim in claims:
            known = self.jobs[claim.job.id]
            assert known in ready
            known.state, known.lease = "running", claim.lease_id
            known.attempts += 1
            known.expires_at = now + LEASE_SECONDS
            assert claim.attempt == known.attempts
            self.claims.append((self.workers[worker], claim))

    def tell(self, first, second):
        """A worker tells of one of the last claims, which it may have lost."""
        if self.claims:
            _, claim = self.claims[-1 - first % len(self.claims)]
            self.told(claim, TOLD[second])

    def work(self, first, second):
        before = len(self.claims)
        self.claim(first, first)
        for _, claim in self.claims[before:]:
            self.told(claim, TOLD[second])

    def told(self, claim, how):
        known = self.jobs[claim.job.id]
        holds = known.lease == claim.lease_id
        queue = self.lab.queue
        told = {
            "finish": lambda: queue.finish(claim, [file("structure")], {"ptm": 0.5}),
            "fail": lambda: queue.fail(claim, {"kind": "K", "problem": "p", "hint": "h"}),
            "stopped": lambda: queue.stopped(claim),
            "crashed": lambda: queue.crashed(claim, "log"),
            "record": lambda: queue.record(claim, [{"event": "stage_started", "stage": "s"}]),
        }[how]()
        assert told == holds
        if not holds or how == "record":
            return
        if how == "finish":
            known.end("done", "done")
        elif how == "fail":
            known.end("failed", "failed")
        elif how == "crashed":
            self.crash(known)
        elif known.to_cancel:
            known.end("cancelled", "cancelled")
        else:
            known.end("queued", "returned")
            known.not_before = self.lab.now

    def crash(self, known):
        known.crashes += 1
        if known.to_cancel:
            known.end("cancelled", "cancelled")
        elif known.crashes >= MOST_CRASHES:
            known.end("failed", "set_aside")
        else:
            known.end("queued", "crashed")
            known.not_before = self.lab.now + 2.0 ** (known.crashes - 1)

    def beat(self, first, _second):
        worker = first % 2
        mine = [claim for owner, claim in self.claims if owner == self.workers[worker]]
        beat = self.lab.queue.beat(self.workers[worker], [claim.lease_id for claim in mine])
        held = [one for one in mine if self.jobs[one.job.id].lease == one.lease_id]
        assert beat.kept == {one.lease_id for one in held}
        assert beat.lost == {one.lease_id for one in mine} - beat.kept
        assert beat.cancelled == {one.lease_id for one in held if self.jobs[one.job.id].to_cancel}
        assert beat.draining == self.drained
        for one in held:
            self.jobs[one.job.id].expires_at = self.lab.now + LEASE_SECONDS

    def reap(self, _first, _second):
        late = [
            one
            for one in self.jobs.values()
            if one.state == "running" and one.expires_at < self.lab.now
        ]
        assert self.lab.queue.reap() == len(late)
        for one in late:
            self.crash(one)

    def worker_dies(self, first, _second):
        worker = first % 2
        key = self.workers[worker]
        mine = {claim.lease_id for owner, claim in self.claims if owner == key}
        held = [one for one in self.jobs.values() if one.lease and one.lease in mine]
        assert self.lab.queue.worker_died(key, "signal 9") == len(held)
        for one in held:
            self.crash(one)
        self.workers[worker] = self.lab.worker()

    def cancel(self, first, second):
        key = sorted(self.jobs)[(6 * first + second) % len(self.jobs)]
        known = self.jobs[key]
        if known.state in ("done", "failed"):
            with pytest.raises(ConflictError):
                self.lab.queue.cancel(key)
            return
        self.lab.queue.cancel(key)
        if known.state == "queued":
            known.state = "cancelled"
            known.ended += 1
        known.to_cancel = known.state == "running"

    def retry(self, first, second):
        key = sorted(self.jobs)[(6 * first + second) % len(self.jobs)]
        known = self.jobs[key]
        if known.state not in ("failed", "cancelled"):
            with pytest.raises(ConflictError):
                self.lab.queue.retry(key)
            return
        self.lab.queue.retry(key)
        known.state, known.crashes, known.to_cancel, known.not_before = "queued", 0, False, 0.0
        known.ended = 0

    def drain(self, first, _second):
        self.drained = first == 0
        self.lab.queue.drain(self.drained)

    # What is always so ---------------------------------------------------------------------------

    def the_books_agree(self):
        with self.lab.database.read() as connection:
            rows = {row.id: row for row in connection.execute(select(tables.jobs))}
            held = {row.job_id: row for row in connection.execute(select(tables.leases))}
            lines = connection.execute(select(tables.ledger)).all()
            outputs = Counter(
                connection.execute(
                    select(tables.job_files.c.job_id).where(
                        tables.job_files.c.direction == "output"
                    )
                ).scalars()
            )
        assert rows.keys() == self.jobs.keys()
        books = {key: Counter() for key in self.jobs}
        for line in lines:
            books[line.job_id][line.outcome] += 1
        for key, known in self.jobs.items():
            row = rows[key]
            assert (row.state, row.attempts, row.crashes) == (
                known.state, known.attempts, known.crashes,
            )  # fmt: skip
            assert (key in held) == (known.state == "running")
            assert key not in held or held[key].lease_id == known.lease
            assert books[key] == known.lines
            # One line for each lease that has ended, and one end at most.
            assert sum(books[key].values()) == known.attempts - (key in held)
            assert known.ended == (known.state in ENDS)
            assert outputs[key] == (known.state == "done")
            assert (row.finished_at is not None) == (known.state in ENDS)
            assert (row.error is not None) == (known.state == "failed")


OPERATIONS = st.tuples(
    st.sampled_from(
        [
            Model.submit, Model.wait, Model.claim, Model.tell, Model.tell, Model.work, Model.work,
            Model.beat, Model.reap, Model.worker_dies, Model.cancel, Model.retry, Model.drain,
        ]
    ),
    st.integers(0, 5),
    st.integers(0, 5),
)  # fmt: skip


def test_the_queue_is_as_its_model(database):
    lab, seen = Lab(database, lease_seconds=LEASE_SECONDS, most_crashes=MOST_CRASHES), Counter()

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(OPERATIONS, min_size=30, max_size=60))
    def check(operations):
        model = Model(lab)
        for operation, first, second in operations:
            operation(model, first, second)
            model.the_books_agree()
        for known in model.jobs.values():
            seen.update(known.lines)

    check()
    # Everything that can become of a claim was seen.
    assert set(OUTCOMES) <= set(seen), seen
