import csv
import json
import os

import pytest

from itda.atomic import DiskFullError
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished
from itda.engine.plan import Settings, make_plan
from itda.errors import InputError, OutputError
from itda.job.model import Job
from itda.results.folder import OutputFolder

SEQUENCE = "MKTAYIAKQR"


@pytest.fixture
def jobs() -> list[Job]:
    return [Job.from_sequence(name, SEQUENCE[place:]) for place, name in enumerate("abc")]


@pytest.fixture
def start(family, tmp_path):
    """Give a prepared folder, and the plan to run."""

    def prepare(jobs, *, overwrite=False, rejected=(), **settings):
        plan = make_plan(jobs, Settings(family, **settings))
        folder = OutputFolder(
            tmp_path / "out",
            plan.requests,
            refused=[*rejected, *plan.refused],
            settings=plan.settings.shown(),
            overwrite=overwrite,
        )
        folder.prepare()
        return folder, plan

    return prepare


def run(folder, plan, *, stop_after=99) -> None:
    for event in Engine(None, "cpu").run_plan(plan):
        if isinstance(event, JobFinished):
            folder.write(event.result)
            stop_after -= 1
        elif isinstance(event, JobFailed) and not event.refused:
            folder.fail(event)
        if not stop_after:
            return
    folder.write_summary("finished")


def summary(folder):
    return json.loads((folder.folder / "summary.json").read_bytes())


def statuses(folder):
    return {record["name"]: record["status"] for record in summary(folder)["records"]}


def test_summary_stands_before_the_work(start, jobs) -> None:
    folder, _ = start(jobs)
    assert summary(folder)["status"] == "running"
    assert statuses(folder) == {"a": "waiting", "b": "waiting", "c": "waiting"}


def test_summary_has_every_record_in_order(start, jobs) -> None:
    crash = Job.from_sequence("crash", "MKTW")
    pair = Job.from_sequence("pair", "MKT:MKV")
    rejected = [("", 6, InputError("x.fa, record 6: is empty", hint="remove it"))]
    folder, plan = start([jobs[0], crash, pair, *jobs[1:]], rejected=rejected)
    run(folder, plan)
    found = summary(folder)
    assert [
        (record["position"], record["name"], record["status"]) for record in found["records"]
    ] == [
        (1, "a", "done"),
        (2, "crash", "failed"),
        (3, "pair", "refused"),
        (4, "b", "done"),
        (5, "c", "done"),
        (6, "", "refused"),
    ]
    assert found["counts"] == {"done": 3, "failed": 1, "refused": 2, "waiting": 0}
    assert found["records"][1]["error"]["problem"] == "ZeroDivisionError: nobody expected this"
    assert found["records"][5]["error"]["hint"] == "remove it"
    assert found["records"][0]["residues"] == 10
    assert all((folder.folder / name).is_file() for name in found["records"][0]["files"])
    assert found["settings"]["family"] == "mini" and found["status"] == "finished"


def test_table_is_the_same_as_the_json(start, jobs) -> None:
    folder, plan = start(jobs)
    run(folder, plan)
    with (folder.folder / "summary.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row, record in zip(rows, summary(folder)["records"], strict=True):
        assert row["name"] == record["name"] and row["status"] == "done"
        assert float(row["mean_plddt"]) == record["mean_plddt"]
        assert row["files"].split() == record["files"]


def test_line_ends_in_errors_do_not_break_the_table(start, jobs) -> None:
    rejected = [("two\tlines", 4, InputError("first\nsecond\tthird"))]
    folder, plan = start(jobs, rejected=rejected)
    run(folder, plan)
    lines = (folder.folder / "summary.tsv").read_text().splitlines()
    assert len(lines) == 5 and "first second third" in lines[-1]


def test_same_run_again_is_welcome(start, jobs) -> None:
    run(*start(jobs))
    again, plan = start(jobs)
    assert set(statuses(again).values()) == {"done"}
    run(again, plan)
    assert again.done == 3


def test_mended_and_added_records_are_welcome(start, jobs) -> None:
    run(*start([jobs[0], Job.from_sequence("pair", "MKT:MKV")]))
    mended = Job.from_sequence("pair", "MKTW")
    folder, plan = start([jobs[0], mended, jobs[1]])
    run(folder, plan)
    assert statuses(folder) == {"a": "done", "pair": "done", "b": "done"}


def test_other_sequence_of_the_same_name_is_refused(start, jobs) -> None:
    run(*start(jobs))
    other = Job.from_sequence("b", "WWWWW")
    with pytest.raises(OutputError, match="another run: b") as caught:
        start([jobs[0], other, jobs[2]])
    assert "--overwrite" in caught.value.hint


@pytest.mark.parametrize("change", [{"seed": 3}, {"samples": 2}, {"recycles": 0}])
def test_other_settings_are_refused(start, jobs, change) -> None:
    run(*start(jobs))
    with pytest.raises(OutputError, match="a, b, c"):
        start(jobs, **change)


def test_results_that_this_run_does_not_have_are_refused(start, jobs) -> None:
    run(*start(jobs))
    with pytest.raises(OutputError, match="another run: c"):
        start(jobs[:2])


def test_strangers_with_a_result_s_name_are_refused(start, jobs, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.html").write_text("precious")
    with pytest.raises(OutputError, match="b"):
        start(jobs)
    assert (tmp_path / "out" / "b.html").read_text() == "precious"


def test_other_files_are_left_alone(start, jobs, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run(*start(jobs))
    run(*start(jobs, overwrite=True, seed=2))
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_overwrite_leaves_nothing_of_the_other_run(start, jobs, tmp_path) -> None:
    run(*start(jobs, samples=3))
    run(*start(jobs[:1], overwrite=True))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.cif",
        "a.confidence.json",
        "a.pae.npz",
        "a.html",
        "summary.json",
        "summary.tsv",
    }


def test_stopped_run_goes_on(start, jobs, tmp_path) -> None:
    run(*start(jobs), stop_after=1)
    (tmp_path / "out" / "b.cif").write_text("torn: its job was not finished")
    folder, plan = start(jobs)
    run(folder, plan)
    assert set(statuses(folder).values()) == {"done"}


def test_summary_cannot_point_out_of_the_folder(start, jobs, tmp_path) -> None:
    run(*start(jobs))
    precious = tmp_path / "precious"
    precious.write_text("x")
    path = tmp_path / "out" / "summary.json"
    found = json.loads(path.read_bytes())
    found["records"][0]["files"] = ["../precious", str(precious)]
    path.write_text(json.dumps(found))
    run(*start(jobs, overwrite=True, seed=2))
    assert precious.read_text() == "x"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', '{"records": 3}'])
def test_broken_summary_is_no_summary(start, jobs, tmp_path, content) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text(content)
    run(*start(jobs))


def test_file_in_place_of_the_folder_is_refused(start, jobs, tmp_path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        start(jobs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_refused(start, jobs, tmp_path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="out: cannot be written"):
        start(jobs)


def test_folder_that_cannot_be_made_is_refused(family, jobs, tmp_path) -> None:
    (tmp_path / "file").touch()
    plan = make_plan(jobs, Settings(family))
    folder = OutputFolder(tmp_path / "file" / "out", plan.requests, settings=plan.settings.shown())
    with pytest.raises(OutputError, match="file/out: cannot be written"):
        folder.prepare()


def test_too_little_room_is_refused_before_work(start, jobs, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10_000}))
    with pytest.raises(DiskFullError, match="are needed, 0 MB are free"):
        start(jobs)
