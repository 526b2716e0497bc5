"""A job from queue to end, and what a worker may do whose lease is lost."""

from __future__ import annotations

import pytest

from itda.server.database.tables import events, leases, stages
from itda.server.errors import ConflictError
from itda.server.queue.records import Capacity, State

from .lab import file

FINISHED = {"event": "stage_finished", "stage": "search", "seconds": 2.5, "cached": True}


def test_a_job_is_claimed_and_finished(lab):
    kim, worker = lab.person(), lab.worker()
    (job,) = lab.submit(kim, "ubiquitin", inputs=(file("a.a3m", 7),))
    assert (job.state, job.attempts, job.revision) == (State.QUEUED, 0, 1)
    claim = lab.claim(worker)
    assert claim.job == lab.queue.job(job.id)
    assert claim.job.state is State.RUNNING and claim.job.started_at == lab.now
    assert claim.inputs == (file("a.a3m", 7),)
    assert (claim.attempt, claim.expires_at) == (1, lab.now + 60)
    lab.now += 5
    result = (file("structure", 2), file("report", 3), file("copy", 2))
    assert lab.queue.finish(claim, result, {"residues": 76, "ptm": 0.5})
    done = lab.queue.job(job.id)
    assert (done.state, done.fraction, done.finished_at) == (State.DONE, 1.0, lab.now)
    assert done.summary == {"residues": 76, "ptm": 0.5}
    assert done.revision > claim.job.revision
    assert {one.kind: one for one in lab.queue.files(job.id)} == {one.kind: one for one in result}
    assert lab.queue.files(job.id, "input") == [file("a.a3m", 7)]
    kinds = [event.kind for event in lab.queue.events(job.id)]
    assert kinds == ["job_queued", "job_claimed", "job_finished"]
    (line,) = lab.ledger(job.id)
    assert (line.outcome, line.device_seconds, line.device) == ("done", 5.0, "a cpu")
    assert lab.count(leases) == 0


def test_a_job_that_fails_says_why(lab):
    (job,) = lab.submit(lab.person())
    claim = lab.claim(lab.worker())
    error = {"kind": "InputError", "problem": "no such residue", "hint": "write X"}
    assert lab.queue.fail(claim, error)
    failed = lab.queue.job(job.id)
    assert (failed.state, failed.error) == (State.FAILED, error)
    assert [line.outcome for line in lab.ledger(job.id)] == ["failed"]
    assert lab.queue.events(job.id)[-1].data == error


def test_a_job_that_was_stopped_waits_again(lab):
    (job,) = lab.submit(lab.person())
    worker = lab.worker()
    first = lab.claim(worker)
    lab.now += 3
    assert lab.queue.stopped(first, wait_seconds=30, reason="the worker ends")
    waiting = lab.queue.job(job.id)
    assert (waiting.state, waiting.message) == (State.QUEUED, "the worker ends")
    assert waiting.crashes == 0
    assert lab.queue.claim(worker, Capacity()) == []
    lab.now += 30
    second = lab.claim(worker)
    assert (second.attempt, second.job.started_at) == (2, first.job.started_at)
    assert [line.outcome for line in lab.ledger()] == ["returned"]


def everything(lab, job_id):
    """All that a holder of a lease can change."""
    return (
        lab.queue.job(job_id),
        lab.queue.files(job_id),
        lab.queue.events(job_id),
        lab.queue.stages(job_id),
        lab.ledger(),
        lab.count(leases),
    )


@pytest.mark.parametrize("lost_by", ["reaped", "ended", "removed", "claimed again"])
def test_a_lost_lease_changes_nothing(lab, lost_by):
    (job,) = lab.submit(lab.person())
    worker = lab.worker()
    claim = lab.claim(worker)
    if lost_by in ("ended", "removed"):
        lab.queue.fail(claim, {"kind": "K", "problem": "p", "hint": "h"})
    else:
        lab.now += 61
        assert lab.queue.reap() == 1
    if lost_by == "claimed again":
        lab.now += 10
        again = lab.claim(lab.worker())
    if lost_by == "removed":
        lab.queue.remove(job.id)
    else:
        before = everything(lab, job.id)
    assert not lab.queue.record(claim, [FINISHED])
    assert not lab.queue.finish(claim, [file("structure")], {})
    assert not lab.queue.fail(claim, {"kind": "K", "problem": "p", "hint": "h"})
    assert not lab.queue.stopped(claim)
    assert not lab.queue.crashed(claim, "log")
    beat = lab.queue.beat(worker, [claim.lease_id])
    assert beat.lost == {claim.lease_id} and not beat.kept
    if lost_by == "removed":
        assert len(lab.ledger()) == 1 and lab.count(events) == 0
        return
    assert everything(lab, job.id) == before
    if lost_by == "claimed again":
        assert lab.queue.finish(again, [], {})
        assert [line.outcome for line in lab.ledger(job.id)] == ["crashed", "done"]


