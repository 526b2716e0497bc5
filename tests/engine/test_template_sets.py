"""Folds after several candidate sets of templates, by a family that lets confidence choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from fake_family import FakeFamily, FakeModel, helix, install
from fake_search import FakeTemplates

from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, JobWarned
from itda.engine.plan import Settings
from itda.engine.searches import Searches
from itda.errors import CapabilityError
from itda.job.model import Job
from itda.models.demand import Demand, Load
from itda.models.family import Order, Portion
from itda.results.choice import choice_of, choice_told
from itda.results.result import Result
from itda.store.store import Store
from itda.structure.prediction import Prediction

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
ALL = ("0abc_A", "1abc_A", "2abc_A", "3abc_A")
NORMAL = [ALL, ALL[:1], ALL[1:2], (), ALL[2:3]]
"""Sets of templates that are all alike: no group differs from all together."""

PLDDT = {ALL: 70.0, ALL[:1]: 60.0, ALL[1:2]: 85.0, (): 40.0}


class ShiftedTemplates(FakeTemplates):
    """Finds helices that lie in different places, so that no two are the same to a model."""

    def search(self, query, **told):
        found = super().search(query, **told)
        shifted = (
            dataclasses.replace(one, coordinates=one.coordinates + np.float32(number))
            for number, one in enumerate(found.templates)
        )
        return dataclasses.replace(found, templates=tuple(shifted))


class ChoosingModel(FakeModel):
    """Notes what it is asked for; its confidence hangs on the templates."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.asked: list[tuple[str, int, int, tuple[str, ...], bool]] = []
        self.orders_before_crash: int | None = None

    def begin(self, orders: Sequence[Order], *, recycles, progress):
        for place, order in enumerate(orders):
            if self.orders_before_crash is not None:
                self.orders_before_crash -= 1
                if self.orders_before_crash < 0:
                    raise ZeroDivisionError("the machine went away")
            yield Portion(
                tuple((place, sample) for sample in order.samples),
                lambda _progress, order=order: self._finish(order),
            )

    def _finish(self, order: Order) -> list[Prediction]:
        chain = order.evidence.chain("A")
        names = tuple(template.name for template in chain.templates)
        found = []
        for sample in order.samples:
            drawn = sample != order.answer
            self.asked.append((order.job.name, order.seed, sample, names, drawn))
            prediction = helix(order.job, order.seed, sample if drawn else 0, self.device)
            plddt = np.full_like(prediction.plddt, PLDDT.get(names, 50.0) - 10 * drawn)
            found.append(dataclasses.replace(prediction, plddt=plddt, sample=sample))
        return found


class ChoosingFamily(FakeFamily):
    capabilities = dataclasses.replace(FakeFamily.capabilities, template_sets=True)
    orders_before_crash: int | None = None

    def load(self, weights, device, *, frugal=False) -> ChoosingModel:
        model = ChoosingModel(device)
        model.orders_before_crash = self.orders_before_crash
        self.models.append(model)
        return model

    @property
    def asked(self) -> list[tuple[str, int, int, tuple[str, ...], bool]]:
        return [one for model in self.models for one in getattr(model, "asked", ())]


@pytest.fixture
def family(monkeypatch) -> ChoosingFamily:
    return install(ChoosingFamily(batches=True), monkeypatch.setattr)


Fold = Callable[..., dict[str, Result]]


@pytest.fixture
def fold(family, store: Store) -> Fold:
    def fold(*jobs: Job, templates: int | None = 5, **settings: object) -> dict[str, Result]:
        searches = Searches(
            templates=None if templates is None else ShiftedTemplates(count=templates)
        )
        engine = Engine(store, "cpu")
        asked = Settings(family, searches=searches, **settings)
        events = list(engine.run_plan(engine.plan(jobs, asked)))
        failures = [event.error for event in events if isinstance(event, JobFailed)]
        if failures:
            raise failures[0]
        return {event.job: event.result for event in events if isinstance(event, JobFinished)}

    return fold


@pytest.fixture
def job() -> Job:
    return Job.from_sequence("a", SEQUENCE)


