import json
from typing import Any

import pytest
from fake_family import helix

from itda.cli import progress as progress_module
from itda.cli.progress import BarView, JsonView, QuietView, View, choose_view
from itda.cli.progress_style import ProgressStyle
from itda.engine.events import (
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.errors import InputError
from itda.job.model import Job
from itda.results.result import Result

NAMES = [f"job_{number}" for number in range(20)]
COSTS = {name: {"alignment": [1.0], "predict": [100.0]} for name in NAMES}


def begin(view: View, *names: str) -> None:
    for name in names:
        view.show(JobStarted(job=name, position=NAMES.index(name) + 1, total=len(NAMES)))


def stage(view: View, name: str, *jobs: str) -> None:
    for job in jobs:
        view.show(StageStarted(job=job, stage=name))


def further(view: View, name: str, fraction: float, *jobs: str, message: str = "network") -> None:
    for job in jobs:
        view.show(StageProgress(job=job, stage=name, fraction=fraction, message=message))


def finish(view: View, *jobs: str) -> None:
    for name in jobs:
        job = Job.from_sequence(name, "MKTAY")
        result = Result(job, (helix(job, 0, 0),), digest="x", cached=False, seconds=1.0)
        view.show(StageFinished(job=name, stage="predict", cached=False, seconds=1.0))
        view.finished(JobFinished(job=name, result=result), [])


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Lines are not held back."""
    monkeypatch.setattr(progress_module, "_LINE_EVERY_SECONDS", 0.0)


class FakeBar:
    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def add_task(self, description: str, **fields: Any) -> int:
        return 0

    def update(self, task: int, **fields: Any) -> None:
        self.fields |= fields

    @property
    def shown(self) -> str:
        return f"{self.fields['description']} | {self.fields['stage']}"


class TestLines:
    def test_one_job(self, at_once, capsys) -> None:
        view = View(COSTS)
        begin(view, "job_0")
        stage(view, "predict", "job_0")
        further(view, "predict", 0.25, "job_0")
        finish(view, "job_0")
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "[1/20] job_0: folding"
        assert lines[1].startswith("[1/20] job_0: 25% network")
        assert lines[2].startswith("[1/20] job_0: pLDDT ")

    def test_batch_is_one_line(self, at_once, capsys) -> None:
        view = View(COSTS)
        begin(view, *NAMES[:16])
        stage(view, "predict", *NAMES[:16])
        further(view, "predict", 0.4, *NAMES[:16])
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "[1/20] job_0: folding"
        assert lines[-1].startswith("16 jobs: 40% network")
        assert not any(": folding" in line for line in lines[1:])
        finish(view, *NAMES[:16])
        lines = capsys.readouterr().err.splitlines()
        # Of many records the first sentence of a verdict alone stands below each.
        assert len(lines) == 32 and all(line.startswith("  ") for line in lines[1::2])
        assert [line.split(":")[0] for line in lines[::2]] == [
            f"[{number + 1}/20] job_{number}" for number in range(16)
        ]

    def test_search_beside_the_model_does_not_take_its_place(self, at_once, capsys) -> None:
        view = View(COSTS)
        begin(view, "job_0", "job_1")
        stage(view, "predict", "job_0")
        further(view, "predict", 0.4, "job_0")
        stage(view, "alignment", "job_1")
        further(view, "alignment", 0.9, "job_1", message="searching")
        assert "[1/20] job_0: 40% network" in capsys.readouterr().err.splitlines()[-1]
        finish(view, "job_0")
        further(view, "alignment", 0.95, "job_1", message="searching")
        assert "[2/20] job_1: alignment 95% searching" in capsys.readouterr().err

    def test_what_came_of_a_stage_is_told_of_its_job(self, capsys) -> None:
        view = View(COSTS)
        begin(view, "job_0", "job_1")
        stage(view, "alignment", "job_0", "job_1")
        told = StageFinished(
            job="job_0", stage="alignment", cached=True, seconds=0, message="9 relatives"
        )
        view.show(told)
        assert "[1/20] job_0: alignment: 9 relatives, found again" in capsys.readouterr().err


class TestBar:
    def test_batch_is_counted_and_does_not_flicker(self) -> None:
        bar = FakeBar()
        view = BarView(COSTS, bar)
        begin(view, *NAMES[:16])
        stage(view, "predict", *NAMES[:16])
        seen = set()
        for fraction in (0.2, 0.4):
            for name in NAMES[:16]:
                further(view, "predict", fraction, name)
                seen.add(bar.fields["description"])
        assert bar.shown == "16 jobs, 0 of 20 done | network 40%"
        assert seen == {"16 jobs, 0 of 20 done"}
        begin(view, "job_16")
        stage(view, "alignment", "job_16")
        further(view, "alignment", 0.5, "job_16", message="searching")
        assert bar.shown == "16 jobs, 0 of 20 done | network 40%"
        finish(view, *NAMES[:14])
        further(view, "predict", 0.5, "job_14", "job_15")
        assert bar.shown == "2 jobs, 14 of 20 done | network 50%"
        stage(view, "validity", "job_3")
        assert bar.shown.startswith("2 jobs")

    def test_two_batches_at_once_say_what_most_jobs_are_at(self) -> None:
        bar = FakeBar()
        view = BarView(COSTS, bar)
        begin(view, *NAMES[:7])
        stage(view, "predict", *NAMES[:7])
        seen = set()
        for _ in range(3):
            for name in NAMES[:4]:
                further(view, "predict", 0.75, name, message="geometry")
            for name in NAMES[4:7]:
                further(view, "predict", 0.4, name, message="network")
                seen.add(bar.fields["stage"])
        assert all(doing.startswith("geometry ") for doing in seen)
        assert bar.shown == "7 jobs, 0 of 20 done | geometry 60%"

    def test_one_job(self) -> None:
        bar = FakeBar()
        view = BarView(COSTS, bar)
        begin(view, "job_0")
        stage(view, "alignment", "job_0")
        further(view, "alignment", 0.5, "job_0", message="searching")
        assert bar.shown == "[1/20] job_0 | alignment: searching"
        stage(view, "predict", "job_0")
        further(view, "predict", 0.5, "job_0")
        assert bar.shown == "[1/20] job_0 | network"

    def test_long_name_leaves_room(self) -> None:
        bar = FakeBar()
        view = BarView({}, bar)
        view.show(JobStarted(job="x" * 200, position=1, total=1))
        assert len(bar.fields["description"]) < 40 and bar.fields["description"].endswith("…")


class TestJson:
    def lines(self, capsys) -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def test_remaining_seconds_where_they_are_known(self, capsys) -> None:
        view = JsonView({"job_0": {"predict": [100.0]}})
        begin(view, "job_0")
        stage(view, "predict", "job_0")
        further(view, "predict", 0.0, "job_0")
        assert self.lines(capsys)[-1]["remaining_seconds"] is None
        view = JsonView({"job_0": {"predict": [100.0]}}, {"job_0": {"predict": 50.0}})
        stage(view, "predict", "job_0")
        further(view, "predict", 0.0, "job_0")
        first, last = self.lines(capsys)
        assert last["remaining_seconds"] == pytest.approx(50, rel=0.1)
        assert "remaining_seconds" not in first

    def test_finished_job_is_no_longer_ahead(self, capsys) -> None:
        costs = {name: {"predict": [1.0]} for name in ("job_0", "job_1")}
        view = JsonView(costs, {name: {"predict": 50.0} for name in costs})
        stage(view, "predict", "job_0", "job_1")
        finish(view, "job_0")
        further(view, "predict", 0.0, "job_1")
        assert self.lines(capsys)[-1]["remaining_seconds"] <= 55


class TestChoice:
    @pytest.mark.parametrize(
        ("style", "view"),
        [("auto", View), ("lines", View), ("json", JsonView), ("none", QuietView)],
    )
    def test_styles(self, style, view) -> None:
        with choose_view(COSTS, style=style) as chosen:
            assert type(chosen) is view

    def test_bar_where_it_is_asked_for(self) -> None:
        with choose_view(COSTS, style=ProgressStyle.BAR) as chosen:
            assert type(chosen) is BarView

    def test_auto_on_a_terminal(self, monkeypatch) -> None:
        monkeypatch.setattr(progress_module.sys.stderr, "isatty", lambda: True, raising=False)
        with choose_view(COSTS) as chosen:
            assert type(chosen) is BarView

    def test_unknown_style(self) -> None:
        with pytest.raises(ValueError, match="dots"), choose_view(COSTS, style="dots"):
            pass

    def test_none_says_problems_only(self, capsys) -> None:
        with choose_view(COSTS, style="none") as view:
            begin(view, "job_0", "job_1")
            stage(view, "predict", "job_0")
            finish(view, "job_0")
            assert capsys.readouterr() == ("", "")
            view.show(JobWarned(job="job_1", message="beware"))
            view.show(JobFailed(job="job_1", error=InputError("wrong", hint="mend it")))
        out, err = capsys.readouterr()
        assert out == "" and "beware" in err and "wrong" in err and "mend it" in err

    def test_json_ends_with_what_stopped_it(self, capsys) -> None:
        with pytest.raises(InputError), choose_view(COSTS, style="json"):
            raise InputError("wrong", hint="mend it")
        assert json.loads(capsys.readouterr().out)["event"] == "run_failed"