def test_a_beat_renews_only_ones_own_leases(lab):
    lab.submit(lab.person(), "a", "b")
    mine, other = lab.worker(), lab.worker()
    first, second = lab.claim(mine), lab.claim(other)
    lab.now += 50
    beat = lab.queue.beat(mine, [first.lease_id, second.lease_id])
    assert (beat.kept, beat.lost) == ({first.lease_id}, {second.lease_id})
    assert not beat.cancelled and not beat.draining
    lab.now += 50
    assert lab.queue.reap() == 1
    assert lab.queue.job(first.job.id).state is State.RUNNING
    assert lab.queue.job(second.job.id).state is State.QUEUED


def test_events_and_stages_are_written(lab):
    (job,) = lab.submit(lab.person())
    worker = lab.worker()
    claim = lab.claim(worker)
    told = [
        {"event": "stage_started", "stage": "search", "message": "jackhmmer", "job": "x"},
        {"event": "stage_progress", "stage": "search", "fraction": 0.5, "message": "half"},
    ]
    assert lab.queue.record(claim, told)
    running = lab.queue.job(job.id)
    assert (running.fraction, running.message) == (0.5, "half")
    (stage,) = lab.queue.stages(job.id)
    assert (stage.name, stage.state, stage.fraction, stage.position) == (
        "search",
        "running",
        0.5,
        1,
    )
    assert lab.queue.record(claim, [FINISHED, {"event": "stage_started", "stage": "predict"}])
    search, predict = lab.queue.stages(job.id)
    assert (search.state, search.seconds, search.cached) == ("done", 2.5, True)
    assert (predict.state, predict.position) == ("running", 2)
    seen = lab.queue.events(job.id)
    assert [one.kind for one in seen[2:]] == [
        "stage_started", "stage_progress", "stage_finished", "stage_started",
    ]  # fmt: skip
    assert "job" not in seen[2].data
    assert [one.id for one in lab.queue.events(job.id, after=seen[3].id)] == [
        one.id for one in seen[4:]
    ]
    assert lab.queue.events(job.id, limit=1) == seen[:1]
    # The next attempt goes on from there.
    assert lab.queue.stopped(claim)
    assert [one.state for one in lab.queue.stages(job.id)] == ["done", "stopped"]
    again = lab.claim(worker)
    lab.queue.record(again, [{"event": "stage_started", "stage": "predict"}])
    assert [(one.state, one.attempt) for one in lab.queue.stages(job.id)] == [
        ("done", 1), ("running", 2),
    ]  # fmt: skip
    assert lab.queue.fail(again, {"kind": "K", "problem": "p", "hint": "h"})
    assert lab.queue.stages(job.id)[1].state == "failed"


def test_what_cannot_be_stored_is_told_nevertheless(lab):
    (job,) = lab.submit(lab.person())
    claim = lab.claim(lab.worker())
    told = {"event": "stage_started" + "x" * 40, "stage": "s" * 99, "message": "a\0b\ud800"}
    assert lab.queue.record(claim, [told | {"value": float("nan")}])
    assert lab.queue.events(job.id)[-1].data["message"] == "a\ufffdb\ufffd"
    assert lab.queue.finish(claim, [], {"ptm": float("nan"), "note": "\0"})
    assert lab.queue.job(job.id).summary == {"ptm": None, "note": "\ufffd"}


