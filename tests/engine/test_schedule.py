import itertools

import pytest

from itda.engine.schedule import BATCH_JOBS_MOST, BATCH_SECONDS, OVERTAKEN_MOST, Schedule, Waiting


def schedule_of(*folds, most=lambda works: len(works)):
    """Folds as (name, tokens, seconds)."""
    schedule = Schedule(most)
    for name, tokens, seconds in folds:
        schedule.add(Waiting(name, tokens, seconds))
    return schedule


def drained(schedule):
    batches = []
    while len(schedule):
        batches.append(schedule.next_batch())
    return batches


def test_nothing_waits_nothing_goes():
    assert schedule_of().next_batch() == []


def test_the_shortest_goes_first_and_equals_as_they_came():
    folds = [("b", 200, 9.0), ("a", 50, 6.0), ("c", 300, 20.0), ("a2", 50, 6.0)]
    assert drained(schedule_of(*folds)) == [["a"], ["a2"], ["b"], ["c"]]


def test_a_batch_is_of_like_length_and_no_longer_than_it_may_be():
    folds = [(f"j{tokens}", tokens, tokens / 50) for tokens in (300, 60, 100, 55, 210, 90)]
    batches = drained(schedule_of(*folds))
    assert batches[0] == ["j55", "j60", "j90", "j100"]
    seconds = {name: cost for name, _, cost in folds}
    assert all(len(b) == 1 or sum(seconds[n] for n in b) <= BATCH_SECONDS for b in batches)
    assert sorted(itertools.chain(*batches)) == sorted(seconds)


def test_no_more_go_at_once_than_fit_and_than_are_worth_it():
    many = [(f"j{n}", 50, 0.001) for n in range(3 * BATCH_JOBS_MOST)]
    assert [len(batch) for batch in drained(schedule_of(*many))] == [BATCH_JOBS_MOST] * 3
    few = drained(schedule_of(*many[:10], most=lambda works: min(4, len(works))))
    assert [len(batch) for batch in few] == [4, 4, 2]
    # One that does not fit by itself is not kept forever: the engine finds out what can be done.
    assert drained(schedule_of(*many[:2], most=lambda _works: 0)) == [["j0"], ["j1"]]


def test_a_long_one_is_overtaken_only_so_often():
    schedule = schedule_of(("long", 900, 500.0))
    order = []
    for number in range(2 * OVERTAKEN_MOST):
        schedule.add(Waiting(f"short{number}", 50, BATCH_SECONDS))
        order += schedule.next_batch()
    assert order.index("long") == OVERTAKEN_MOST


@pytest.mark.parametrize("change", [{"kind": "templates"}, {"alone": True}])
def test_what_must_not_share_a_batch_does_not(change):
    schedule = schedule_of(("a", 50, 0.1), ("b", 50, 0.1))
    schedule.add(Waiting("other", 50, 0.1, **change))
    assert drained(schedule) == [["a", "b"], ["other"]]
