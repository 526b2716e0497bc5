"""Samples are stages of their own: those that are there are not computed again."""

import dataclasses
import functools
import threading
import weakref

import numpy as np
import pytest
from fake_family import FakeFamily, FakeModel, helix, install
from tests.patience import PATIENCE_SECONDS

from itda.confidence.ranking import RankingRule
from itda.engine import run
from itda.engine.aside import set_aside
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, JobWarned, StageFinished, StageProgress
from itda.job.model import Job
from itda.models.family import Portion
from itda.store.store import Store

SEQUENCE = "MKTAYIAKQRQISFVK"


class Stream(FakeModel):
    """Gives its samples one by one, and breaks in the network or at the end where it is told."""

    breaks_before: int | None = None
    breaks_at_the_end: int | None = None

    def __init__(self, device="cpu"):
        super().__init__(device)
        self.asked: list[tuple[int, ...]] = []

    def begin(self, orders, *, recycles, progress):
        self.batches.append([order.job.name for order in orders])
        self.asked += [order.samples for order in orders]
        for place, order in enumerate(orders):
            for count, sample in enumerate(order.samples):
                progress(count / len(order.samples), "network")
                if self.breaks_before == sample:
                    self.breaks_before = None
                    raise ZeroDivisionError("in the network")
                yield Portion(((place, sample),), functools.partial(self.end, order, sample))

    def end(self, order, sample, _progress):
        if self.breaks_at_the_end == sample:
            raise ZeroDivisionError("at the end")
        return [helix(order.job, order.seed, sample)]


class Family(FakeFamily):
    def __init__(self, model=Stream, **told):
        super().__init__()
        self.make, self.told = model, told

    def load(self, weights, device, *, frugal=False):
        model = self.make(device)
        vars(model).update(self.told)
        self.models.append(model)
        return model

    @property
    def asked(self):
        return [samples for model in self.models for samples in model.asked]


@pytest.fixture
def fold(tmp_path, monkeypatch):
    def fold(samples, family=None, seeds=(0,), name="protein"):
        family = install(family or Family(), monkeypatch.setattr)
        job = Job.from_sequence(name, SEQUENCE).replace(samples=samples, seeds=seeds)
        events = list(Engine(Store(tmp_path / "stages"), "cpu").run([job]))
        return family, events

    return fold


def result_of(events):
    (result,) = [event.result for event in events if isinstance(event, JobFinished)]
    return result


def same(one, other):
    assert (one.seed, one.sample) == (other.seed, other.sample)
    np.testing.assert_array_equal(one.atoms.coord, other.atoms.coord)
    np.testing.assert_array_equal(one.pae, other.pae)


def test_more_samples_compute_only_those_that_are_missing(fold):
    fold(5)
    family, events = fold(25)
    assert family.asked == [tuple(range(5, 25))]
    found = result_of(events)
    assert len(found.predictions) == 25 and not found.cached
    alone, events = fold(25)
    assert alone.asked == [] and result_of(events).cached
    for one, other in zip(found.predictions, result_of(events).predictions, strict=True):
        same(one, other)


def test_fewer_samples_compute_none(fold):
    fold(5)
    family, events = fold(2)
    assert family.asked == []
    assert {one.sample for one in result_of(events).predictions} == {0, 1}
    assert result_of(events).cached


def test_each_seed_has_samples_of_its_own(fold):
    fold(2, seeds=(1,))
    family, _ = fold(3, seeds=(1, 2))
    assert family.asked == [(2,), (0, 1, 2)]


def test_what_is_done_stays_done_where_the_network_fails(fold):
    """The first failure of a fold that shares no batch ends the job; what it had done is kept."""
    family, events = fold(6, Family(breaks_before=4))
    assert any(isinstance(event, JobFailed) for event in events)
    again, events = fold(6)
    assert (family.asked, again.asked) == ([tuple(range(6))], [(4, 5)])
    assert not result_of(events).cached


def test_what_is_done_stays_done_where_the_end_fails(fold):
    _, events = fold(6, Family(breaks_at_the_end=2))
    (failure,) = [event for event in events if isinstance(event, JobFailed)]
    assert "at the end" in failure.traceback
    again, events = fold(6)
    assert again.asked == [(2,)]
    assert len(result_of(events).predictions) == 6


def test_a_sample_too_few_or_another_one_is_a_fault(fold):
    class Few(Stream):
        def begin(self, orders, **named):
            yield next(super().begin(orders, **named))

    class Other(Stream):
        def end(self, order, sample, progress):
            return super().end(order, sample + 1, progress)

    for model, problem in (
        (Other, "gave sample 1 as sample 0"),
        (Few, "1 predictions for 3 samples"),
    ):
        _, events = fold(3, Family(model), name=model.__name__)
        (failure,) = [event for event in events if isinstance(event, JobFailed)]
        assert problem in failure.traceback


