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


BATCH = {job: {"alignment": [1.0], "predict": [100.0]} for job in "abcd"}


def start(estimate, stage_name: str, *jobs: str) -> None:
    for job in jobs:
        estimate.show(StageStarted(job=job, stage=stage_name))


def progress(estimate, stage_name: str, fraction: float, *jobs: str) -> None:
    for job in jobs:
        estimate.show(StageProgress(job=job, stage=stage_name, fraction=fraction))


def finish(estimate, stage_name: str, *jobs: str, seconds: float = 0.0, cached=False) -> None:
    for job in jobs:
        estimate.show(StageFinished(job=job, stage=stage_name, cached=cached, seconds=seconds))


class TestSeveralAtOnce:
    @pytest.fixture
    def batch(self, clock) -> Estimate:
        return Estimate({job: {"predict": [100.0]} for job in "abcd"}, clock=clock)

    def test_batch_of_which_all_take_the_time_of_one(self, batch, clock) -> None:
        start(batch, "predict", "a", "b")
        clock.now += 3
        progress(batch, "predict", 0.5, "a", "b")
        clock.now += 3
        progress(batch, "predict", 0.75, "a", "b")
        assert batch.jobs_in("predict") == ["a", "b"]
        assert batch.stage_fraction("predict") == pytest.approx(0.75)
        assert batch.fraction == pytest.approx(1.5 / 4)
        # What it was at when it first spoke is not known to be of this run: 3 s for a quarter.
        assert batch.stage_seconds_left == pytest.approx(3)
        assert batch.seconds_left == pytest.approx(3 + 12)
        clock.now += 3
        # Each says what the whole batch took; that is not twice the time.
        finish(batch, "predict", "a", "b", seconds=9)
        assert batch.jobs_in("predict") == [] and batch.fraction == pytest.approx(0.5)
        assert batch.seconds_left == pytest.approx(12)

    def test_batch_ends_one_after_the_other(self, batch, clock) -> None:
        start(batch, "predict", *"abcd")
        for number, job in enumerate("abcd"):
            clock.now += 1
            finish(batch, "predict", job)
            assert batch.fraction == pytest.approx((number + 1) / 4)
        assert batch.seconds_left == 0

    def test_failed_job_leaves_the_others_of_its_batch(self, batch, clock) -> None:
        start(batch, "predict", "a", "b")
        batch.show(JobFailed(job="a", error=ValueError()))
        assert batch.jobs_in("predict") == ["b"]
        clock.now += 5
        finish(batch, "predict", "b")
        assert batch.seconds_left == pytest.approx(10)

    def test_two_seeds_of_a_job_at_once(self, clock) -> None:
        estimate = Estimate({"a": {"predict": [100.0, 100.0]}}, clock=clock)
        start(estimate, "predict", "a", "a")
        clock.now += 4
        finish(estimate, "predict", "a")
        assert estimate.fraction == pytest.approx(0.5)
        clock.now += 4
        finish(estimate, "predict", "a")
        assert estimate.fraction == 1

    def test_searches_beside_the_model_are_not_added_to_it(self, clock) -> None:
        estimate = Estimate(BATCH, clock=clock)
        start(estimate, "alignment", "a")
        clock.now += 10
        finish(estimate, "alignment", "a")
        start(estimate, "predict", "a")
        start(estimate, "alignment", "b")
        clock.now += 10
        finish(estimate, "alignment", "b")
        clock.now += 10
        finish(estimate, "predict", "a")
        # Three folds of 20 s are ahead, and two searches of 10 s that run beside them.
        assert estimate.seconds_left == pytest.approx(60)

    def test_searches_before_the_model_are_added_to_it(self, clock) -> None:
        estimate = Estimate(BATCH, clock=clock)
        start(estimate, "alignment", "a")
        clock.now += 10
        finish(estimate, "alignment", "a")
        start(estimate, "predict", "a")
        clock.now += 20
        finish(estimate, "predict", "a")
        assert estimate.seconds_left == pytest.approx(3 * 20 + 3 * 10)

    def test_stage_that_was_found_again_beside_others_teaches_nothing(self, batch, clock) -> None:
        start(batch, "predict", "a", "b")
        clock.now += 5
        finish(batch, "predict", "a", cached=True)
        clock.now += 5
        finish(batch, "predict", "b", cached=True)
        assert batch.seconds_left is None and batch.fraction == 0.5


