"""What a run tells of its jobs: that they begin, how far they are, and how they end."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from itda.engine.crew import Crew
from itda.engine.events import (
    Event,
    JobFailed,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.engine.loaded import without_frames
from itda.errors import ItdaError
from itda.progress import Progress

if TYPE_CHECKING:
    from itda.engine.folds import Fold, Task
    from itda.engine.ledger import Ledger
    from itda.engine.stages import Stage
    from itda.structure.prediction import Prediction


class Teller:
    """Hands on what happens to the jobs of a run; the end of a job is the last of its events.

    Args:
        crew: Whose events they are.
        ledger: Knows which jobs are open.
        changed: Its lock is held for whatever is asked of the ledger.
        total: Records of the input.
    """

    def __init__(
        self,
        crew: Crew,
        ledger: Ledger[Fold, list[Prediction]],
        changed: threading.Condition,
        total: int,
    ) -> None:
        self._crew = crew
        self._ledger = ledger
        self._changed = changed
        self._total = total

    def tell(self, job: Task, event: Event) -> None:
        """Tell what happens to a job, unless it has come out."""
        with self._changed:
            if self._ledger.is_open(job):
                self._crew.tell(event)

    def warn(self, job: Task, message: str) -> None:
        """Tell what the owner of a job should know, if there is anything."""
        if message:
            self.tell(job, JobWarned(job=job.name, message=message))

    def start(self, job: Task) -> Event:
        """Note that the first stage of a job begins, and give the event that says so."""
        job.started = True
        return JobStarted(job=job.name, position=job.request.position, total=self._total)

    def started(
        self, job: Task, events: Iterable[Event], *, begin: Callable[[], None] = lambda: None
    ) -> Iterator[Event]:
        """Say that a job has begun before the first of its events, and add up its stages.

        Args:
            job: Whose the events are.
            events: Of its stages.
            begin: Called before the job is said to have begun.
        """
        for event in events:
            if not job.started:
                begin()
                yield self.start(job)
            if isinstance(event, StageFinished):
                job.seconds += event.seconds
            yield event

    def begin_stage(self, folds: Sequence[Fold], stage: Stage) -> None:
        """Tell that a stage of some folds begins, once for each."""
        for fold in folds:
            if not fold.job.started:
                self.tell(fold.job, self.start(fold.job))
            if stage.name not in fold.begun:
                fold.begun.add(stage.name)
                self.tell(fold.job, StageStarted(job=fold.job.name, stage=stage.name))

    def tell_found(self, twin: Fold, stages: Sequence[Stage]) -> None:
        """Tell of a fold whose result came with that of an equal one; the lock is held."""
        if not twin.job.started:
            self._crew.tell(self.start(twin.job))
        for stage in stages:
            self._crew.tell(
                StageStarted(job=twin.job.name, stage=stage.name),
                stage_finished(twin, stage, cached=True, seconds=0.0),
            )

    def tell_failed(self, job: Task, error: Exception) -> None:
        """Tell that a job that was open until now has failed; the lock is held."""
        trace = "" if isinstance(error, ItdaError) else "".join(traceback.format_exception(error))
        if not job.started:
            self._crew.tell(self.start(job))
        self._crew.tell(JobFailed(job=job.name, error=without_frames(error), traceback=trace))

    def network_progress(self, folds: Sequence[Fold], stage: Stage) -> Progress:
        """Return what reports how far the network is with a batch."""

        def note(fold: Fold, fraction: float) -> float:
            fold.network_done = fraction
            return fold.done

        return self._progress(folds, stage, note)

    def finish_progress(self, folds: Sequence[Fold], stage: Stage) -> Progress:
        """Return what reports how far the end of one sample of each of some folds is."""
        return self._progress(folds, stage, lambda fold, fraction: fold.done_with(fraction))

    def trunk_progress(self, folds: Sequence[Fold], stage: Stage) -> Progress:
        """Return what reports how far the trunk is with a batch."""
        return self._progress(folds, stage, lambda _fold, fraction: fraction)

    def _progress(
        self, folds: Sequence[Fold], stage: Stage, done: Callable[[Fold, float], float]
    ) -> Progress:
        def events(fraction: float, message: str) -> list[Event]:
            with self._changed:
                return [
                    StageProgress(
                        job=fold.job.name,
                        stage=stage.name,
                        fraction=done(fold, fraction),
                        message=message,
                    )
                    for fold in folds
                    if self._ledger.is_open(fold.job)
                ]

        return self._crew.progress(events)


def stage_finished(fold: Fold, stage: Stage, *, cached: bool, seconds: float) -> StageFinished:
    """Give the event that a stage of a fold is done."""
    return StageFinished(job=fold.job.name, stage=stage.name, cached=cached, seconds=seconds)
