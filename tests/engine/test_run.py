"""Batches of an engine: what they share, and what becomes of those that fail."""

import types

import numpy as np
import pytest
from fake_family import FakeFamily, install

from itda.cost.predictor import Predictor
from itda.engine import run as run_module
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, JobStarted, JobWarned, StageStarted
from itda.engine.loaded import Loaded
from itda.errors import CapabilityError
from itda.job.model import Job

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


@pytest.fixture
def family(monkeypatch) -> FakeFamily:
    return install(FakeFamily(batches=True), monkeypatch.setattr)


@pytest.fixture
def jobs():
    def called(*names: str) -> list[Job]:
        return [Job.from_sequence(name, SEQUENCE[place:]) for place, name in enumerate(names)]

    return called


def batches(family):
    return [batch for model in family.models for batch in model.batches]


def results(events):
    return {event.job: event.result for event in events if isinstance(event, JobFinished)}


def failures(events):
    return {event.job: event.error for event in events if isinstance(event, JobFailed)}


def test_small_jobs_share_a_batch_and_have_the_results_that_they_have_alone(family, jobs):
    asked = jobs("a", "b", "c")
    together = results(Engine(None, "cpu").run(asked))
    assert sorted(batches(family)[0]) == ["a", "b", "c"]
    for job in asked:
        alone = results(Engine(None, "cpu").run([job]))[job.name]
        assert alone.digest == together[job.name].digest
        np.testing.assert_array_equal(alone.atoms.coord, together[job.name].atoms.coord)


def test_no_more_at_once_than_told(family, jobs):
    assert len(results(Engine(None, "cpu", at_once=2).run(jobs("a", "b", "c", "d", "e")))) == 5
    assert sorted(map(len, batches(family))) == [1, 2, 2]


def test_each_job_begins_once_and_ends_once(family, jobs):
    events = list(Engine(None, "cpu").run(jobs("a", "b", "crash", "d")))
    for name in ("a", "b", "crash", "d"):
        mine = [event for event in events if event.job == name]
        assert isinstance(mine[0], JobStarted)
        assert isinstance(mine[-1], JobFailed if name == "crash" else JobFinished)
        assert sum(isinstance(event, JobStarted) for event in mine) == 1
        assert sum(isinstance(e, StageStarted) and e.stage == "predict" for e in mine) == 1
    assert {event.position for event in events if isinstance(event, JobStarted)} == {1, 2, 3, 4}


@pytest.mark.parametrize("bad", ["crash", "unfinished"])
def test_one_that_fails_leaves_the_others_of_its_batch(family, jobs, bad):
    events = list(Engine(None, "cpu").run(jobs("a", bad, "c", "d")))
    assert sorted(results(events)) == ["a", "c", "d"]
    (error,) = failures(events).values()
    assert isinstance(error, ZeroDivisionError)
    assert max(map(len, batches(family))) == 4


def test_memory_that_runs_out_halves_the_batch_then_spares_memory_then_refuses(
    family, jobs, monkeypatch
):
    learned = []
    monkeypatch.setattr(
        Predictor, "learn_exhausted", lambda _self, load: learned.append(load.tokens)
    )
    events = list(Engine(None, "cpu").run(jobs("a", "b", "exhausted", "d")))
    assert sorted(results(events)) == ["a", "b", "d"]
    (error,) = failures(events).values()
    assert isinstance(error, CapabilityError) and "31 residues" in str(error) and error.hint
    assert [len(tokens) for tokens in learned] == [4, 2, 1, 1]
    warnings = [event for event in events if isinstance(event, JobWarned)]
    assert [event.job for event in warnings] == ["exhausted"]
    assert "memory" in warnings[0].message


def test_seeds_of_a_job_are_folded_together_and_ranked(family, jobs, store):
    (job,) = jobs("a")
    many = job.replace(seeds=(1, 2, 3), samples=2)
    found = results(Engine(store, "cpu").run([many]))["a"]
    assert batches(family) == [["a", "a", "a"]]
    assert len(found.predictions) == 6
    assert {prediction.seed for prediction in found.predictions} == {1, 2, 3}
    again = results(Engine(store, "cpu").run([many.replace(seeds=(1, 2, 3, 4))]))["a"]
    assert len(again.predictions) == 8 and batches(family)[-1] == ["a"]


def test_a_job_that_does_not_fit_is_refused_before_weights_are_read(family, jobs, monkeypatch):
    monkeypatch.setattr(
        Predictor, "fits", lambda _self, load: max(load.tokens) <= len(SEQUENCE) - 1
    )
    events = list(Engine(None, "cpu").run(jobs("long", "fits")))
    assert isinstance(events[0], JobFailed) and events[0].refused and events[0].job == "long"
    assert f"{len(SEQUENCE) - 1} residues fit" in str(events[0].error)
    assert list(results(events)) == ["fits"]


def test_a_long_run_waits_for_the_model_with_few_jobs_at_hand(family, jobs, monkeypatch):
    monkeypatch.setattr(run_module, "GATHERED_MOST", 2)
    asked = jobs(*(f"j{number}" for number in range(12)))
    assert len(results(Engine(None, "cpu").run(asked))) == 12
    assert max(map(len, batches(family))) <= 3


def test_a_model_is_loaded_anew_to_spare_the_memory_of_a_device():
    loads = []

    def load(frugal):
        loads.append(frugal)
        return types.SimpleNamespace(device="cuda:0")

    loaded = Loaded(load)
    loaded.become_frugal()
    loaded.become_frugal()
    assert loads == [False, True]
