"""Which folds go through the model next, and how many at once; knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Work = TypeVar("Work")

BATCH_SECONDS = 10.0
"""A batch is no longer than this, as predicted: what a stop loses, and what results wait for."""
BATCH_JOBS_MOST = 64
OVERTAKEN_MOST = 8
"""Batches that may go before one that waits; then it goes first."""


@dataclass(eq=False)
class Waiting(Generic[Work]):
    """A fold that waits for the model.

    Attributes:
        work: What is to be folded.
        tokens: Residues.
        seconds: Predicted.
        kind: Only folds of one kind share a batch.
        alone: Whether it shares a batch at all.
        overtaken: Batches that went before it.
    """

    work: Work
    tokens: int
    seconds: float
    kind: Hashable = None
    alone: bool = False
    overtaken: int = 0


class Schedule(Generic[Work]):
    """Folds that wait, and the order in which they go.

    The shortest goes first, since that gives most results in any time, with others of like length
    beside it. One that was overtaken `OVERTAKEN_MOST` times goes next, however long it is.

    Args:
        most_at_once: How many of some folds, from the first on, fit into memory together.
    """

    def __init__(self, most_at_once: Callable[[Sequence[Work]], int]) -> None:
        self._most_at_once = most_at_once
        self._waiting: list[Waiting[Work]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting[Work]) -> None:
        """Let a fold wait."""
        self._waiting.append(waiting)

    def remove(self, work: Work) -> None:
        """Let a fold wait no more."""
        self._waiting = [one for one in self._waiting if one.work is not work]

    def next_batch(self) -> list[Work]:
        """Take the folds that go next; empty where none waits."""
        if not self._waiting:
            return []
        starving = [one for one in self._waiting if one.overtaken >= OVERTAKEN_MOST]
        # Sorting keeps the order of arrival among equals.
        first = starving[0] if starving else min(self._waiting, key=lambda one: one.seconds)
        batch = [first]
        if not first.alone:
            alike = sorted(
                (
                    one
                    for one in self._waiting
                    if one is not first and not one.alone and one.kind == first.kind
                ),
                key=lambda one: abs(one.tokens - first.tokens),
            )
            seconds = first.seconds
            for one in alike[: BATCH_JOBS_MOST - 1]:
                seconds += one.seconds
                if seconds > BATCH_SECONDS:
                    break
                batch.append(one)
            batch = batch[: max(1, self._most_at_once([one.work for one in batch]))]
        chosen = set(map(id, batch))
        self._waiting = [one for one in self._waiting if id(one) not in chosen]
        for one in self._waiting:
            one.overtaken += 1
        return [one.work for one in batch]
