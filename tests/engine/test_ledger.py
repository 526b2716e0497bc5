"""The books of a run, in any order of events, beside a model that only remembers what was told."""

import collections
import dataclasses
import os
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from itda.engine.ledger import Ledger
from itda.engine.schedule import Waiting

EXAMPLES = int(os.environ.get("ITDA_LEDGER_EXAMPLES", "100"))
STEPS = 40


@dataclasses.dataclass(eq=False)
class Step:
    """A fold, and what became of it: nothing, a result, or that it was given up."""

    job: str
    key: str
    alone: bool = False
    begun: bool = False
    result: object = None

    def __repr__(self) -> str:
        return f"{self.job}/{self.key}"


def books(jobs, kind=Ledger, most=3):
    return kind(
        jobs,
        waiting=lambda fold: Waiting(fold, 50, 1.0, alone=fold.alone),
        most_at_once=lambda folds: min(most, len(folds)),
    )


class Machine(RuleBasedStateMachine):
    """What threads do to the books: gather, look up, fold, put back, finish, fail.

    `hands` is what the threads hold. What is right follows from what was told: a result is one of
    every fold of its key that had begun, and a failure ends its job.
    """

    kind = Ledger
    counts: ClassVar[collections.Counter[str]] = collections.Counter()

    @initialize(keys=st.lists(st.lists(st.sampled_from("ABC"), min_size=1, max_size=3), max_size=6))
    def plan(self, keys):
        self.folds = {
            f"job{place}": [Step(f"job{place}", key) for key in of_job]
            for place, of_job in enumerate(keys)
        }
        self.books = books(self.folds, self.kind)
        self.unbegun = list(self.folds)
        self.hands: list[Step] = []
        self.ended: dict[str, str] = {}
        self.told: list[object] = []
        self.counts["examples"] += 1

    # What threads do ------------------------------------------------------------------------------

    @precondition(lambda self: self.unbegun)
    @rule()
    def begin(self):
        job = self.unbegun.pop(0)
        leaders = self.books.begin(job, self.folds[job])
        for fold in self.folds[job]:
            fold.begun = True
        assert all(fold.job == job for fold in leaders)
        self.take(leaders)

    @precondition(lambda self: self.unbegun)
    @rule()
    def fail_to_gather(self):
        job = self.unbegun.pop(0)
        assert self.books.fail(job)
        self.end(job, "failed")

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def wait(self, data):
        """Not in the store, or put back: the batch failed, or memory ran out."""
        for fold in self.books.wanted([self.pick(data)]):
            fold.alone = data.draw(st.booleans())
            self.books.wait(fold)

    @rule()
    def next_batch(self):
        ready = self.books.ready
        batch = self.books.next_batch()
        assert bool(batch) == bool(ready)
        assert len(batch) == 1 or not any(fold.alone for fold in batch)
        self.take(batch)

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def settle(self, data):
        """Found in the store, or folded and finished."""
        fold, result = self.pick(data), object()
        mine = [
            one
            for folds in self.folds.values()
            for one in folds
            if one.key == fold.key and one.begun and one.result is None and self.is_open(one.job)
        ]
        settled = self.books.settle(fold, result)
        assert set(settled.served) == set(mine)
        for one in mine:
            one.result = result
        whole = {one.job for one in mine if all(f.result is not None for f in self.folds[one.job])}
        assert {done[0][0].job for done in settled.done} == whole
        for done in settled.done:
            job = done[0][0].job
            assert [one for one, _ in done] == self.folds[job]
            assert all(found is one.result for one, found in done)
            self.end(job, "done")

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def give_up(self, data):
        fold = self.pick(data)
        was_open = self.is_open(fold.job)
        assert self.books.give_up(fold) == was_open
        if was_open:
            self.end(fold.job, "failed")

    # What always holds ----------------------------------------------------------------------------

    @invariant()
    def it_is_over_when_all_have_come_out(self):
        if not hasattr(self, "books"):
            return
        assert self.books.over == (set(self.ended) == set(self.folds))
        assert sorted(self.books.open) == sorted(set(self.folds) - set(self.ended))
        assert all(self.books.is_open(job) == self.is_open(job) for job in self.folds)

    @invariant()
    def somebody_can_go_on(self):
        if hasattr(self, "books") and not self.books.over:
            assert self.unbegun or self.hands or self.books.ready

    @invariant()
    def nothing_is_computed_twice_at_a_time(self):
        if hasattr(self, "books"):
            keys = [fold.key for fold in self.hands]
            assert len(keys) == len(set(keys))
            self.counts["steps"] += 1

    def teardown(self):
        """From wherever it stands, all comes out."""
        if not hasattr(self, "books"):
            return
        while not self.books.over:
            if self.unbegun:
                self.begin()
            elif self.hands:
                self.settle(_First())
            else:
                self.next_batch()
            self.it_is_over_when_all_have_come_out()
            self.somebody_can_go_on()
        assert set(self.ended) == set(self.folds)
        self.counts["jobs"] += len(self.folds)

    def is_open(self, job):
        return job not in self.ended

    def end(self, job, how):
        assert job not in self.ended, f"{job} came out twice"
        self.ended[job] = how
        self.counts[how] += 1

    def take(self, folds):
        assert not set(folds) & set(self.hands)
        self.hands += folds

    def pick(self, data):
        return self.hands.pop(data.draw(st.integers(0, len(self.hands) - 1)))


