import pytest
from fake_search import FakeSource, FakeTemplates

from itda.cli.estimate import Estimate, costs_of
from itda.engine.events import JobFailed, StageFinished, StageProgress, StageStarted
from itda.engine.plan import Settings, make_plan
from itda.engine.searches import Searches
from itda.job.model import Job

COSTS = {
    "a": {"alignment": [1.0], "templates": [], "predict": [100.0, 100.0]},
    "b": {"alignment": [2.0], "templates": [], "predict": [400.0]},
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def estimate(clock) -> Estimate:
    return Estimate(COSTS, clock=clock)


def stage(estimate, clock, job, name, seconds, *, cached=False) -> None:
    estimate.show(StageStarted(job=job, stage=name))
    clock.now += seconds
    estimate.show(StageFinished(job=job, stage=name, cached=cached, seconds=seconds))


def test_nothing_is_said_of_stages_that_were_never_seen(estimate, clock) -> None:
    assert estimate.seconds_left is None and estimate.fraction == 0
    stage(estimate, clock, "a", "alignment", 30)
    assert estimate.seconds_left is None
    estimate.show(StageStarted(job="a", stage="predict"))
    estimate.show(StageProgress(job="a", stage="predict", fraction=0.0))
    clock.now += 5
    estimate.show(StageProgress(job="a", stage="predict", fraction=0.5))
    # 5 s for 50 units; 50 + 100 + 400 units and an alignment of 60 s are ahead.
    assert estimate.seconds_left == pytest.approx(55 + 60)
    assert estimate.stage_seconds_left == pytest.approx(5)


def test_all_done_is_all_done(estimate, clock) -> None:
    for job, name in [("a", "alignment"), ("a", "predict"), ("a", "predict"), ("b", "alignment")]:
        stage(estimate, clock, job, name, 10)
    assert 0 < estimate.fraction < 1
    stage(estimate, clock, "b", "predict", 10)
    assert estimate.fraction == 1 and estimate.seconds_left == 0


def test_what_is_found_again_teaches_nothing(estimate, clock) -> None:
    stage(estimate, clock, "a", "alignment", 0.01, cached=True)
    stage(estimate, clock, "a", "predict", 0.01, cached=True)
    assert estimate.seconds_left is None
    stage(estimate, clock, "a", "predict", 10)
    stage(estimate, clock, "b", "alignment", 7)
    assert estimate.seconds_left == pytest.approx(40)


def test_what_a_killed_run_left_is_not_taken_for_speed(estimate, clock) -> None:
    estimate.show(StageStarted(job="a", stage="alignment"))
    estimate.show(StageProgress(job="a", stage="alignment", fraction=0.6))
    assert estimate.stage_seconds_left is None
    clock.now += 10
    estimate.show(StageProgress(job="a", stage="alignment", fraction=0.8))
    assert estimate.stage_seconds_left == pytest.approx(10)


def test_work_of_a_failed_job_is_no_longer_ahead(estimate, clock) -> None:
    estimate.show(StageStarted(job="a", stage="alignment"))
    estimate.show(JobFailed(job="a", error=ValueError()))
    stage(estimate, clock, "b", "alignment", 20)
    stage(estimate, clock, "b", "predict", 20)
    assert estimate.fraction == 1 and estimate.seconds_left == 0


def test_stage_of_no_cost_is_harmless(estimate, clock) -> None:
    stage(estimate, clock, "a", "validity", 3)
    assert estimate.seconds_left is None and estimate.fraction == 0


def test_costs_of_a_plan(family, tmp_path) -> None:
    path = tmp_path / "x.a3m"
    path.write_text(">q\nMKT\n")
    job = Job.from_sequence("a", "MKT" * 50)
    given = Job.from_sequence("b", "MKT").replace(seeds=(1, 2, 3))
    given = given.replace(entities=(given.entities[0].replace(msa=path),))
    plan = make_plan(
        [job, given], Settings(family, searches=Searches(FakeSource(), FakeTemplates()))
    )
    costs = costs_of(plan)
    assert [len(costs["a"][stage]) for stage in ("alignment", "templates", "predict")] == [1, 1, 1]
    assert [len(costs["b"][stage]) for stage in ("alignment", "templates", "predict")] == [0, 1, 3]
    assert costs["a"]["predict"] == [150.0**2] and costs["b"]["predict"] == [50.0**2] * 3
    assert costs["a"]["templates"][0] > costs["b"]["templates"][0]
    plain = costs_of(make_plan([job], Settings(family)))
    assert plain["a"]["alignment"] == plain["a"]["templates"] == []