def test_few_samples_stand_in_memory_at_once(fold, monkeypatch):
    """The network waits until what it gave is finished."""
    alive: list[int] = []

    class Large(Stream):
        def begin(self, orders, **named):
            here: list[weakref.ref] = []
            for portion in super().begin(orders, **named):
                held = np.zeros(1)
                here.append(weakref.ref(held))
                finish = functools.partial(self.kept, held, portion.finish)
                del held
                yield Portion(portion.places, finish)
                del portion, finish
                alive.append(sum(one() is not None for one in here))

        def kept(self, _held, finish, progress):
            return finish(progress)

    fold(25, Family(Large))
    assert len(alive) == 25
    # One is being finished, and the others wait.
    assert max(alive) <= run.UNFINISHED_MOST + 1


def test_progress_never_goes_back(fold):
    _, events = fold(8)
    told = [e.fraction for e in events if isinstance(e, StageProgress) and e.stage == "predict"]
    assert told == sorted(told) and all(0 <= fraction <= 1 for fraction in told)


def test_large_matrices_are_read_from_a_file(monkeypatch):
    plain = helix(Job.from_sequence("x", SEQUENCE), 0, 0)
    assert set_aside(plain) is plain
    monkeypatch.setattr("itda.engine.aside.ASIDE_FROM_BYTES", 0)
    aside = set_aside(plain)
    assert isinstance(aside.pae, np.memmap) and not aside.pae.flags.writeable
    same(plain, aside)
    monkeypatch.setattr("itda.engine.aside._mapped", no_room)
    assert set_aside(plain) is plain


def no_room(_matrix):
    raise OSError(28, "No space left on device")


class Trunked(Stream):
    """A model whose trunk is worth keeping."""

    def __init__(self, device="cpu"):
        super().__init__(device)
        self.trunks: list[str] = []

    def trunk(self, orders, *, recycles, progress):
        progress(0.5, "trunk")
        self.trunks += [f"{order.job.name} {order.seed}" for order in orders]
        return [{"seed": np.array([order.seed, len(order.job.name)])} for order in orders]

    def end(self, order, sample, progress):
        assert order.trunk["seed"].tolist() == [order.seed, len(order.job.name)]
        return super().end(order, sample, progress)


def test_the_trunk_is_a_stage(fold):
    family, events = fold(2, Family(Trunked))
    assert family.models[0].trunks == ["protein 0"]
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert stages == ["trunk", "predict", "validity"]
    assert result_of(events).seconds == pytest.approx(
        sum(event.seconds for event in events if isinstance(event, StageFinished))
    )
    more, events = fold(5, Family(Trunked))
    assert more.models[0].trunks == [] and more.asked == [(2, 3, 4)]
    reseeded, _ = fold(5, Family(Trunked), seeds=(0, 9))
    assert reseeded.models[0].trunks == ["protein 9"]


def test_a_trunk_outlives_a_failure_of_its_samples(fold):
    fold(2, Family(Trunked, breaks_before=0))
    again, events = fold(2, Family(Trunked))
    assert again.models[0].trunks == [] and again.asked == [(0, 1)]
    assert len(result_of(events).predictions) == 2


def test_without_a_store_all_is_computed(monkeypatch):
    family = install(Family(Trunked), monkeypatch.setattr)
    job = Job.from_sequence("protein", SEQUENCE).replace(samples=3)
    for _ in range(2):
        events = list(Engine(None, "cpu").run([job]))
        assert not [event for event in events if isinstance(event, JobWarned)]
        assert len(result_of(events).predictions) == 3
    assert family.asked == [(0, 1, 2)] * 2


def test_the_family_ranks(fold):
    family = Family()
    family.ranking = RankingRule("last_first", "the last first", lambda one: float(one.sample))
    _, events = fold(4, family)
    found = result_of(events)
    assert [one.sample for one in found.predictions] == [3, 2, 1, 0]
    assert found.ranking.name == "last_first"


def test_chains_have_the_molecules_of_the_job(fold):
    _, events = fold(1)
    assert dataclasses.asdict(result_of(events).best.chain_confidence()[0])["molecule"] == "protein"


def test_a_run_ends_where_a_job_fails_while_the_network_goes_on(fold):
    """One seed cannot be finished while the network is with the other: nobody waits for it."""
    second = threading.Event()

    class Seeds(Stream):
        def begin(self, orders, **named):
            for portion in super().begin(orders, **named):
                if orders[0].seed == 1:
                    second.set()
                yield portion

        def end(self, order, sample, progress):
            if order.seed == 0 and sample == 8:
                assert second.wait(PATIENCE_SECONDS)
                raise ZeroDivisionError("the first seed")
            return super().end(order, sample, progress)

    _, events = fold(9, Family(Seeds), seeds=(0, 1))
    (failure,) = [event for event in events if isinstance(event, JobFailed)]
    assert "the first seed" in failure.traceback
