"""A job that runs too long fails and says why; those around it are done."""

from __future__ import annotations

import dataclasses
import math

import pytest

from itda.cluster.this_process import ThisProcess
from itda.errors import InputError
from itda.server.queue.records import State
from itda.server.settings import JOB_HOURS, Limits, ServerSettings
from itda.server.work.held import Run

from ...cluster.helpers import wait_until
from .jobs import at_work, on_sqlite

SHORT = {"job_seconds": 2.0, "grace_seconds": 0.0}


@pytest.fixture
def soon(monkeypatch):
    """Let the time be over once a job that hangs is in its stage, and never before."""
    real = Run.watch

    def watch(run, _most_seconds, *, ended):
        hangs = any(
            held.stage and held.claim.job.name in ("held", "deaf") for held in run.open.values()
        )
        return real(run, 0.0 if hangs else math.inf, ended=ended)

    monkeypatch.setattr(Run, "watch", watch)


def fails_at_the_limit(job) -> None:
    assert job.error["kind"] == "TimeLimit"
    assert "a job may run for 2 s" in job.error["problem"]
    assert "stage predict" in job.error["problem"]
    assert "retry" in job.error["hint"]
    assert job.crashes == 0


def test_it_is_asked_to_stop_and_its_neighbours_are_done(soon, site, this_process, tmp_path):
    (hangs,) = site.submit("held", metadata={"until": str(tmp_path / "never")})
    others = site.submit("one", "two")
    with at_work(site.worker(this_process, **SHORT)):
        (job,) = site.wait([hangs], State.FAILED)
        site.wait(others)
    fails_at_the_limit(job)
    assert site.ledger(hangs) == ["failed"]
    for one in others:
        assert site.ledger(one) == ["done"]
        assert site.queue.job(one).attempts == 1


@on_sqlite
def test_one_that_heeds_nothing_is_killed(soon, site, processes, monkeypatch):
    monkeypatch.setattr("itda.cluster.processes.STOP_WITHIN_SECONDS", 0.2)
    (hangs,) = site.submit("deaf")
    others = site.submit("one", "two")
    with at_work(site.worker(processes(), **SHORT)):
        (job,) = site.wait([hangs], State.FAILED)
        site.wait(others)
    fails_at_the_limit(job)
    assert site.ledger(hangs) == ["failed"]
    assert all(site.ledger(one) == ["done"] for one in others)


def test_one_that_goes_on_is_done(site, this_process, tmp_path):
    until = tmp_path / "until"
    (job_id,) = site.submit("held", metadata={"until": str(until)})
    with at_work(site.worker(this_process)):
        wait_until(lambda: "stage_progress" in site.events(job_id))
        until.touch()
        site.wait([job_id])


def test_one_that_its_owner_cancels_meanwhile_is_cancelled(soon, site, this_process, tmp_path):
    (job_id,) = site.submit("held", metadata={"until": str(tmp_path / "never")})
    worker = site.worker(this_process, grace_seconds=600.0)
    with at_work(worker):
        wait_until(lambda: any(run.late for run in worker._runs))
        site.queue.cancel(job_id)
        site.wait([job_id], State.CANCELLED)
        worker.stop()
    assert site.ledger(job_id) == ["cancelled"]


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "soon"])
def test_a_limit_that_is_none_is_refused(hours):
    with pytest.raises(InputError, match=JOB_HOURS):
        ServerSettings.from_environment({JOB_HOURS: hours})


def test_the_limit_is_read_from_the_environment():
    assert ServerSettings.from_environment({JOB_HOURS: "1.5"}).limits.job_seconds == 5400.0
    assert ServerSettings.from_environment({}).limits == Limits()
    assert dataclasses.replace(Limits(), job_seconds=60.0).job_seconds == 60.0


def test_work_that_waits_for_its_place_does_not_run(this_process: ThisProcess, tmp_path):
    from ...cluster.helpers import Told, outcomes, task, work

    until = tmp_path / "until"
    told = Told()
    first = this_process.start(
        work(tmp_path, task(tmp_path, "held", metadata={"until": str(until)})), told
    )
    told.wait_for("key-held", "stage_progress")
    second = this_process.start(work(tmp_path, task(tmp_path, "second")), told)
    assert (first.began, second.began) == (True, False)
    until.touch()
    outcomes(first)
    outcomes(second)
    assert second.began
