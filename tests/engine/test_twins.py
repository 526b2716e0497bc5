"""Jobs of a run that ask for the same: folded once, and each ends with a result of its own."""

import threading
import time

import numpy as np
import pytest
from fake_family import FakeFamily, FakeModel, install
from forgetful import Forgetful

from itda.engine import run as run_module
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, StageFinished
from itda.engine.ledger import Ledger
from itda.engine.plan import Settings
from itda.errors import LostJobError
from itda.job.model import Job
from itda.store.store import Store

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
PATIENCE_SECONDS = 2.0


@pytest.fixture
def family(monkeypatch) -> FakeFamily:
    return install(FakeFamily(batches=True), monkeypatch.setattr)


def twins(*names, **changes):
    return [Job.from_sequence(name, SEQUENCE).replace(**changes) for name in names]


def results(events):
    return {event.job: event.result for event in events if isinstance(event, JobFinished)}


def failures(events):
    return {event.job: event.error for event in events if isinstance(event, JobFailed)}


class SlowStore(Store):
    """Gives what it is asked for a second time only when the thread that folds has ended.

    Whoever thinks that all is done while a record is still looked up ends that thread.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.asked = set()

    def get(self, key):
        again, end = key in self.asked, time.monotonic() + PATIENCE_SECONDS
        self.asked.add(key)
        while again and time.monotonic() < end and _is_folding():
            time.sleep(0.01)
        return super().get(key)


def _is_folding():
    return any(thread.name == "itda-fold" for thread in threading.enumerate())


def test_none_is_lost_where_the_store_is_slow(family, tmp_path):
    store = SlowStore(tmp_path / "store")
    assert sorted(results(Engine(store, "cpu").run(twins("a", "b", "c")))) == ["a", "b", "c"]
    assert len(family.folded) == 1


@pytest.mark.parametrize("kept", [True, False])
def test_equal_jobs_are_folded_once(family, store, kept):
    found = results(Engine(store if kept else None, "cpu").run(twins("one", "two", "three")))
    assert len(found) == 3 and len(family.folded) == 1
    assert sorted(result.cached for result in found.values()) == [False, True, True]
    for name, result in found.items():
        assert {prediction.name for prediction in result.predictions} == {name}
        assert all(prediction.validity is not None for prediction in result.predictions)
    np.testing.assert_array_equal(found["one"].atoms.coord, found["three"].atoms.coord)


def test_a_twin_tells_its_own_stages_and_its_own_evidence(family, store, tmp_path):
    """The same alignment, from files of different names."""
    jobs = []
    for name in ("here", "there"):
        path = tmp_path / f"{name}.a3m"
        path.write_text(f">query\n{SEQUENCE}\n>hit\nA{SEQUENCE[1:]}\n")
        (job,) = twins(name)
        (entity,) = job.entities
        jobs.append(job.replace(entities=(entity.model_copy(update={"msa": path}),)))
    events = list(Engine(store, "cpu").run(jobs))
    found = results(events)
    assert len(family.folded) == 1
    for name, result in found.items():
        assert result.provenance.inputs["alignment_source"].endswith(f"{name}.a3m")
        stages = [e for e in events if e.job == name and isinstance(e, StageFinished)]
        assert [one.stage for one in stages] == ["alignment", "predict", "validity"]
        assert all(one.cached is result.cached for one in stages[1:])


@pytest.mark.parametrize("bad", ["crash", "unfinished"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_failure_is_of_its_job_alone_and_its_twins_are_tried(family, store, kept, bad):
    events = list(
        Engine(store if kept else None, "cpu").run(twins(bad, f"{bad}2", "good", "good2"))
    )
    assert sorted(failures(events)) == [bad, f"{bad}2"]
    assert sorted(results(events)) == ["good", "good2"]
    assert family.folded == ["good"]


def test_jobs_that_share_some_seeds(family, store):
    first, second = twins("first", "second")
    jobs = [first.replace(seeds=(1, 2)), second.replace(seeds=(2, 3))]
    found = results(Engine(store, "cpu").run(jobs))
    assert sorted(family.folded) == ["first", "first", "second"]
    for job in jobs:
        assert {one.seed for one in found[job.name].predictions} == set(job.seeds)
        assert {one.name for one in found[job.name].predictions} == {job.name}


def test_one_seed_that_fails_ends_its_job_once_and_last(family, monkeypatch):
    def crash_at_seed_1(model, orders, **_named):
        if any(order.seed == 1 and order.job.name == "many" for order in orders):
            raise ZeroDivisionError("seed 1")
        return real(model, orders, **_named)

    real = FakeModel.begin
    monkeypatch.setattr(FakeModel, "begin", crash_at_seed_1)
    many, other = twins("many", "other")
    jobs = [many.replace(seeds=(0, 1, 2)), other.replace(seeds=(1, 2))]
    events = list(Engine(None, "cpu").run(jobs))
    assert sorted(failures(events)) == ["many"] and sorted(results(events)) == ["other"]
    mine = [event for event in events if event.job == "many"]
    assert isinstance(mine[-1], JobFailed)


def test_more_twins_than_may_wait(family, store, monkeypatch):
    monkeypatch.setattr(run_module, "GATHERED_MOST", 4)
    many = twins(*(f"twin{number}" for number in range(12)))
    assert len(results(Engine(store, "cpu").run(many))) == 12 and len(family.folded) == 1
    assert len(results(Engine(store, "cpu").run(many))) == 12 and len(family.folded) == 1
    assert len(results(Engine(None, "cpu").run(many))) == 12


def test_results_wait_in_memory_for_nobody(family, store):
    seen = []

    class Watched(Ledger):
        def settle(self, fold, result):
            settled = super().settle(fold, result)
            seen.append(sum(len(job.results) for job in self._open.values()))
            return settled

    jobs = [*twins("a", "b"), Job.from_sequence("c", SEQUENCE[1:])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "Ledger", Watched)
        assert len(results(Engine(store, "cpu").run(jobs))) == 3
    assert seen == [0, 0]


def test_what_a_run_loses_fails_loudly(family, store, monkeypatch):
    monkeypatch.setattr(run_module, "Ledger", Forgetful)
    events = list(Engine(store, "cpu").run(twins("a", "b", "c")))
    assert sorted(results(events)) == ["a"]
    errors = failures(events)
    assert sorted(errors) == ["b", "c"]
    assert all(isinstance(error, LostJobError) for error in errors.values())
    assert "'b' was lost" in str(errors["b"])


def test_what_is_told_to_stop_loses_nothing(family, store):
    engine = Engine(store, "cpu")
    plan = engine.plan(twins("slow", "slow2"), Settings(family))
    events = list(engine.run_plan(plan, stop=lambda: True))
    assert not failures(events) and not results(events)