class TestPredicted:
    def test_is_gone_by_until_something_was_measured(self, clock) -> None:
        seconds = {job: {"alignment": 30.0, "predict": 5.0} for job in "abcd"}
        estimate = Estimate(BATCH, seconds, clock=clock)
        assert estimate.seconds_left == pytest.approx(140)
        assert estimate.fraction == 0

    def test_is_scaled_by_what_was_measured(self, clock) -> None:
        seconds = {"a": {"predict": 10.0}, "b": {"predict": 90.0}}
        estimate = Estimate({job: {"predict": [1.0]} for job in "ab"}, seconds, clock=clock)
        start(estimate, "predict", "a")
        clock.now += 20
        finish(estimate, "predict", "a")
        assert estimate.seconds_left == pytest.approx(180, rel=0.1)
        assert estimate.fraction == pytest.approx(0.1)

    def test_first_small_piece_does_not_decide(self, clock) -> None:
        seconds = {"a": {"predict": 0.01}, "b": {"predict": 100.0}}
        estimate = Estimate({job: {"predict": [1.0]} for job in "ab"}, seconds, clock=clock)
        start(estimate, "predict", "a")
        clock.now += 0.1
        finish(estimate, "predict", "a")
        assert estimate.seconds_left == pytest.approx(100, rel=0.1)

    def test_is_shared_by_the_seeds_of_a_job(self, clock) -> None:
        estimate = Estimate({"a": {"predict": [1.0, 1.0]}}, {"a": {"predict": 10.0}}, clock=clock)
        start(estimate, "predict", "a")
        clock.now += 5
        finish(estimate, "predict", "a")
        assert estimate.seconds_left == pytest.approx(5)

    def test_job_of_which_nothing_is_predicted_is_as_fast_as_the_others(self, clock) -> None:
        estimate = Estimate(BATCH, {"a": {"predict": 4.0, "alignment": 0.0}}, clock=clock)
        assert estimate.seconds_left is None  # of alignments nothing is known
        plain = {job: {"predict": [100.0]} for job in "abcd"}
        assert Estimate(plain, {"a": {"predict": 4.0}}).seconds_left == pytest.approx(16)

    def test_kind_that_costs_do_not_name(self, clock) -> None:
        estimate = Estimate({"a": {"predict": [1.0]}}, {"a": {"predict": 4.0, "relax": 6.0}})
        assert estimate.seconds_left == pytest.approx(10)


AFTER_WEIGHTS = {
    "a": {"weights": [1.0], "predict": [100.0]},
    "b": {"weights": [], "predict": [100.0]},
}


class TestWeights:
    def test_are_work_of_the_first_job(self, clock) -> None:
        estimate = Estimate(AFTER_WEIGHTS, clock=clock)
        start(estimate, "weights", "a")
        clock.now += 6
        progress(estimate, "weights", 0.0, "a")
        assert estimate.fraction == 0
        clock.now += 6
        progress(estimate, "weights", 0.5, "a")
        assert 0 < estimate.fraction < 1
        assert estimate.stage_seconds_left == pytest.approx(12)
        finish(estimate, "weights", "a")
        assert estimate.jobs_in("weights") == []

    def test_are_over_when_something_is_folded(self, clock) -> None:
        estimate = Estimate(AFTER_WEIGHTS, clock=clock)
        start(estimate, "predict", "b")
        clock.now += 6
        finish(estimate, "predict", "b")
        assert estimate.seconds_left == pytest.approx(6)

    @pytest.mark.parametrize("waits", [True, False])
    def test_are_foreseen_where_they_must_be_prepared(self, family, monkeypatch, waits) -> None:
        from itda.cli import estimate as module

        monkeypatch.setattr(module, "needs_preparation", lambda _family: waits)
        jobs = [Job.from_sequence(name, "MKT" * 50) for name in "ab"]
        costs = costs_of(make_plan(jobs, Settings(family)))
        assert [list(costs[name]["weights"]) for name in "ab"] == [[1.0] if waits else [], []]