def sets_of(result: Result) -> dict[int, tuple[str, ...]]:
    found = {}
    for prediction in result.predictions:
        choice = choice_of(prediction)
        assert choice is not None
        found[prediction.sample] = choice.templates
    return found


def test_each_set_is_a_sample_and_the_most_confident_is_the_best(fold, family, job) -> None:
    result = fold(job)["a"]
    assert sets_of(result) == dict(enumerate(NORMAL))
    assert [one.sample for one in result.predictions] == [2, 0, 1, 4, 3]
    assert all(not drawn for *_, drawn in family.asked)
    assert result.job.samples == 5
    # What the result rests on is what its best prediction was made of.
    chain = result.evidence.chain("A")
    assert [one.name for one in chain.templates] == ["1abc_A"]
    assert [hit.name for hit in chain.hits if hit.used] == ["1abc_A"]
    assert result.provenance.inputs["templates"] == "1abc_A"
    assert choice_told(result) == (
        "of 5 candidate sets, template 1abc_A alone gave the most confident fold: pLDDT 85; "
        "all together 70; without templates 40"
    )


@pytest.mark.parametrize(("effort", "sets"), [("quick", 1), ("normal", 5), ("thorough", 6)])
def test_effort_says_how_many_sets(fold, job, effort: str, sets: int) -> None:
    result = fold(job, effort=effort)["a"]
    assert len(result.predictions) == result.job.samples == sets
    if sets == 1:
        assert choice_of(result.best) is None and choice_told(result) is None
        assert result.provenance.inputs["templates"] == ", ".join(ALL)


def test_fewer_samples_are_the_first_sets(fold, job) -> None:
    assert sets_of(fold(job, samples=3)["a"]) == dict(enumerate(NORMAL[:3]))


def test_samples_beyond_the_sets_are_drawn_from_the_first(fold, family, job) -> None:
    result = fold(job, samples=7)["a"]
    assert sets_of(result) == dict(enumerate([*NORMAL, ALL, ALL]))
    assert sorted(one[2] for one in family.asked if one[-1]) == [5, 6]


@pytest.mark.parametrize("templates", [0, None])
def test_without_templates_there_is_one_sample(fold, job, templates: int | None) -> None:
    result = fold(job, templates=templates)["a"]
    assert len(result.predictions) == result.job.samples == 1
    assert choice_of(result.best) is None


def test_one_template_is_folded_after_and_without(fold, job) -> None:
    assert sets_of(fold(job, templates=1)["a"]) == {0: ALL[:1], 1: ()}


def test_every_seed_has_every_set(fold, job) -> None:
    result = fold(job.replace(seeds=(3, 4)))["a"]
    assert len(result.predictions) == 10
    assert {(one.seed, one.sample) for one in result.predictions} == {
        (seed, sample) for seed in (3, 4) for sample in range(5)
    }


def test_what_is_asked_for_beside_changes_no_fold(fold, family, job) -> None:
    quick = fold(job, effort="quick")["a"]
    bare = fold(job, templates=None)["a"]
    assert len(family.asked) == 2
    normal = fold(job)["a"]
    # All together and without templates are there; the numbers are those of the new run.
    assert [one[3] for one in family.asked[2:]] == [NORMAL[1], NORMAL[2], NORMAL[4]]
    by_sample = {one.sample: one for one in normal.predictions}
    np.testing.assert_array_equal(by_sample[0].plddt, quick.plddt)
    np.testing.assert_array_equal(by_sample[3].plddt, bare.plddt)
    fold(job, effort="thorough")
    assert [one[3] for one in family.asked[5:]] == [ALL[3:4]]
    assert fold(job)["a"].cached and fold(job, effort="quick")["a"].cached
    assert fold(job, templates=None)["a"].best.sample == 0
    assert len(family.asked) == 6


def test_a_run_that_breaks_goes_on_behind_the_sets_that_are_done(fold, family, job) -> None:
    family.orders_before_crash = 3
    with pytest.raises(ZeroDivisionError):
        fold(job)
    family.orders_before_crash = None
    result = fold(job)["a"]
    assert [one[3] for one in family.asked] == NORMAL
    assert sets_of(result) == dict(enumerate(NORMAL))