def test_a_job_that_kills_workers_is_set_aside_with_its_log(lab):
    (job,) = lab.submit(lab.person())
    worker, waits = lab.worker(), []
    for attempt in (1, 2, 3):
        claim = lab.claim(worker)
        assert claim.attempt == attempt
        lab.now += 4
        assert lab.queue.crashed(claim, f"signal 9 \0 at {attempt}")
        waiting = lab.queue.job(job.id)
        assert waiting.crashes == attempt
        if attempt < 3:
            assert waiting.state is State.QUEUED
            assert lab.queue.claim(worker, Capacity()) == []
            since = lab.now
            while not lab.queue.claim(worker, Capacity(memory_bytes=-1)) and lab.now < since + 9:
                lab.now += 1
                found = lab.queue.position(job.id)
                assert found[0] == 0
            waits.append(lab.now - since)
    aside = lab.queue.job(job.id)
    assert aside.state is State.FAILED and aside.error["kind"] == "SetAside"
    assert aside.error["log"] == "signal 9 \ufffd at 3"
    assert "3 times" in aside.error["problem"]
    assert [line.outcome for line in lab.ledger()] == ["crashed", "crashed", "set_aside"]
    returned = [one for one in lab.queue.events(job.id) if one.kind == "job_returned"]
    assert [one.data["log"] for one in returned] == ["signal 9 \ufffd at 1", "signal 9 \ufffd at 2"]
    # It can be tried again, and then has all its chances again.
    assert lab.queue.retry(job.id).crashes == 0
    assert lab.queue.crashed(lab.claim(worker), "again")
    assert lab.queue.job(job.id).state is State.QUEUED


def test_waits_grow(lab):
    lab.submit(lab.person())
    lab.queue = type(lab.queue)(lab.database, clock=lambda: lab.now, most_crashes=99)
    worker, waits = lab.worker(), []
    for _ in range(12):
        assert lab.queue.crashed(lab.claim(worker), "log")
        since = lab.now
        while not (found := lab.queue.claim(worker, Capacity())):
            lab.now += 1
        waits.append(lab.now - since)
        assert lab.queue.stopped(found[0])
    assert waits[:5] == [1, 2, 4, 8, 16] and waits[-1] == 300


def test_silent_workers_lose_their_jobs(lab):
    (job,) = lab.submit(lab.person())
    worker = lab.worker()
    claim = lab.claim(worker)
    lab.now += 40
    lab.queue.beat(worker, [claim.lease_id])
    lab.now += 60
    assert lab.queue.reap() == 0
    assert [one.id for one in lab.queue.workers()] == [worker]
    lab.now += 0.5
    assert lab.queue.reap() == 1
    assert lab.queue.workers() == []
    assert (lab.queue.job(job.id).state, lab.queue.job(job.id).crashes) == (State.QUEUED, 1)
    (line,) = lab.ledger()
    # Nobody pays for the time that a dead worker was waited for.
    assert (line.outcome, line.device_seconds) == ("crashed", 40.0)
    assert lab.queue.reap() == 0
    lab.queue.beat(worker, [])
    assert [one.state for one in lab.queue.workers()] == ["active"]


def test_a_worker_known_to_be_dead_loses_its_jobs_at_once(lab):
    jobs = lab.submit(lab.person(), "a", "b", "c")
    dead, alive = lab.worker(), lab.worker()
    lab.queue.claim(dead, Capacity(jobs=2))
    kept = lab.claim(alive)
    assert lab.queue.worker_died(dead, "killed by signal 9") == 2
    assert [lab.queue.job(job.id).crashes for job in jobs] == [1, 1, 0]
    assert [one.id for one in lab.queue.workers()] == [alive]
    assert lab.queue.finish(kept, [], {})
    assert lab.queue.worker_died(dead, "") == 0


def test_a_worker_leaves(lab):
    worker = lab.worker()
    lab.queue.leave(worker)
    assert lab.queue.workers() == []


def test_a_job_is_cancelled_in_every_state(lab):
    kim, worker = lab.person(), lab.worker()
    (waiting,) = lab.submit(kim)
    assert lab.queue.cancel(waiting.id).state is State.CANCELLED
    assert lab.queue.claim(worker, Capacity()) == []
    assert lab.queue.cancel(waiting.id) == lab.queue.job(waiting.id)
    assert lab.ledger(waiting.id) == []

    ways = {
        "stopped": (lambda claim: lab.queue.stopped(claim, reason="asked"), State.CANCELLED),
        "crashed": (lambda claim: lab.queue.crashed(claim, "log"), State.CANCELLED),
        "finished": (lambda claim: lab.queue.finish(claim, [], {}), State.DONE),
    }
    for name, (end, state) in ways.items():
        (job,) = lab.submit(kim, name)
        claim = lab.claim(worker)
        asked = lab.queue.cancel(job.id)
        assert (asked.state, asked.cancel_requested_at) == (State.RUNNING, lab.now)
        assert lab.queue.cancel(job.id).revision == asked.revision
        assert lab.queue.beat(worker, [claim.lease_id]).cancelled == {claim.lease_id}
        assert end(claim)
        assert lab.queue.job(job.id).state is state
        assert len(lab.ledger(job.id)) == 1
    for ended in (job, lab.submit(kim, "fails")[0]):
        if ended.id != job.id:
            lab.queue.fail(lab.claim(worker), {"kind": "K", "problem": "p", "hint": "h"})
        with pytest.raises(ConflictError):
            lab.queue.cancel(ended.id)


