"""One run of many jobs: what they need is searched, the model folds, results are finished, at once.

Three threads hand work on: one gathers alignments and templates, one runs the model on batches, one
finishes what the model gave. So the model does not wait for a search or for geometry, and the jobs
of a run share one set of loaded weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itda.device import release_memory
from itda.engine.ahead import ahead
from itda.engine.crew import POLL_SECONDS, Crew
from itda.engine.events import (
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.engine.exhausted import is_exhausted
from itda.engine.folds import (
    VALIDITY_CODEC,
    Fold,
    Task,
    Unfinished,
    codec_of,
    in_terms_of,
    kernels_told,
    kind_of,
    load_together,
    validity_report,
)
from itda.engine.gather import Gathered, gather
from itda.engine.ledger import Ledger
from itda.engine.loaded import Loaded, without_frames
from itda.engine.plan import Plan
from itda.engine.schedule import Waiting
from itda.engine.stages import Stage, Stages
from itda.errors import ItdaError
from itda.models.family import Progress, part_of
from itda.results.result import Result, ranked
from itda.store.store import Store
from itda.structure.prediction import Prediction
from itda.version import itda_version

if TYPE_CHECKING:
    from itda.cost.predictor import Predictor

PREDICT = Stage("predict", 7)
VALIDITY = Stage("validity", 1)

GATHERED_MOST = 128
"""Jobs that wait for the model with all they need, before searches wait for them."""
UNFINISHED_MOST = 2
"""Batches that the model has done and nobody has finished, before it waits."""
NETWORK_SHARE = 0.7
"""Of the stage `predict`, in what is told of its progress; the rest is geometry and confidence."""


class Run:
    """The jobs of a plan, on one model.

    Args:
        plan: What is asked for.
        loaded: The model.
        store: Keeps results; None keeps nothing.
        predictor: Tells what fits.
        at_once: Most jobs of a batch; None for as many as fit and are worth it.
    """

    def __init__(
        self,
        plan: Plan,
        loaded: Loaded,
        store: Store | None,
        predictor: Predictor,
        *,
        at_once: int | None = None,
    ) -> None:
        self.plan = plan
        self.loaded = loaded
        self.predictor = predictor
        self.crew = Crew()
        self.stages = Stages(store, self.crew.check)
        self.at_once = at_once
        self._tasks = [Task(request) for request in plan.requests]
        self._ledger: Ledger[Fold, list[Prediction]] = Ledger(
            self._tasks, waiting=self._waiting, most_at_once=self._most_at_once
        )
        self._unfinished: deque[Unfinished] = deque()
        self._searches = ahead(
            [request.job for request in plan.requests],
            plan.settings.searches,
            plan.settings.searches_key,
            self.stages,
        )
        self._changed = threading.Condition()
        """Its lock is held for whatever is asked of the ledger."""
        self._more_comes_at_once = True
        """Whether the model had better wait for jobs that need no search."""

    def events(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Do all of it, unless told to stop, and yield what happens."""
        self.crew.hire("gather", self._gather_all)
        self.crew.hire("fold", self._fold_all)
        self.crew.hire("finish", self._finish_all)
        yield from self.crew.events(stop)

    def _gather_all(self) -> None:
        for job in self._tasks:
            self._wait(self._may_gather)
            try:
                folds = self._gather(job)
            except Exception as error:
                self._fail(job, error)
                continue
            with self._changed:
                leaders = self._ledger.begin(job, folds)
                self._changed.notify_all()
            for fold in leaders:
                try:
                    self._look_up(fold)
                except Exception as error:
                    self._give_up(fold, error)
        self._expect_more(False)

    def _may_gather(self) -> bool:
        return max(self._ledger.gathered, len(self._unfinished)) < GATHERED_MOST

    def _expect_more(self, at_once: bool) -> None:
        with self._changed:
            self._more_comes_at_once = at_once
            self._changed.notify_all()

    def _gather(self, job: Task) -> list[Fold]:
        settings, model = self.plan.settings, self.loaded.model
        request = job.request
        gathering = gather(request.job, self._searches, settings.searches_key, self.stages)
        found: list[Gathered] = []

        def events() -> Iterator[Event]:
            found.append((yield from gathering))

        try:
            self.crew.tell_all(self._started(job, events()))
        finally:
            self._expect_more(True)
        (gathered,) = found
        job.computed = not gathered.cached
        load = settings.load_of(
            request.job,
            templates=max((len(e.templates) for e in gathered.evidence.chains.values()), default=0),
            frugal=request.frugal,
        )
        inputs = {
            "job": request.input_digest,
            "evidence": gathered.key,
            "samples": request.job.samples,
            "recycles": settings.recycles,
            "family": settings.family.name,
            "weights": model.weights_digest,
            "device": model.device,
            "itda": itda_version(),
            **({"deterministic": True} if settings.deterministic else {}),
            **settings.parameters_key,
            **kernels_told(),
        }
        return [
            Fold(job, gathered, seed, {**inputs, "seed": seed}, load) for seed in request.job.seeds
        ]

    def _started(self, job: Task, events: Iterable[Event]) -> Iterator[Event]:
        """Say that a job has begun before the first of its events, and add up its stages."""
        for event in events:
            if not job.started:
                self._expect_more(False)
                yield self._start(job)
            if isinstance(event, StageFinished):
                job.seconds += event.seconds
            yield event

    def _start(self, job: Task) -> Event:
        job.started = True
        return JobStarted(job=job.name, position=job.request.position, total=self.plan.total)

    def _look_up(self, fold: Fold) -> None:
        """Take a fold's result from the store; else let it wait for the model."""
        began = time.perf_counter()
        found, problem = self.stages.find(fold.job.name, PREDICT, fold.inputs, codec_of(fold))
        if problem:
            self._tell(fold.job, JobWarned(job=fold.job.name, message=problem))
        if found is not None:
            fold.seconds += time.perf_counter() - began
            (predictions,) = found
            self._begin_stage([fold])
            self._hand_on(Unfinished([fold], lambda _progress: [predictions], cached=True))
        else:
            self._wait_for_model([fold])

    def _wait_for_model(self, folds: Iterable[Fold]) -> None:
        with self._changed:
            for fold in self._ledger.wanted(folds):
                self._ledger.wait(fold)
            self._changed.notify_all()

    def _waiting(self, fold: Fold) -> Waiting[Fold]:
        return Waiting(
            fold,
            tokens=fold.load.longest,
            seconds=self.predictor.cost(fold.load).seconds,
            kind=kind_of(fold.load),
            alone=fold.alone,
        )

    def _most_at_once(self, folds: Sequence[Fold]) -> int:
        tokens = [fold.load.longest for fold in folds]
        return self.predictor.largest_batch(tokens[: self.at_once], folds[0].load)

    def _fold_all(self) -> None:
        while True:
            self._wait(self._is_time_to_fold)
            with self._changed:
                if self._ledger.over:
                    return
                batch = self._ledger.next_batch()
                self._changed.notify_all()
            self._begin_stage(batch)
            self._run_model(batch)
            # What the model gave takes memory until it is finished.
            self._wait(lambda: len(self._unfinished) < UNFINISHED_MOST)

    def _is_time_to_fold(self) -> bool:
        """Whether there is a batch to fold, or nothing more to do.

        Jobs that need no search come at once, and the batch waits for them; never for a search.
        """
        more_at_once = self._more_comes_at_once and self._may_gather()
        return self._ledger.over or (self._ledger.ready > 0 and not more_at_once)

    def _begin_stage(self, folds: Sequence[Fold]) -> None:
        for fold in folds:
            if not fold.job.started:
                self._tell(fold.job, self._start(fold.job))
            if not fold.started:
                fold.started = True
                self._tell(fold.job, StageStarted(job=fold.job.name, stage=PREDICT.name))

    def _run_model(self, batch: Sequence[Fold]) -> None:
        """Run the model on a batch; on a part of it, or with less memory, where it fails."""
        from itda.nn.rows import frugally

        with self._changed:
            folds = self._ledger.wanted(batch)
        if not folds:
            return
        orders = [fold.order for fold in folds]
        try:
            with self._shared(folds), frugally(folds[0].load.frugal):
                finish = self.loaded.model.begin(
                    orders,
                    recycles=self.plan.settings.recycles,
                    progress=self._progress(folds, 0.0, NETWORK_SHARE),
                )
        except Exception as error:
            self._recover(folds, error)
            return
        self._hand_on(Unfinished(folds, finish))

    def _recover(self, folds: Sequence[Fold], error: Exception) -> None:
        """Try a batch that failed in parts, and one fold that ran out of memory with less of it."""
        exhausted = is_exhausted(error)
        if exhausted:
            self.predictor.learn_exhausted(load_together(folds))
            without_frames(error)
            release_memory()
        first = folds[0]
        if len(folds) > 1:
            half = (len(folds) + 1) // 2
            step = half if exhausted else 1
            for start in range(0, len(folds), step):
                self._run_model(folds[start : start + step])
        elif exhausted and not first.load.frugal:
            message = "memory ran out; folded again with less of it, which takes longer"
            self._tell(first.job, JobWarned(job=first.job.name, message=message))
            first.load = dataclasses.replace(first.load, frugal=True)
            self.loaded.become_frugal()
            self._run_model([first])
        elif exhausted:
            self._give_up(first, self.predictor.refusal(first.load, name=first.job.name))
        else:
            self._give_up(first, error)

    @contextlib.contextmanager
    def _shared(self, folds: Sequence[Fold]) -> Iterator[None]:
        """Share out the time that something takes, in the proportion that is predicted."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            costs = [max(self.predictor.cost(fold.load).seconds, 1e-9) for fold in folds]
            for fold, cost in zip(folds, costs, strict=True):
                fold.seconds += seconds * cost / sum(costs)

    def _progress(self, folds: Sequence[Fold], first: float, last: float) -> Progress:
        def events(fraction: float, message: str) -> list[Event]:
            with self._changed:
                return [
                    StageProgress(
                        job=fold.job.name, stage=PREDICT.name, fraction=fraction, message=message
                    )
                    for fold in folds
                    if self._ledger.is_open(fold.job)
                ]

        return part_of(self.crew.progress(events), first, last)

    def _hand_on(self, unfinished: Unfinished) -> None:
        with self._changed:
            self._unfinished.append(unfinished)
            self._changed.notify_all()

    def _finish_all(self) -> None:
        while True:
            self._wait(lambda: bool(self._unfinished) or self._ledger.over)
            with self._changed:
                if self._ledger.over:
                    return
                unfinished = self._unfinished.popleft()
                self._changed.notify_all()
            self._finish(unfinished)

    def _finish(self, unfinished: Unfinished) -> None:
        folds = unfinished.folds
        try:
            with self._shared(folds):
                found = unfinished.finish(self._progress(folds, NETWORK_SHARE, 1.0))
            if len(found) != len(folds):
                raise RuntimeError(f"the model gave {len(found)} results for {len(folds)} jobs")
        except Exception as error:
            if len(folds) > 1:
                for fold in folds:
                    fold.alone = True
                self._wait_for_model(folds)
                return
            (fold,) = folds
            refusal = is_exhausted(error) and self.predictor.refusal(fold.load, name=fold.job.name)
            self._give_up(fold, refusal or error)
            return
        for fold, predictions in zip(folds, found, strict=True):
            try:
                checked = self._keep(fold, predictions, cached=unfinished.cached)
            except Exception as error:
                self._give_up(fold, error)
            else:
                self._settle(fold, checked)

    def _keep(self, fold: Fold, predictions: list[Prediction], *, cached: bool) -> list[Prediction]:
        """Keep the predictions of one seed, one for each sample, and return them checked.

        Args:
            fold: Whose they are.
            predictions: As the model or the store gave them.
            cached: Whether they were found.
        """
        job, asked = fold.job, fold.job.request.job.samples
        if len(predictions) != asked:
            raise RuntimeError(f"{len(predictions)} predictions for {asked} samples")
        if not cached:
            job.computed = True
            problem = self.stages.keep(
                job.name, PREDICT, fold.inputs, predictions, codec_of(fold), seconds=fold.seconds
            )
            if problem:
                self._tell(job, JobWarned(job=job.name, message=problem))
        job.seconds += fold.seconds
        self._tell(job, _finished(fold, PREDICT, cached=cached, seconds=fold.seconds))
        return self._validated(fold, predictions)

    def _validated(self, fold: Fold, predictions: list[Prediction]) -> list[Prediction]:
        def compute(progress: Progress) -> list[dict[str, Any]]:
            reports = []
            for index, prediction in enumerate(predictions):
                progress(index / len(predictions), "")
                reports.append(validity_report(prediction))
            return reports

        reports: list[list[dict[str, Any]]] = []

        def events() -> Iterator[Event]:
            found, _ = yield from self.stages.find_or_compute(
                fold.job.name,
                VALIDITY,
                {"predict": PREDICT.version, **fold.inputs},
                compute,
                VALIDITY_CODEC,
            )
            reports.append(found)

        for event in self._started(fold.job, events()):
            self._tell(fold.job, event)
        return [
            dataclasses.replace(prediction, validity=report)
            for prediction, report in zip(predictions, reports[0], strict=True)
        ]

    def _settle(self, fold: Fold, predictions: list[Prediction]) -> None:
        """Give a fold and its twins their result, and end the jobs whose last it was."""
        with self._changed:
            settled = self._ledger.settle(fold, predictions)
            for twin in settled.served:
                if twin is not fold:
                    self._tell_found(twin)
            for done in settled.done:
                self._end(done)
            self._changed.notify_all()
        for job in {fold.job, *(done[0][0].job for done in settled.done)}:
            if not self._ledger.is_open(job):
                self.stages.release(job.name)

    def _tell_found(self, twin: Fold) -> None:
        """Tell of a fold whose result came with that of an equal one."""
        if not twin.job.started:
            self.crew.tell(self._start(twin.job))
        for stage in (PREDICT, VALIDITY):
            self.crew.tell(
                StageStarted(job=twin.job.name, stage=stage.name),
                _finished(twin, stage, cached=True, seconds=0.0),
            )

    def _end(self, done: Sequence[tuple[Fold, list[Prediction]]]) -> None:
        """End a job that has the predictions of all of its folds."""
        job = done[0][0].job
        try:
            result = Result(
                job=job.request.job,
                predictions=ranked([in_terms_of(fold, one) for fold, all in done for one in all]),
                digest=job.request.digest,
                cached=not job.computed,
                seconds=job.seconds,
                evidence=done[0][0].gathered.evidence,
            )
        except Exception as error:
            self._tell_failed(job, error)
        else:
            self.crew.tell(JobFinished(job=job.name, result=result))

    def _give_up(self, fold: Fold, error: Exception) -> None:
        with self._changed:
            if self._ledger.give_up(fold):
                self._tell_failed(fold.job, error)
            self._changed.notify_all()
        self.stages.release(fold.job.name)

    def _fail(self, job: Task, error: Exception) -> None:
        with self._changed:
            if self._ledger.fail(job):
                self._tell_failed(job, error)
            self._changed.notify_all()
        self.stages.release(job.name)

    def _tell_failed(self, job: Task, error: Exception) -> None:
        trace = "" if isinstance(error, ItdaError) else "".join(traceback.format_exception(error))
        if not job.started:
            self.crew.tell(self._start(job))
        self.crew.tell(JobFailed(job=job.name, error=without_frames(error), traceback=trace))

    def _tell(self, job: Task, event: Event) -> None:
        """Tell what happens to a job, unless it has come out: its end is the last of its events."""
        with self._changed:
            if self._ledger.is_open(job):
                self.crew.tell(event)

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            while not until():
                self.crew.check()
                self._changed.wait(POLL_SECONDS)


def _finished(fold: Fold, stage: Stage, *, cached: bool, seconds: float) -> StageFinished:
    return StageFinished(job=fold.job.name, stage=stage.name, cached=cached, seconds=seconds)
