"""The books of a run: which jobs are open, which folds wait for what, and what came of them.

Nothing here knows of threads, clocks or models. Whoever uses it from several threads takes one lock
around each call; each call leaves the books whole. So whether a run is over is one question, and
its answer does not hang on what a thread is about to do: a job is open from the beginning until the
call that takes it out with its results or its failure.

Folds with an equal key give the same result, and only the first of them, the leader, is looked up
and computed; the others wait for it as its twins. What comes of the leader:

- A result goes to all of its twins at once, from memory.
- A failure ends the leader's job alone, for what it failed of may be its own, such as memory that
  was short just then. The first twin takes its place and is tried by itself.
- Where its job failed by another fold, the first twin takes its place as well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from itda.engine.schedule import Schedule, Waiting


class Foldable(Protocol):
    """What the books have to know of a fold; each is itself and equal to no other.

    Attributes:
        alone: Whether it must not share a batch.
    """

    alone: bool

    @property
    def job(self) -> Hashable:
        """Whose it is."""
        ...

    @property
    def key(self) -> str:
        """Equal for folds that give the same result."""
        ...


Work = TypeVar("Work", bound=Foldable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Settled(Generic[Work, Value]):
    """What one result settles.

    Attributes:
        served: The folds of open jobs that it is the result of.
        done: The jobs that lack nothing now: each as its folds, in their order, with their results.
    """

    served: list[Work] = field(default_factory=list)
    done: list[list[tuple[Work, Value]]] = field(default_factory=list)


@dataclass
class _Open(Generic[Work, Value]):
    """A job whose folds are known."""

    folds: tuple[Work, ...]
    results: dict[Work, Value] = field(default_factory=dict)


@dataclass
class _Way(Generic[Work]):
    """Folds with an equal key: the one that is looked up or computed, and those that wait."""

    leader: Work
    twins: list[Work] = field(default_factory=list)
    held: bool = True
    """Whether the leader is in somebody's hands, not in the schedule."""


class Ledger(Generic[Work, Value]):
    """The jobs of one run and their folds.

    A leader is in one of two places: in the schedule, or in the hands of whoever was given it by
    `begin` or `next_batch`, who brings it back by `wait`, `settle`, `give_up` or `wanted`.

    Args:
        jobs: All that are to be done; each comes out done or failed.
        waiting: Says what the schedule has to know of a fold.
        most_at_once: How many of some folds, from the first on, fit into memory together.
    """

    def __init__(
        self,
        jobs: Iterable[Hashable],
        *,
        waiting: Callable[[Work], Waiting[Work]],
        most_at_once: Callable[[Sequence[Work]], int],
    ) -> None:
        self._expected: dict[Hashable, None] = dict.fromkeys(jobs)
        self._open: dict[Hashable, _Open[Work, Value]] = {}
        self._ways: dict[str, _Way[Work]] = {}
        self._waiting = waiting
        self._schedule: Schedule[Work] = Schedule(most_at_once)

    @property
    def over(self) -> bool:
        """Whether every job has come out, done or failed."""
        return not self._expected and not self._open

    @property
    def open(self) -> list[Hashable]:
        """The jobs that have not come out."""
        return [*self._open, *self._expected]

    def is_open(self, job: Hashable) -> bool:
        """Whether a job has not come out."""
        return job in self._open or job in self._expected

    @property
    def ready(self) -> int:
        """Folds that the model could take now."""
        return len(self._schedule)

    @property
    def gathered(self) -> int:
        """Folds that wait with all they need, for the model or for one that they are a twin of."""
        return len(self._schedule) + sum(len(way.twins) for way in self._ways.values())

    def begin(self, job: Hashable, folds: Sequence[Work]) -> list[Work]:
        """Take the folds of an expected job.

        Returns:
            The leaders among them, now in the caller's hands; the others are twins.
        """
        if not folds:
            raise ValueError(f"a job without folds never ends: {job}")
        del self._expected[job]
        self._open[job] = _Open(tuple(folds))
        leaders = []
        for fold in folds:
            way = self._ways.get(fold.key)
            if way is not None:
                way.twins.append(fold)
            else:
                self._ways[fold.key] = _Way(fold)
                leaders.append(fold)
        return leaders

    def wait(self, fold: Work) -> None:
        """Let a leader in the caller's hands wait for the model, for the first time or again."""
        self._held_way(fold).held = False
        self._schedule.add(self._waiting(fold))

    def next_batch(self) -> list[Work]:
        """Take the leaders that go through the model next; empty where none waits."""
        batch = self._schedule.next_batch()
        for fold in batch:
            self._ways[fold.key].held = True
        return batch

    def wanted(self, folds: Iterable[Work]) -> list[Work]:
        """Return those of some leaders in the caller's hands whose result is still waited for.

        The others, whose jobs have failed by another fold, are let go.
        """
        kept = []
        for fold in folds:
            if self._held_way(fold).twins or fold.job in self._open:
                kept.append(fold)
            else:
                del self._ways[fold.key]
        return kept

    def settle(self, fold: Work, result: Value) -> Settled[Work, Value]:
        """Take the result of a leader in the caller's hands, for it and for its twins."""
        way = self._held_way(fold)
        del self._ways[fold.key]
        settled: Settled[Work, Value] = Settled()
        for one in (fold, *way.twins):
            job = self._open.get(one.job)
            if job is None:
                continue
            settled.served.append(one)
            job.results[one] = result
            if len(job.results) == len(job.folds):
                del self._open[one.job]
                settled.done.append([(each, job.results[each]) for each in job.folds])
        return settled

    def give_up(self, fold: Work) -> bool:
        """Take note that a leader in the caller's hands cannot be done, and its job by that.

        Returns:
            Whether the job has failed just now; False where it had before.
        """
        way = self._held_way(fold)
        failed = self.fail(fold.job)
        self._pass_on(way, alone=True)
        return failed

    def fail(self, job: Hashable) -> bool:
        """Take a job out as failed, and its folds with it but for those in somebody's hands.

        Returns:
            Whether it was open until now.
        """
        if job in self._expected:
            del self._expected[job]
            return True
        if job not in self._open:
            return False
        for fold in self._open.pop(job).folds:
            way = self._ways.get(fold.key)
            if way is None:
                continue
            if way.leader is not fold:
                way.twins = [twin for twin in way.twins if twin is not fold]
            elif not way.held:
                self._schedule.remove(fold)
                self._pass_on(way, alone=False)
        return True

    def _held_way(self, fold: Work) -> _Way[Work]:
        way = self._ways.get(fold.key)
        if way is None or way.leader is not fold or not way.held:
            raise ValueError(f"not in anybody's hands: {fold}")
        return way

    def _pass_on(self, way: _Way[Work], *, alone: bool) -> None:
        """Let the first of the twins lead, and wait for the model."""
        del self._ways[way.leader.key]
        if way.twins:
            leader, *twins = way.twins
            leader.alone = leader.alone or alone
            self._ways[leader.key] = _Way(leader, twins)
            self.wait(leader)
