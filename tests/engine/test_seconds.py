"""The seconds of a record are its own: what was spent on it, and nothing of what it waited."""

import contextlib
import functools
import threading
import time
from pathlib import Path

import pytest
from fake_family import FakeFamily, FakeModel, install
from fake_search import FakeSource

from itda.cost.predictor import Predictor
from itda.engine import stages
from itda.engine.engine import Engine
from itda.engine.events import JobFinished, StageFinished
from itda.engine.searches import Searches
from itda.job.model import Job
from itda.models.family import Portion
from itda.store.workplace import Workplace

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
NETWORK_SECONDS, GEOMETRY_SECONDS = 6.0, 3.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes only while the model works, by so much a batch; each thread has its own."""
    spent = threading.local()
    begin = FakeModel.begin

    def pass_by(seconds):
        spent.seconds = now() + seconds

    def now():
        return getattr(spent, "seconds", 100.0)

    def slow_begin(model, orders, **named):
        pass_by(NETWORK_SECONDS)
        for portion in begin(model, orders, **named):
            yield Portion(portion.places, functools.partial(slow_finish, portion.finish))

    def slow_finish(finish, progress):
        pass_by(GEOMETRY_SECONDS)
        return finish(progress)

    monkeypatch.setattr(FakeModel, "begin", slow_begin)
    monkeypatch.setattr(time, "perf_counter", now)


@pytest.fixture
def family(monkeypatch) -> FakeFamily:
    return install(FakeFamily(batches=True), monkeypatch.setattr)


def jobs(*names):
    return [Job.from_sequence(name, SEQUENCE[place:]) for place, name in enumerate(names)]


def seconds_of(events):
    """Return the seconds of each job, which are those of its stages."""
    found = {event.job: event.result.seconds for event in events if isinstance(event, JobFinished)}
    for name, seconds in found.items():
        stages = [e.seconds for e in events if isinstance(e, StageFinished) and e.job == name]
        assert seconds == pytest.approx(sum(stages))
    return found


def test_a_batch_is_shared_out_and_no_second_is_told_twice(clock, family):
    found = seconds_of(list(Engine(None, "cpu").run(jobs("a", "b", "c"))))
    assert len(family.models[0].batches) == 1
    assert sum(found.values()) == pytest.approx(NETWORK_SECONDS + GEOMETRY_SECONDS)


def test_the_share_is_what_was_predicted(clock, family, monkeypatch):
    real = Predictor.cost

    def cost(predictor, load):
        found = real(predictor, load)
        return type(found)(found.bytes, 3.0 if load.longest == len(SEQUENCE) else 1.0)

    monkeypatch.setattr(Predictor, "cost", cost)
    found = seconds_of(list(Engine(None, "cpu").run(jobs("long", "short"))))
    assert found["long"] == pytest.approx(3 * found["short"]) and found["short"] > 0


def test_what_waits_for_the_model_does_not_count_the_others(clock, family):
    found = seconds_of(list(Engine(None, "cpu", at_once=1).run(jobs("a", "b", "c", "d"))))
    assert found == dict.fromkeys("abcd", pytest.approx(NETWORK_SECONDS + GEOMETRY_SECONDS))


def test_attempts_that_failed_count(clock, family):
    same = [
        Job.from_sequence(name, SEQUENCE[place:] + "A" * place)
        for place, name in enumerate(("a", "crash"))
    ]
    found = seconds_of(list(Engine(None, "cpu").run(same)))
    assert found == {"a": pytest.approx(NETWORK_SECONDS / 2 + NETWORK_SECONDS + GEOMETRY_SECONDS)}


def test_what_an_equal_one_was_folded_for_costs_nothing(clock, family, store):
    twins = [Job.from_sequence(name, SEQUENCE) for name in ("one", "two")]
    found = seconds_of(list(Engine(store, "cpu").run(twins)))
    assert found == {"one": pytest.approx(NETWORK_SECONDS + GEOMETRY_SECONDS), "two": 0.0}


def test_waiting_for_another_process_is_not_searching(family, store, monkeypatch):
    now = [0.0]

    @contextlib.contextmanager
    def held_by_another(_store, _key, _progress):
        now[0] += 50.0
        yield Workplace(Path(), waited_seconds=50.0)

    class Slow(FakeSource):
        def search(self, query, *, work, progress):
            now[0] += 2.0
            return super().search(query, work=store.folder, progress=progress)

    store.folder.mkdir()
    monkeypatch.setattr(stages, "workplace", held_by_another)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    (job,) = jobs("a")
    found = seconds_of(list(Engine(store, "cpu").run([job], searches=Searches(Slow()))))
    assert found == {"a": pytest.approx(2.0)}
