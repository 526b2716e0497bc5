"""`itda worker` as a process: signals, sudden death, and jobs that kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from itda.server.queue.records import State
from tests.patience import PATIENCE_SECONDS

from ...cluster.helpers import wait_until
from .jobs import Site, at_work, on_sqlite, worker_process


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_said(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process says until it has said this."""
    assert any(text in line for line in iter(process.stderr.readline, ""))


@on_sqlite
def test_sigterm_lets_the_stage_end_gives_back_and_leaves_with_status_0(site, tmp_path):
    until, folds = tmp_path / "until", tmp_path / "folds"
    (job_id,) = site.submit("held", metadata={"until": str(until), "folds": str(folds)})
    with worker_process(site, "--grace", "60") as process:
        wait_until(lambda: "stage_progress" in site.events(job_id))
        process.send_signal(signal.SIGTERM)
        (later,) = site.submit("later")
        until_said(process, "told to stop")
        time.sleep(0.5)  # for the line to reach the process that folds
        until.touch()
        assert process.wait(PATIENCE_SECONDS) == 0
        log = process.stderr.read()
    assert "left" in log
    assert (site.state(job_id), site.state(later)) == (State.QUEUED, State.QUEUED)
    assert site.ledger(job_id) == ["returned"]
    assert site.queue.workers() == []
    assert list((site.home / "work").iterdir()) == []
    wait_until(lambda: not is_alive(int(folds.read_text())))


@on_sqlite
def test_a_second_signal_does_not_wait_for_the_stage(site, tmp_path):
    (job_id,) = site.submit("held", metadata={"until": str(tmp_path / "never")})
    with worker_process(site, "--grace", "600") as process:
        wait_until(lambda: "stage_progress" in site.events(job_id))
        process.send_signal(signal.SIGTERM)
        until_said(process, "told to stop")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert site.ledger(job_id) == ["returned"]


@on_sqlite
def test_what_a_killed_worker_held_is_given_back_and_ends_once(database, tmp_path, processes):
    site = Site(database, tmp_path / "home", lease_seconds=2.0)
    until, folds = tmp_path / "until", tmp_path / "folds"
    (job_id,) = site.submit("held", metadata={"until": str(until), "folds": str(folds)})
    with worker_process(site) as process:
        wait_until(lambda: "stage_progress" in site.events(job_id))
        process.kill()
        process.wait()
    wait_until(lambda: not is_alive(int(folds.read_text())))  # what folded ends with it
    assert site.state(job_id) is State.RUNNING
    wait_until(lambda: site.queue.reap() == 1)
    assert site.state(job_id) is State.QUEUED
    until.touch()
    with at_work(site.worker(processes())):
        (job,) = site.wait([job_id])
    assert (job.attempts, job.crashes) == (2, 1)
    assert site.ledger(job_id) == ["crashed", "done"]


@on_sqlite
def test_a_job_that_kills_is_set_aside_with_its_log_and_the_others_are_done(
    database, tmp_path, processes
):
    site = Site(database, tmp_path / "home", most_crashes=2)
    (bad,) = site.submit("kills")
    good = site.submit("one", "two", "three")
    with at_work(site.worker(processes())):
        site.wait(good)
        (job,) = site.wait([bad], State.FAILED)
    assert job.error["kind"] == "SetAside"
    assert "about to die" in job.error["log"]
    assert "SIGKILL" in job.error["log"]
    assert site.ledger(bad) == ["crashed", "set_aside"]
    for job_id in good:  # its company is not blamed
        assert site.queue.job(job_id).crashes == 0
        assert site.ledger(job_id) == ["done"]


@on_sqlite
def test_a_worker_leaves_when_its_parent_does(site):
    with worker_process(site, "--with-parent") as process:
        wait_until(lambda: len(site.queue.workers()) == 1)
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert "the server is gone" in process.stderr.read()


@on_sqlite
def test_a_worker_of_a_server_leaves_when_it_is_told(site):
    with worker_process(site, "--with-parent") as process:
        wait_until(lambda: len(site.queue.workers()) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert "Fatal" not in process.stderr.read()


@on_sqlite
def test_a_folder_that_is_not_the_servers_is_refused(site, tmp_path, processes):
    (job_id,) = site.submit("one")
    with at_work(site.worker(processes())):
        site.wait([job_id])
    os.rename(site.home / "artefacts", tmp_path / "elsewhere")  # noqa: PTH104
    with worker_process(site) as process:
        assert process.wait(PATIENCE_SECONDS) == 1
        assert "lacks files that the database names" in process.stderr.read()
