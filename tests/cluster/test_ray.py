"""Ray on this machine, with two processes that fold."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from itda.cluster.work import Done, Failed, Lost, Stopped

from .helpers import Told, outcomes, run, sequence_of, task, wait_until, work
from .steered_family import install

# Not imported: that is the executor's to do, which tells Ray of its token before.
if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)

from itda.cluster.ray import RayExecutor, init_patiently, use_token


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ray-home")


@pytest.fixture(scope="module")
def cluster(home) -> Iterator[RayExecutor]:
    before = dict(os.environ)
    executor = RayExecutor(home=home, slots=2, setup=install)
    yield executor
    executor.close()
    os.environ.clear()
    os.environ.update(before)


def test_a_cluster_of_our_own_takes_only_who_has_the_token(cluster, home):
    token = home / "ray-token"
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o077 == 0
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert (cluster.slots, cluster.device_kind) == (2, "cpu")
    assert cluster.free_bytes() > 2**28


def test_a_token_that_is_told_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    use_token(tmp_path)
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert not (tmp_path / "ray-token").exists()


class SlowRay:
    """Starts on the try of this number; notes what is asked."""

    def __init__(self, starts_on: int) -> None:
        self.asked: list[str] = []
        self._starts_on = starts_on

    def shutdown(self) -> None:
        self.asked.append("shutdown")

    def init(self, **options: object) -> None:
        self.asked.append("init")
        if self.asked.count("init") < self._starts_on:
            raise RuntimeError("the node did not start within 30 seconds")


def test_a_start_that_took_too_long_is_made_again():
    slow = SlowRay(starts_on=3)
    init_patiently(slow, {}, tries=5)
    assert slow.asked == ["shutdown", "init"] * 3
    never = SlowRay(starts_on=9)
    with pytest.raises(RuntimeError, match="did not start"):
        init_patiently(never, {}, tries=2)
    assert never.asked.count("init") == 2


def test_files_go_with_the_job_and_come_back(cluster, processes, tmp_path):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    query = sequence_of("helix")
    (inputs / "mine.a3m").write_text(f">query\n{query}\n>hit\nA{query[1:]}\n")
    one = task(tmp_path, "helix", samples=2, seed=5)
    document = json.loads(json.dumps(one.document))
    document["entities"][0]["protein"]["msa"] = "mine.a3m"
    one = dataclasses.replace(one, document=document, inputs=inputs)
    given = []
    for name, executor in (("ray", cluster), ("processes", processes)):
        some = dataclasses.replace(one, output=tmp_path / name)
        ended, told = run(executor, work(tmp_path / f"stages-{name}", some))
        done = ended["key-helix"]
        assert isinstance(done, Done)
        assert {path.parent for path in done.files.values()} == {tmp_path / name}
        assert told.of("key-helix")[0] == "job_started"
        given.append(
            {
                "kinds": sorted(done.files),
                "structure": done.files["structure"].read_text(),
                "sample_1": done.files["sample_1"].read_text(),
                "residues": done.summary["residues"],
            }
        )
    assert given[0] == given[1]


def test_each_job_ends_on_its_own(cluster, tmp_path):
    tasks = [task(tmp_path, name) for name in ("one", "crash", "two")]
    ended, _ = run(cluster, work(tmp_path, *tasks))
    kinds = {key.removeprefix("key-"): type(outcome) for key, outcome in ended.items()}
    assert kinds == {"one": Done, "two": Done, "crash": Failed}


def test_a_killed_process_is_lost_and_the_other_goes_on(cluster, tmp_path):
    told = Told()
    until = tmp_path / "until"
    running = {}
    for name in ("held-1", "held-2"):
        metadata = {"until": str(until), "folds": str(tmp_path / name)}
        running[name] = cluster.start(work(tmp_path, task(tmp_path, name, metadata=metadata)), told)
    for name in running:
        wait_until(lambda name=name: (tmp_path / name).exists())
    os.kill(int((tmp_path / "held-1").read_text()), signal.SIGKILL)
    lost = outcomes(running["held-1"])["key-held-1"]
    assert isinstance(lost, Lost)
    assert lost.log
    until.touch()
    assert isinstance(outcomes(running["held-2"])["key-held-2"], Done)


def test_what_is_stopped_goes_on_from_its_stage(cluster, tmp_path):
    folds, until = tmp_path / "folds", tmp_path / "until"
    held = task(tmp_path, "held", metadata={"folds": str(folds), "until": str(until)})
    told = Told()
    running = cluster.start(work(tmp_path, held), told)
    told.wait_for("key-held", "stage_progress")
    running.stop(grace_seconds=60)
    # It learns so with one of its next messages.
    told.events.clear()
    told.wait_for("key-held", "stage_progress")
    told.events.clear()
    told.wait_for("key-held", "stage_progress")
    until.touch()
    assert outcomes(running) == {"key-held": Stopped()}
    ended, _ = run(cluster, work(tmp_path, held))
    assert isinstance(ended["key-held"], Done)
    assert len(folds.read_text().split()) == 1


def test_what_waits_for_room_is_stopped_before_it_begins(cluster, tmp_path):
    told = Told()
    until = tmp_path / "until"
    first = [
        cluster.start(
            work(tmp_path, task(tmp_path, f"held-{i}", metadata={"until": str(until)})), told
        )
        for i in range(2)
    ]
    for i in range(2):
        told.wait_for(f"key-held-{i}", "stage_progress")
    third = cluster.start(work(tmp_path, task(tmp_path, "third")), told)
    third.stop(grace_seconds=60)
    assert outcomes(third) == {"key-third": Stopped()}
    until.touch()
    for running in first:
        assert all(isinstance(one, Done) for one in outcomes(running).values())


def test_a_task_that_heeds_nothing_is_ended(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("itda.cluster.ray.STOP_WITHIN_SECONDS", 0.2)
    told = Told()
    running = cluster.start(work(tmp_path, task(tmp_path, "deaf")), told)
    told.wait_for("key-deaf", "stage_progress")
    assert running.began
    running.stop()
    assert outcomes(running) == {"key-deaf": Stopped()}


def test_it_can_be_asked_to_stop_where_the_cluster_is_gone(cluster, tmp_path, monkeypatch):
    told = Told()
    running = cluster.start(work(tmp_path, task(tmp_path, "deaf")), told)
    told.wait_for("key-deaf", "stage_progress")
    with monkeypatch.context() as gone:
        gone.setattr(cluster, "_mailbox", None)
        cluster.ask_to_stop(running, 60.0)
    cluster.cancel(running)
    assert outcomes(running).keys() == {"key-deaf"}