def test_jobs_that_are_folded_together_have_what_they_have_alone(fold, family, job) -> None:
    others = [Job.from_sequence(name, SEQUENCE[place:]) for place, name in enumerate("bcd", 3)]
    together = fold(job, *others, Job.from_sequence("twin", SEQUENCE))
    assert sets_of(together["twin"]) == sets_of(together["a"])
    assert len(family.asked) == 4 * 5
    for name in "abcd":
        assert sets_of(together[name]) == dict(enumerate(NORMAL))
        assert {one[2:] for one in family.asked if one[0] == name} == {
            (sample, names, False) for sample, names in enumerate(NORMAL)
        }


def test_a_family_that_chooses_nothing_has_the_first_templates(monkeypatch, store, job) -> None:
    plain = install(FakeFamily(), monkeypatch.setattr)
    engine = Engine(store, "cpu")
    settings = Settings(plain, searches=Searches(templates=FakeTemplates(count=4)))
    (result,) = (
        event.result
        for event in engine.run_plan(engine.plan([job], settings))
        if isinstance(event, JobFinished)
    )
    assert len(result.predictions) == 1
    assert [one.name for one in result.evidence.chain("A").templates] == list(ALL)
    with pytest.raises(CapabilityError, match="mini chooses among no sets of templates"):
        engine.plan([job], dataclasses.replace(settings, effort="thorough"))


@pytest.mark.parametrize(
    ("settings", "samples", "sets"),
    [
        ({}, 5, 5),
        ({"effort": "quick"}, 1, 1),
        ({"effort": "thorough"}, 10, 10),
        ({"samples": 3}, 3, 3),
        ({"samples": 8}, 8, 5),
        ({"searches": Searches()}, 1, 1),
    ],
)
def test_plan_counts_as_many_folds_as_there_may_be(family, job, settings, samples, sets) -> None:
    asked = Settings(family, **{"searches": Searches(templates=FakeTemplates()), **settings})
    (request,) = Engine(None, "cpu").plan([job], asked).requests
    load = request.admission.load
    assert (request.job.samples, load.samples, load.template_sets) == (samples, samples, sets)


def test_digest_tells_a_number_that_was_asked_for_from_one_that_came(family, job) -> None:
    def digest(**settings: object) -> str:
        asked = Settings(family, **{"searches": Searches(templates=FakeTemplates()), **settings})
        return Engine(None, "cpu").plan([job], asked).requests[0].digest

    told = [
        digest(), digest(samples=1), digest(samples=5), digest(effort="quick"),
        digest(effort="thorough"), digest(searches=Searches()),
    ]  # fmt: skip
    assert len(set(told)) == len(told)
    # Effort says nothing of what has no templates.
    bare = {"searches": Searches()}
    assert digest(effort="thorough", **bare) == digest(**bare)


class LargeFamily(ChoosingFamily):
    """Takes a gigabyte for each sample."""

    def demand(self, load: Load) -> Demand:
        return Demand(weights_bytes=0, live_bytes=load.samples * 10**9, work={"products": 1.0})


@pytest.mark.parametrize(("gigabytes", "sets"), [(3.5, 3), (1.5, 1)])
def test_sets_that_memory_does_not_hold_are_left_out_and_told(
    monkeypatch, job, gigabytes: float, sets: int
) -> None:
    large = install(LargeFamily(), monkeypatch.setattr)
    engine = Engine(None, "cpu", memory=int(gigabytes * 1e9))
    settings = Settings(large, searches=Searches(templates=ShiftedTemplates(count=5)))
    plan = engine.plan([job], settings)
    (request,) = plan.requests
    assert request.job.samples == request.sets == sets
    assert request.digest != Engine(None, "cpu").plan([job], settings).requests[0].digest
    events = list(engine.run_plan(plan))
    (result,) = (event.result for event in events if isinstance(event, JobFinished))
    assert len(result.predictions) == sets
    assert [event.message for event in events if isinstance(event, JobWarned)] == [
        f"memory does not hold 5 candidate sets of templates; at most {sets} of them are tried"
    ]
    # A number of samples that somebody asked for is not cut.
    asked = engine.plan([job], dataclasses.replace(settings, samples=5))
    assert not asked.requests and len(asked.refusals) == 1