def test_a_cancelled_job_of_a_silent_worker_is_cancelled(lab):
    (job,) = lab.submit(lab.person())
    lab.claim(lab.worker())
    lab.queue.cancel(job.id)
    lab.now += 61
    assert lab.queue.reap() == 1
    assert lab.queue.job(job.id).state is State.CANCELLED
    assert [line.outcome for line in lab.ledger(job.id)] == ["cancelled"]


def test_only_what_failed_or_was_cancelled_is_tried_again(lab):
    kim, worker = lab.person(), lab.worker()
    (job,) = lab.submit(kim)
    with pytest.raises(ConflictError):
        lab.queue.retry(job.id)
    lab.queue.cancel(job.id)
    again = lab.queue.retry(job.id)
    assert (again.state, again.cancel_requested_at, again.finished_at) == (State.QUEUED, None, None)
    claim = lab.claim(worker)
    with pytest.raises(ConflictError):
        lab.queue.retry(job.id)
    assert not lab.queue.beat(worker, [claim.lease_id]).cancelled
    lab.queue.fail(claim, {"kind": "K", "problem": "p", "hint": "h"})
    assert lab.queue.retry(job.id).error is None
    lab.queue.finish(lab.claim(worker), [file("structure")], {})
    with pytest.raises(ConflictError):
        lab.queue.retry(job.id)
    assert sorted(line.outcome for line in lab.ledger(job.id)) == ["done", "failed"]


def test_what_has_ended_is_removed_and_stays_in_the_books(lab):
    kim, worker = lab.person(), lab.worker()
    (job,) = lab.submit(kim, inputs=(file("a.a3m", 7),))
    with pytest.raises(ConflictError):
        lab.queue.remove(job.id)
    claim = lab.claim(worker)
    with pytest.raises(ConflictError):
        lab.queue.remove(job.id)
    lab.queue.record(claim, [FINISHED])
    lab.queue.finish(claim, [file("structure")], {})
    lab.queue.remove(job.id)
    assert lab.count(events) == 0 and lab.count(stages) == 0
    assert lab.queue.jobs(None).total == 0
    assert len(lab.ledger(job.id)) == 1


def test_a_drained_queue_gives_nothing_out(lab):
    lab.submit(lab.person(), "a", "b")
    worker = lab.worker()
    claim = lab.claim(worker)
    assert not lab.queue.draining()
    lab.queue.drain(True)
    assert lab.queue.draining()
    assert lab.queue.claim(worker, Capacity()) == []
    assert lab.queue.beat(worker, [claim.lease_id]).draining
    assert [one.state for one in lab.queue.workers()] == ["draining"]
    assert lab.queue.start_estimate("cpu") is None
    assert lab.queue.finish(claim, [], {})
    lab.queue.drain(False)
    lab.queue.drain(False)
    assert lab.claim(worker).job.name == "b"
    assert not lab.queue.beat(worker, []).draining


def test_a_device_that_several_jobs_shared_is_charged_once(lab):
    lab.submit(lab.person(), "a", "b", "c", "d")
    claims = lab.queue.claim(lab.worker(), Capacity(jobs=4))
    lab.now += 8
    assert lab.queue.finish(claims[0], [], {}, device_seconds=2.0)
    assert lab.queue.fail(claims[1], {"kind": "K", "problem": "p"}, device_seconds=3.0)
    assert lab.queue.stopped(claims[2], device_seconds=1.0)
    assert lab.queue.crashed(claims[3], "log", device_seconds=0.0)
    assert sorted(line.device_seconds for line in lab.ledger()) == [0.0, 1.0, 2.0, 3.0]
