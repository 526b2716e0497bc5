"""What the jobs of a run need is searched for several of them at once."""

import fcntl
from collections import Counter

import pytest
from fake_search import ChangingSource, FakeManySource, FakeManyTemplates, FakeSource

from itda.engine import ahead as module
from itda.engine.ahead import FIRST_AT_ONCE
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, StageFinished
from itda.engine.searches import Searches
from itda.errors import DataError
from itda.job.model import Job
from itda.store.store import Store

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def sequence(number: int) -> str:
    return "MKTAYIAKQR" + LETTERS[number // 20] + LETTERS[number % 20]


def jobs(count: int, start: int = 0) -> list[Job]:
    return [
        Job.from_sequence(f"job_{number}", sequence(number))
        for number in range(start, start + count)
    ]


def run(store: Store | None, some: list[Job], source: FakeSource) -> list:
    return list(Engine(store, "cpu").run(some, searches=Searches(source)))


def searched(events: list) -> dict[str, tuple[bool, float]]:
    """Of each job, whether its alignment was found in the store, and its seconds."""
    return {
        event.job: (event.cached, event.seconds)
        for event in events
        if isinstance(event, StageFinished) and event.stage == "alignment"
    }


def sizes(source: FakeManySource) -> list[int]:
    return [len(call) for call in source.calls]


def finished(events: list) -> set[str]:
    return {event.job for event in events if isinstance(event, JobFinished)}


def test_few_are_one_call_and_each_gets_its_own(store, family, tmp_path) -> None:
    source, some = FakeManySource(), jobs(10)
    events = run(store, some, source)
    assert source.calls == [[sequence(number) for number in range(10)]]
    assert finished(events) == {job.name for job in some}
    for number, job in enumerate(some):
        work = tmp_path / job.name
        work.mkdir()
        alone = FakeSource().search(sequence(number), work=work, progress=lambda *_: None)
        assert family.evidence_of(job.name).chains["A"].alignment == alone
    # None of them was there before, and none took longer than all together.
    assert not any(cached for cached, _ in searched(events).values())


def test_the_first_call_takes_few_and_each_further_one_more(store, family) -> None:
    source = FakeManySource(most_at_once=128)
    events = run(store, jobs(200), source)
    assert sizes(source) == [8, 32, 128, 32]
    assert Counter(query for call in source.calls for query in call).most_common(1)[0][1] == 1
    assert len(finished(events)) == 200


def test_no_more_at_once_than_the_source_takes(store, family) -> None:
    source = FakeManySource(most_at_once=3)
    run(store, jobs(10), source)
    assert sizes(source) == [3, 3, 3, 1]


def test_long_ones_are_fewer(store, family, monkeypatch) -> None:
    monkeypatch.setattr(module, "RESIDUES_AT_ONCE", 40)
    source = FakeManySource()
    run(store, jobs(7), source)
    assert sizes(source) == [3, 3, 1]


def test_equal_sequences_are_searched_once(store, family) -> None:
    source = FakeManySource()
    twins = [job.replace(name=f"twin_{job.name}") for job in jobs(3)]
    events = run(store, [*jobs(3), *twins], source)
    assert source.calls == [[sequence(number) for number in range(3)]]
    assert len(finished(events)) == 6
    again = {name for name, (cached, _) in searched(events).items() if cached}
    assert again == {job.name for job in twins}


def test_what_the_store_has_is_not_searched_again(store, family) -> None:
    source = FakeManySource()
    run(store, jobs(3, start=2), source)
    events = run(store, jobs(8), source)
    assert [query for call in source.calls[1:] for query in call] == [
        sequence(number) for number in (0, 1, 5, 6, 7)
    ]
    cached = {name for name, (cached, _) in searched(events).items() if cached}
    assert cached == {"job_2", "job_3", "job_4"}
    again = FakeManySource()
    events = run(Store(store.folder), jobs(8), again)
    assert again.calls == [] and all(cached for cached, _ in searched(events).values())


@pytest.mark.parametrize("bad", [0, 4, 9])
def test_one_that_cannot_be_searched_fails_alone(store, family, bad) -> None:
    source = FakeManySource()
    source.failing = {sequence(bad)}
    events = run(store, jobs(10), source)
    (failure,) = [event for event in events if isinstance(event, JobFailed)]
    assert failure.job == f"job_{bad}" and "cannot search" in failure.error.problem
    assert finished(events) == {f"job_{number}" for number in range(10)} - {failure.job}
    assert len(source.calls) == 1
    # It is tried again in the next run, alone.
    source.failing = set()
    assert len(finished(run(store, jobs(10), source))) == 10
    assert source.calls[1:] == [[sequence(bad)]]


def test_without_a_store_each_still_gets_its_own(family) -> None:
    source = FakeManySource()
    events = run(None, jobs(10), source)
    assert sizes(source) == [10] and len(finished(events)) == 10
    for number in range(10):
        alignment = family.evidence_of(f"job_{number}").chains["A"].alignment
        assert alignment.query == sequence(number) and len(alignment) == 5


def test_a_store_that_takes_nothing_costs_no_result(store, family, monkeypatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "put", full)
    source = FakeManySource()
    events = run(store, jobs(10), source)
    assert sizes(source) == [10] and len(finished(events)) == 10


def test_those_that_another_process_searches_are_left_to_it(store, family) -> None:
    """Its folder is locked; the turn of the job waits for it, the search of others does not."""
    source = FakeManySource()
    inputs = module.alignment_inputs(sequence(4), source.key())
    key = Store.key(module.ALIGNMENT.name, module.ALIGNMENT.version, inputs)
    lock = store.folder / "work" / f"{key}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        searching = source.search_many

        def release(queries, *, works, progress):
            # The other process ends once this one has begun.
            fcntl.flock(held, fcntl.LOCK_UN)
            return searching(queries, works=works, progress=progress)

        source.search_many = release
        events = run(store, jobs(10), source)
    assert sequence(4) not in source.calls[0] and len(source.calls[0]) == 9
    assert source.calls[1:] == [[sequence(4)]]
    assert len(finished(events)) == 10


def test_a_stopped_search_leaves_steps_for_each(store, family) -> None:
    """What lies in the work folders of those that were taken along is used by the next run."""
    source = FakeManySource()

    def killed(queries, *, works, progress):
        for query, work in zip(queries, works, strict=True):
            (work / "step_0.json").write_text(f'"{source._row(query, 0)}"')
        raise KeyboardInterrupt

    source.search_many = killed
    with pytest.raises(KeyboardInterrupt):
        run(store, jobs(3), source)
    again = FakeManySource()
    run(store, jobs(3), again)
    assert again.steps == [1, 2, 3] * 3
    assert not list((store.folder / "work").glob("*/*"))


def test_a_database_that_changes_meanwhile_fails_those_that_were_searched(store, family) -> None:
    class Changing(FakeManySource, ChangingSource):
        pass

    events = run(store, jobs(3), Changing())
    errors = [event.error for event in events if isinstance(event, JobFailed)]
    assert len(errors) == 3 and all(isinstance(error, DataError) for error in errors)
    assert not list(store.folder.glob("??/*/entry.json"))


def test_sources_that_take_one_at_a_time_are_asked_one_at_a_time(store, family) -> None:
    source = FakeSource()
    run(store, jobs(FIRST_AT_ONCE), source)
    assert source.queries == [sequence(number) for number in range(FIRST_AT_ONCE)]


def test_jobs_that_bring_an_alignment_are_not_searched(store, family, tmp_path) -> None:
    (first, second, third) = jobs(3)
    file = tmp_path / "own.a3m"
    file.write_text(f">query\n{sequence(1)}\n")
    second = second.replace(entities=(second.entities[0].replace(msa=file),))
    source = FakeManySource()
    run(store, [first, second, third], source)
    assert source.calls == [[sequence(0), sequence(2)]]


def test_seconds_are_shared(store, family) -> None:
    source = FakeManySource(step_seconds=0.02)
    events = run(store, jobs(5), source)
    seconds = [seconds for _, seconds in searched(events).values()]
    assert len(set(seconds)) == 1 and seconds[0] >= 0.02


def test_a_sequence_that_fails_twice_leaves_the_others_together(store, family) -> None:
    source = FakeManySource()
    source.failing = {sequence(0)}
    first, *others = jobs(30)
    run(store, [first, first.replace(name="again"), *others], source)
    assert [len(call) for call in source.calls] == [8, 23]
    assert Counter(query for call in source.calls for query in call)[sequence(0)] == 2


class TestTemplates:
    def run(self, store, some, source, templates) -> list:
        searches = Searches(source, templates)
        return list(Engine(store, "cpu").run(some, searches=searches))

    def test_are_searched_together_with_the_alignments_just_found(self, store, family) -> None:
        source, templates = FakeManySource(), FakeManyTemplates()
        events = self.run(store, jobs(30), source, templates)
        assert [len(call) for call in source.calls] == [8, 22]
        assert [len(call) for call in templates.calls] == [8, 22]
        assert len(finished(events)) == 30
        for number in range(30):
            evidence = family.evidence_of(f"job_{number}").chains["A"]
            assert [one.sequence for one in evidence.templates] == [sequence(number)]
            assert templates.searched[sequence(number)] == evidence.alignment
        told = [e for e in events if isinstance(e, StageFinished) and e.stage == "templates"]
        assert len(told) == 30 and not any(event.cached for event in told)
        again = FakeManyTemplates()
        events = self.run(store, jobs(30), source, again)
        assert again.calls == [] and len(finished(events)) == 30

    def test_without_alignments_all_are_together(self, store, family) -> None:
        templates = FakeManyTemplates()
        self.run(store, jobs(10), None, templates)
        assert templates.calls == [[sequence(number) for number in range(10)]]
        assert set(templates.searched.values()) == {None}

    def test_those_with_an_alignment_of_their_own_are_searched_with_it(
        self, store, family, tmp_path
    ) -> None:
        some = jobs(4)
        file = tmp_path / "own.a3m"
        file.write_text(f">query\n{sequence(1)}\n>other\n{sequence(1)[:-1]}W\n")
        some[1] = some[1].replace(entities=(some[1].entities[0].replace(msa=file),))
        templates = FakeManyTemplates()
        self.run(store, some, None, templates)
        assert templates.calls == [[sequence(0), sequence(2), sequence(3)], [sequence(1)]]
        assert len(templates.searched[sequence(1)]) == 2

    def test_one_that_fails_fails_alone(self, store, family) -> None:
        templates = FakeManyTemplates()
        templates.failing = {sequence(3)}
        events = self.run(store, jobs(6), FakeManySource(), templates)
        assert finished(events) == {f"job_{number}" for number in (0, 1, 2, 4, 5)}
        assert len(templates.calls) == 1

    def test_without_a_store(self, family) -> None:
        templates = FakeManyTemplates()
        events = self.run(None, jobs(6), FakeManySource(), templates)
        assert len(templates.calls) == 1 and len(finished(events)) == 6
