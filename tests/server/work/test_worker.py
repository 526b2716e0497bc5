"""A worker in this process: every job that it takes ends, or goes back."""

from __future__ import annotations

import json
import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from itda.cluster.work import Stopped
from itda.errors import OutputError
from itda.job.model import Job
from itda.server.queue.records import Capacity, FileRecord, State
from itda.server.work import records as records_module
from tests.patience import PATIENCE_SECONDS

from ...cluster.helpers import sequence_of, wait_until
from .jobs import Site, at_work


def test_jobs_are_done_with_files_stages_events_and_books(site, this_process):
    (job_id,) = site.submit("helix", samples=2)
    with at_work(site.worker(this_process)):
        (job,) = site.wait([job_id])
    assert job.summary["residues"] == 16
    assert job.summary["samples"] == 2
    assert (job.attempts, job.crashes, job.fraction) == (1, 0, 1.0)
    files = {file.kind: file for file in site.queue.files(job_id)}
    assert sorted(files) == [
        "confidence", "pae", "report", "sample_0", "sample_1", "structure",
    ]  # fmt: skip
    for file in files.values():
        assert site.artefacts.path(file.digest).stat().st_size == file.bytes
    assert files["structure"].name == "helix.cif"
    assert site.artefacts.unnamed() == []
    assert [(stage.name, stage.state) for stage in site.queue.stages(job_id)] == [
        ("predict", "done"), ("validity", "done"),
    ]  # fmt: skip
    kinds = site.events(job_id)
    assert kinds.count("stage_finished") == 2
    assert kinds.count("job_finished") == 1
    assert site.ledger(job_id) == ["done"]
    assert list(site.home.glob("worker/*")) == []
    assert site.queue.workers() == []  # it has left


def test_jobs_that_fail_say_why_and_touch_no_other(site, this_process):
    good, crash, wrong = site.submit("good", "crash", "wrong", seed=1)
    (unknown,) = site.submit("unknown", family="nonsense")
    (bad,) = site.submit("bad", document={"version": 1})
    ended = (State.DONE, State.FAILED)
    with at_work(site.worker(this_process)):
        site.wait([good, crash, wrong, unknown, bad], *ended)
    assert site.state(good) is State.DONE
    error = site.queue.job(crash).error
    assert error["kind"] == "UnexpectedError"
    assert "Traceback" not in json.dumps(error)
    assert "nonsense" in site.queue.job(unknown).error["problem"]
    assert site.state(bad) is State.FAILED
    assert site.ledger(crash) == ["failed"]


def test_files_that_came_with_a_job_are_laid_out_for_it(site, this_process):
    query = sequence_of("mine")
    content = f">query\n{query}\n>hit\nA{query[1:]}\n".encode()
    digest, size = site.artefacts.put(content)
    document = json.loads(json.dumps(Job.from_sequence("mine", query).to_dict()))
    document["entities"][0]["protein"]["msa"] = "mine.a3m"
    record = FileRecord(kind="mine.a3m", name="mine.a3m", digest=digest, bytes=size)
    (job_id,) = site.submit("mine", document=document, inputs=[record])
    with at_work(site.worker(this_process)):
        site.wait([job_id])
    assert site.artefacts.path(digest).read_bytes() == content


def test_an_input_that_is_gone_sets_the_job_aside(database, tmp_path, this_process):
    site = Site(database, tmp_path / "home", most_crashes=1)
    digest, size = site.artefacts.put(b"x")
    record = FileRecord(kind="m", name="m", digest=digest, bytes=size)
    (job_id,) = site.submit("a", inputs=[record])
    site.artefacts.path(digest).unlink()
    with at_work(site.worker(this_process)):
        (job,) = site.wait([job_id], State.FAILED)
    assert job.error["kind"] == "SetAside"
    assert digest in job.error["log"]


def test_small_jobs_share_a_process_and_the_time_on_the_device(site, this_process):
    started = []
    real = this_process.start

    def start(work, report):
        started.append(len(work.tasks))
        return real(work, report)

    this_process.start = start
    job_ids = site.submit(*(f"j{number}" for number in range(12)))
    (large,) = site.submit("large", seconds=1000.0)
    with at_work(site.worker(this_process, batch=8)):
        site.wait([*job_ids, large])
    assert sorted(started) in ([1, 4, 8], [1, 5, 7])
    for job_id in job_ids:
        assert site.ledger(job_id) == ["done"]