class _First:
    """Draws the first of what there is."""

    def draw(self, _strategy):
        return 0


def explore(machine, *phases):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=phases or tuple(Phase),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_job_comes_out_once_in_any_order_of_events():
    Machine.counts = collections.Counter()
    explore(Machine)
    # Else it would not have seen much.
    assert Machine.counts["done"] > EXAMPLES / 2 and Machine.counts["failed"] > EXAMPLES / 2


class TwinsLookedUpLater(Ledger):
    """As it was: the leader goes out of the books before its twins are looked up again."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.apart = []

    @property
    def over(self):
        return not self._expected and not self._ways

    def settle(self, fold, result):
        way = self._ways[fold.key]
        self.apart, way.twins = [*self.apart, *way.twins], []
        return super().settle(fold, result)


class FailsItsTwins(Ledger):
    """Forgets the twins of what failed."""

    def give_up(self, fold):
        self._ways[fold.key].twins = []
        return super().give_up(fold)


class ForgetsWhatIsPutBack(Ledger):
    """Lets what comes back from a batch fall."""

    def wait(self, fold):
        if fold.alone:
            del self._ways[fold.key]
        else:
            super().wait(fold)


@pytest.mark.parametrize("kind", [TwinsLookedUpLater, FailsItsTwins, ForgetsWhatIsPutBack])
def test_books_that_lose_a_job_are_found_out(kind):
    machine = type("Sabotaged", (Machine,), {"kind": kind, "counts": collections.Counter()})
    with pytest.raises((AssertionError, ValueError, KeyError)):
        explore(machine, Phase.generate)


def test_twins_of_a_failure_are_tried_one_after_the_other_and_alone():
    folds = {name: [Step(name, "A")] for name in ("one", "two", "three")}
    book = books(folds)
    (leader,) = book.begin("one", folds["one"])
    assert book.begin("two", folds["two"]) == book.begin("three", folds["three"]) == []
    assert book.gathered == 2 and not book.ready
    assert book.give_up(leader)
    (second,) = book.next_batch()
    assert second is folds["two"][0] and second.alone and book.gathered == 1
    settled = book.settle(second, "found")
    assert [done[0][0].job for done in settled.done] == ["two", "three"]
    assert book.over


def test_seeds_of_a_job_that_failed_are_not_folded_unless_another_waits_for_them():
    job, other = [Step("job", key) for key in "ABC"], [Step("other", "B")]
    book = books(["job", "other"], most=1)
    for fold in book.begin("job", job):
        book.wait(fold)
    assert book.begin("other", other) == []
    (first,) = book.next_batch()
    assert book.give_up(first)
    assert book.next_batch() == other and not book.ready
    assert book.settle(other[0], "found").done == [[(other[0], "found")]]


def test_what_is_in_hands_when_its_job_fails_serves_its_twins():
    job, other = [Step("job", key) for key in "AB"], [Step("other", "B")]
    book = books(["job", "other"])
    first, second = book.begin("job", job)
    assert book.begin("other", other) == []
    assert book.give_up(first) and book.wanted([second]) == [second]
    assert book.settle(second, "found").served == other and book.over


def test_what_nobody_holds_cannot_be_brought_back():
    fold = Step("job", "A")
    book = books(["job"])
    book.begin("job", [fold])
    book.wait(fold)
    for call in (book.wait, book.give_up, lambda one: book.settle(one, "found")):
        with pytest.raises(ValueError, match="hands"):
            call(fold)
    with pytest.raises(ValueError, match="without folds"):
        books(["empty"]).begin("empty", [])
