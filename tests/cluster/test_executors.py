"""Executors: what one does, each does."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from itda.cluster.perform import Performer
from itda.cluster.processes import Processes
from itda.cluster.work import Done, Failed, Lost, Stopped
from itda.engine.engine import Engine

from .helpers import CHILD, Told, outcomes, run, sequence_of, task, wait_until, work


def content(outcome: Done) -> dict[str, object]:
    """What the files hold, but for when they were made and how long it took."""
    found: dict[str, object] = {}
    for kind, path in outcome.files.items():
        if kind in ("structure", "sample_0", "sample_1"):
            found[kind] = path.read_text()
        else:
            found[kind] = path.name
    confidence = json.loads(outcome.files["confidence"].read_text())
    found["plddt"] = confidence["plddt"]
    return found


def test_a_job_gives_files_events_and_a_summary(executor, tmp_path):
    ended, told = run(executor, work(tmp_path, task(tmp_path, "helix", samples=2, seed=5)))
    done = ended["key-helix"]
    assert isinstance(done, Done)
    assert sorted(done.files) == [
        "confidence", "pae", "report", "sample_0", "sample_1", "structure",
    ]  # fmt: skip
    assert done.files["structure"] == tmp_path / "output/helix/helix.cif"
    assert all(path.stat().st_size > 0 for path in done.files.values())
    assert done.summary["residues"] == 16
    assert done.summary["samples"] == 2
    kinds = told.of("key-helix")
    assert kinds[0] == "job_started"
    assert "stage_progress" in kinds
    assert kinds.count("stage_finished") == 2  # predict, validity
    assert "job_finished" not in kinds  # the outcome says it


def test_every_executor_gives_the_same_files(this_process, processes, tmp_path):
    given = []
    for name, executor in (("a", this_process), ("b", processes)):
        folder = tmp_path / name
        ended, _ = run(executor, work(folder, task(folder, "helix", samples=2, seed=5)))
        given.append(content(ended["key-helix"]))
    assert given[0] == given[1]


def test_each_job_of_a_batch_ends_on_its_own(executor, tmp_path):
    tasks = [
        task(tmp_path, "one"),
        task(tmp_path, "crash"),
        task(tmp_path, "wrong", weights="nonsense"),
        task(tmp_path, "two", seed=1),
        task(tmp_path, "three"),
    ]
    bad = task(tmp_path, "bad")
    tasks.append(bad.__class__(**{**vars(bad), "document": {"version": 1}}))
    ended, _ = run(executor, work(tmp_path, *tasks))
    kinds = {key.removeprefix("key-"): type(outcome) for key, outcome in ended.items()}
    assert kinds == {
        "one": Done, "two": Done, "three": Done, "crash": Failed, "wrong": Failed, "bad": Failed,
    }  # fmt: skip
    assert ended["key-crash"].error["kind"] == "UnexpectedError"
    assert "ZeroDivisionError" in ended["key-crash"].traceback
    assert "nonsense" in ended["key-wrong"].error["problem"]
    assert ended["key-wrong"].error["kind"] == "WeightsError"
    assert ended["key-bad"].traceback == ""


def test_jobs_of_one_name_do_not_meet(executor, tmp_path):
    first, second = task(tmp_path / "1", "Same"), task(tmp_path / "2", "same", sequence="MKV" * 9)
    second = second.__class__(**{**vars(second), "key": "other"})
    ended, _ = run(executor, work(tmp_path, first, second))
    assert ended["key-Same"].summary["residues"] == 16
    assert ended["other"].summary["residues"] == 27


def test_a_weights_file_of_this_machine_cannot_be_named(executor, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"good")
    ended, _ = run(executor, work(tmp_path, task(tmp_path, "a", weights=str(weights))))
    assert ended["key-a"].error["kind"] == "WeightsError"


def test_only_files_that_came_with_the_job_are_read(executor, tmp_path):
    secret = tmp_path / "secret.a3m"
    secret.write_text(">query\nMKTAYIAKQRQISFVK\n")
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    query = sequence_of("mine")
    (inputs / "mine.a3m").write_text(f">query\n{query}\n>hit\nA{query[1:]}\n")
    ended = {}
    for name, path in (("mine", "mine.a3m"), ("theirs", str(secret)), ("up", "../secret.a3m")):
        one = task(tmp_path, name)
        document = json.loads(json.dumps(one.document))
        document["entities"][0]["protein"]["msa"] = path
        one = one.__class__(**{**vars(one), "document": document, "inputs": inputs})
        ended.update(run(executor, work(tmp_path, one))[0])
    assert isinstance(ended["key-mine"], Done)
    given = ended["key-mine"].files["alignment"]
    assert given.name == "mine.a3m" and given.read_text().splitlines()[1] == query
    for name in ("theirs", "up"):
        assert isinstance(ended[f"key-{name}"], Failed)
        assert "did not come with the job" in ended[f"key-{name}"].error["problem"]


def test_what_is_stopped_goes_on_from_its_stage(executor, tmp_path):
    folds, until = tmp_path / "folds", tmp_path / "until"
    held = task(tmp_path, "held", metadata={"folds": str(folds), "until": str(until)})
    told = Told()
    running = executor.start(work(tmp_path, held), told)
    told.wait_for("key-held", "stage_progress")
    running.stop(grace_seconds=60)  # the stage may end
    until.touch()
    assert outcomes(running) == {"key-held": Stopped()}

    ended, told = run(executor, work(tmp_path, held))
    assert isinstance(ended["key-held"], Done)
    (predict,) = [
        event
        for _, event in told.events
        if event["event"] == "stage_finished" and event["stage"] == "predict"
    ]
    assert predict["cached"] is True
    assert len(folds.read_text().split()) == 1  # folded once in all


def test_without_grace_it_stops_in_the_middle_of_a_stage(executor, tmp_path):
    until = tmp_path / "until"
    held = task(tmp_path, "held", metadata={"until": str(until)})
    waiting = task(tmp_path, "waiting", seed=3)
    told = Told()
    running = executor.start(work(tmp_path, held, waiting), told)
    told.wait_for("key-held", "stage_progress")
    running.stop()
    assert outcomes(running) == {"key-held": Stopped(), "key-waiting": Stopped()}
    until.touch()
    ended, _ = run(executor, work(tmp_path, held))
    assert isinstance(ended["key-held"], Done)


def test_a_full_disk_stops_the_job_and_fails_nothing(executor, tmp_path, monkeypatch):
    monkeypatch.setattr("itda.cluster.perform.WRITE_AGAIN_AFTER_SECONDS", ())
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    one = task(tmp_path, "one")
    one = one.__class__(**{**vars(one), "output": blocked / "one"})
    told = Told()
    running = executor.start(work(tmp_path, one), told)
    told.wait_for("key-one", "stage_finished")
    running.stop(grace_seconds=0.5)  # a process of its own waits and tries again until then
    ended = outcomes(running)
    assert isinstance(ended["key-one"], Stopped)


def test_a_killed_process_is_lost_with_its_last_words_and_the_next_job_is_done(processes, tmp_path):
    ended, _ = run(processes, work(tmp_path, task(tmp_path, "kills")))
    lost = ended["key-kills"]
    assert isinstance(lost, Lost)
    assert "SIGKILL" in lost.log
    assert "about to die" in lost.log
    ended, _ = run(processes, work(tmp_path, task(tmp_path, "next")))
    assert isinstance(ended["key-next"], Done)


def test_programs_that_a_killed_process_started_end_with_it(processes, tmp_path):
    program = tmp_path / "program"
    ended, _ = run(
        processes, work(tmp_path, task(tmp_path, "kills", metadata={"program": str(program)}))
    )
    assert isinstance(ended["key-kills"], Lost)
    wait_until(lambda: has_ended(int(program.read_text())))


def test_a_process_serves_many_jobs_and_is_replaced_when_killed_idle(processes, tmp_path):
    folds = tmp_path / "folds"
    for name in ("a", "b"):
        run(processes, work(tmp_path, task(tmp_path, name, metadata={"folds": str(folds)}, seed=9)))
    first, second = folds.read_text().split()
    assert first == second == str(processes.processes[0])
    os.kill(int(first), signal.SIGKILL)
    ended, _ = run(processes, work(tmp_path, task(tmp_path, "c", metadata={"folds": str(folds)})))
    if isinstance(ended["key-c"], Lost):  # it was given the work while it died
        ended, _ = run(
            processes, work(tmp_path, task(tmp_path, "c", metadata={"folds": str(folds)}))
        )
    assert isinstance(ended["key-c"], Done)
    assert folds.read_text().split()[-1] != first


def test_a_device_that_is_lost_costs_the_process_and_nobody_else(processes, tmp_path):
    ended, _ = run(
        processes, work(tmp_path, task(tmp_path, "lonely"), task(tmp_path, "other", seed=2))
    )
    assert isinstance(ended["key-lonely"], Lost)
    assert isinstance(ended["key-other"], Stopped)
    assert ended["key-other"].hindrance
    ended, _ = run(processes, work(tmp_path, task(tmp_path, "other", seed=2)))
    assert isinstance(ended["key-other"], Done)


def test_what_is_killed_is_lost(processes, tmp_path):
    told = Told()
    held = task(tmp_path, "held", metadata={"until": str(tmp_path / "never")})
    running = processes.start(work(tmp_path, held), told)
    told.wait_for("key-held", "stage_progress")
    running.kill()
    assert isinstance(outcomes(running)["key-held"], Lost)


def test_a_process_ends_with_its_parent(tmp_path):
    import subprocess
    import sys

    program = (
        "import sys, time; from itda.cluster.processes import Processes\n"
        f"one = Processes(1, device='cpu', command={CHILD!r})\n"
        "print(one.processes[0], flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: has_ended(child))


def has_ended(process: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_a_process_cannot_do_here_is_said_at_once(tmp_path):
    import pytest

    from itda.cluster.processes import Processes
    from itda.errors import CapabilityError

    with pytest.raises(CapabilityError, match="no such device"):
        Processes(1, device="cuda:77", command=CHILD)


def test_what_a_run_forgets_fails_and_is_not_given_back_to_be_forgotten_again(
    this_process, tmp_path, monkeypatch
):
    monkeypatch.setattr(Engine, "run_plan", lambda *_arguments, **_named: (_ for _ in ()))
    ended, _ = run(this_process, work(tmp_path, task(tmp_path, "a"), task(tmp_path, "b")))
    assert all(isinstance(outcome, Failed) for outcome in ended.values())
    assert "'a' was lost" in ended["key-a"].error["problem"]
    assert ended["key-b"].error["kind"] == "UnexpectedError"


def test_work_that_ends_without_a_word_of_a_job_ends_the_job(this_process, tmp_path, monkeypatch):
    monkeypatch.setattr(Performer, "perform", lambda *_arguments: None)
    ended, _ = run(this_process, work(tmp_path, task(tmp_path, "a")))
    assert isinstance(ended["key-a"], Lost)


def test_a_process_that_is_free_without_a_word_of_a_job_ends_the_job(tmp_path):
    ready = {"device": "cpu", "device_kind": "cpu", "devices": ["cpu"], "memory_bytes": 2**30}
    script = f"""
import sys
print({json.dumps(json.dumps({"ready": ready}))}, flush=True)
for line in sys.stdin:
    print({json.dumps(json.dumps({"idle": False}))}, flush=True)
"""
    executor = Processes(1, device="cpu", command=(sys.executable, "-c", script))
    try:
        ended, _ = run(executor, work(tmp_path, task(tmp_path, "a")))
    finally:
        executor.close()
    assert isinstance(ended["key-a"], Lost)
    assert "without a word" in ended["key-a"].log