def test_events_are_written_in_batches_and_none_that_counts_is_dropped(site, this_process):
    writes = []
    real = site.queue.record

    def record(claim, events):
        writes.append(len(events))
        return real(claim, events)

    site.queue.record = record
    (job_id,) = site.submit("slow")
    with at_work(site.worker(this_process)):
        site.wait([job_id])
    kinds = site.events(job_id)
    assert kinds.count("stage_started") == kinds.count("stage_finished") == 2
    assert kinds.count("job_started") == 1
    assert "stage_progress" in kinds
    assert max(writes) > 1


def test_a_job_is_cancelled_while_it_runs_and_the_others_of_its_batch_are_done(
    database, tmp_path, this_process
):
    site = Site(database, tmp_path / "home", lease_seconds=1.0)
    held = {"until": str(tmp_path / "never")}
    (cancelled,) = site.submit("held", metadata=held)
    others = site.submit("one", "two")
    with at_work(site.worker(this_process)):
        wait_until(lambda: "stage_progress" in site.events(cancelled))
        site.queue.cancel(cancelled)
        site.wait([cancelled], State.CANCELLED)
        site.wait(others)
    assert site.ledger(cancelled) == ["cancelled"]
    assert site.queue.files(cancelled) == []


def test_a_job_whose_lease_was_lost_is_dropped(database, tmp_path, this_process):
    site = Site(database, tmp_path / "home", lease_seconds=1.0)
    until = tmp_path / "until"
    (job_id,) = site.submit("held", metadata={"until": str(until)})
    with at_work(site.worker(this_process, grace_seconds=0.0)):
        wait_until(lambda: site.state(job_id) is State.RUNNING)
        (mine,) = site.queue.workers()
        assert site.queue.worker_died(mine.id, "taken for dead") == 1
        wait_until(lambda: site.queue.job(job_id).attempts == 2)  # taken again after a wait
        until.touch()
        site.wait([job_id])
    assert site.ledger(job_id) == ["crashed", "done"]


def test_told_to_stop_it_lets_the_stage_end_and_gives_the_job_back(site, this_process, tmp_path):
    until, folds = tmp_path / "until", tmp_path / "folds"
    (job_id,) = site.submit("held", metadata={"until": str(until), "folds": str(folds)})
    (waits,) = site.submit("waits", seconds=1000.0)
    worker = site.worker(this_process, grace_seconds=60.0)
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_until(lambda: "stage_progress" in site.events(job_id))
    worker.stop()
    time.sleep(0.5)
    until.touch()
    thread.join(PATIENCE_SECONDS)
    assert site.ledger(job_id) == ["returned"]
    assert site.state(job_id) is site.state(waits) is State.QUEUED
    assert site.queue.job(waits).attempts == 0
    assert site.queue.job(job_id).crashes == 0
    with at_work(site.worker(this_process)):
        site.wait([job_id, waits])
    predict = next(stage for stage in site.queue.stages(job_id) if stage.name == "predict")
    assert (predict.cached, predict.attempt) == (True, 2)
    assert len(folds.read_text().split()) == 1  # it was folded once in all


def test_drained_it_ends_what_it_has_and_takes_nothing_new(database, tmp_path, this_process):
    site = Site(database, tmp_path / "home", lease_seconds=1.0)
    until = tmp_path / "until"
    (job_id,) = site.submit("held", metadata={"until": str(until)})
    with at_work(site.worker(this_process)):
        wait_until(lambda: site.state(job_id) is State.RUNNING)
        site.queue.drain(True)
        (later,) = site.submit("later")
        until.touch()
        site.wait([job_id])
        time.sleep(0.5)
        assert site.state(later) is State.QUEUED
        site.queue.drain(False)
        site.wait([later])


class Broken:
    """Fails some times with an error of the database, then works."""

    def __init__(self, real, times: int) -> None:
        self.real = real
        self.left = times

    def __call__(self, *values, **named):
        if self.left > 0:
            self.left -= 1
            raise OperationalError("SELECT 1", {}, Exception("the connection is gone"))
        return self.real(*values, **named)


