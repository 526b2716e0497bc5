"""Memory that is short just now gives a job back; memory that there never is fails it."""

from __future__ import annotations

from itda.cost import predictor
from itda.cost.memory import Room
from itda.server.queue.records import State

from ...cluster.helpers import wait_until
from .jobs import at_work

SHORT = Room(1, "this machine has free", 10**12)
NEVER = Room(1, "this machine has free", 2)
ENOUGH = Room(10**12, "this machine has free", 10**12)


def test_a_job_waits_for_memory_that_others_hold(site, this_process, monkeypatch):
    monkeypatch.setattr(predictor, "ROOM_SECONDS", -1.0)
    there = [SHORT]
    monkeypatch.setattr(predictor, "room", lambda *_, **__: there[0])
    (job_id,) = site.submit("one")
    with at_work(site.worker(this_process)):
        wait_until(lambda: site.ledger(job_id)[:2] == ["returned", "returned"])
        there[0] = ENOUGH
        (job,) = site.wait([job_id])
    assert set(site.ledger(job_id)[:-1]) == {"returned"}
    assert job.crashes == 0


def test_a_job_that_never_fits_fails(site, this_process, monkeypatch):
    monkeypatch.setattr(predictor, "room", lambda *_, **__: NEVER)
    (job_id,) = site.submit("one")
    with at_work(site.worker(this_process)):
        (job,) = site.wait([job_id], State.FAILED)
    assert job.error["kind"] == "CapabilityError"
    assert "of memory" in job.error["problem"]
    assert site.ledger(job_id) == ["failed"]


def test_the_wait_grows_with_each_time_and_is_told(site, this_process, monkeypatch):
    monkeypatch.setattr(predictor, "room", lambda *_, **__: SHORT)
    waits = []
    real = site.queue.stopped

    def stopped(claim, *, wait_seconds, reason, **told):
        waits.append((wait_seconds, reason))
        return real(claim, wait_seconds=0.0, reason=reason, **told)

    site.queue.stopped = stopped
    site.submit("one")
    worker = site.worker(this_process, pause_seconds=1.0)
    monkeypatch.setattr(worker._pause, "lengthen", lambda: 0.0)
    with at_work(worker):
        wait_until(lambda: len(waits) >= 10)
    assert [wait for wait, _ in waits[:10]] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert "of memory" in waits[0][1]
    assert "attempt 10; the next comes after 5 min" in waits[9][1]