@pytest.mark.parametrize("method", ["register", "claim", "record", "finish", "beat"])
def test_a_database_that_is_away_for_a_while_costs_no_job(database, tmp_path, this_process, method):
    site = Site(database, tmp_path / "home", lease_seconds=1.0)
    broken = Broken(getattr(site.queue, method), 3)
    setattr(site.queue, method, broken)
    job_ids = site.submit("one", "two")
    if method == "beat":
        job_ids += site.submit("slow")
    with at_work(site.worker(this_process)):
        site.wait(job_ids)
    assert broken.left == 0
    for job_id in job_ids:
        assert site.ledger(job_id)[-1] == "done"


def test_a_disk_that_is_full_for_a_while_costs_no_job(site, this_process, monkeypatch):
    real, left = site.artefacts.put, [3]

    def put(content):
        if left[0] > 0:
            left[0] -= 1
            raise OutputError("no space left on device")
        return real(content)

    site.artefacts.put = put
    (job_id,) = site.submit("one")
    with at_work(site.worker(this_process)):
        site.wait([job_id])
    assert site.ledger(job_id) == ["done"]


def test_a_disk_that_stays_full_gives_the_job_back_and_the_worker_waits(
    site, this_process, monkeypatch
):
    monkeypatch.setattr(records_module, "PUT_FILES_SECONDS", 0.0)
    real, full = site.artefacts.put, [True]

    def put(content):
        if full[0]:
            raise OutputError("no space left on device")
        return real(content)

    site.artefacts.put = put
    (job_id,) = site.submit("one")
    with at_work(site.worker(this_process)):
        wait_until(lambda: site.ledger(job_id) == ["returned"])
        full[0] = False
        site.wait([job_id])
    assert site.queue.job(job_id).crashes == 0
    assert set(site.ledger(job_id)[:-1]) == {"returned"}


def test_a_folder_that_cannot_be_written_gives_the_job_back(site, this_process):
    site.home.mkdir(exist_ok=True)
    digest, size = site.artefacts.put(b"x")
    record = FileRecord(kind="m", name="m", digest=digest, bytes=size)
    blocked = site.home / "worker"
    blocked.write_text("a file where the folder should be")
    (job_id,) = site.submit("one", inputs=[record])
    with at_work(site.worker(this_process)):
        wait_until(lambda: "returned" in site.ledger(job_id))
        blocked.unlink()
        site.wait([job_id])


def test_an_executor_that_cannot_start_gives_the_job_back(site, this_process):
    real, left = this_process.start, [1]

    def start(work, report):
        if left[0]:
            left[0] -= 1
            raise OSError("no more processes")
        return real(work, report)

    this_process.start = start
    (job_id,) = site.submit("one")
    with at_work(site.worker(this_process)):
        site.wait([job_id])
    assert site.ledger(job_id) == ["returned", "done"]


def test_only_what_fits_is_claimed(site, this_process):
    this_process.memory_bytes = -1
    (job_id,) = site.submit("one")
    asked = []
    real = site.queue.claim

    def claim(worker_id, capacity: Capacity):
        asked.append(capacity)
        return real(worker_id, capacity)

    site.queue.claim = claim
    with at_work(site.worker(this_process)):
        site.wait([job_id])
    assert asked[0].memory_bytes == 0
    assert asked[0].device_kind == "cpu"


def test_it_leaves_when_it_had_nothing_to_do_for_a_while(site, this_process):
    job_ids = site.submit("one", "two")
    site.worker(this_process, leave_after_seconds=0.3).run()
    assert [site.state(job_id) for job_id in job_ids] == [State.DONE] * 2


def test_stopped_is_what_was_asked_for():
    assert Stopped() != Stopped(hindrance="disk full")


class Silent:
    """Work that has ended and says nothing of its jobs."""

    ended = began = True

    def poll(self):
        return []

    def stop(self, _grace_seconds=0.0):
        pass


def test_work_that_ends_without_a_word_of_a_job_does_not_hold_it_for_ever(
    site, this_process, monkeypatch
):
    (job_id,) = site.submit("mute")
    monkeypatch.setattr(this_process, "start", lambda _work, _report: Silent())
    with at_work(site.worker(this_process)):
        site.wait([job_id], State.FAILED)
    job = site.queue.job(job_id)
    assert job.crashes == 3
    assert "without a word" in job.error["log"]
