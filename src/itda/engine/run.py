"""One run of many jobs: what they need is searched, the model folds, results are finished, at once.

Three threads hand work on: one gathers alignments and templates, one runs the model on batches, one
finishes what the model gave. So the model does not wait for a search or for geometry, and the jobs
of a run share one set of loaded weights.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import itda
from itda.engine.cost.loads import load_of
from itda.engine.crew import POLL_SECONDS, Crew
from itda.engine.device import release_memory
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
    kind_of,
    load_together,
    validity_report,
    with_inputs,
)
from itda.engine.gather import Gathered, gather
from itda.engine.loaded import Loaded, without_frames
from itda.engine.plan import Plan
from itda.engine.result import Result, ranked
from itda.engine.schedule import Schedule, Waiting
from itda.engine.stages import Stage, Stages
from itda.engine.store import Store
from itda.errors import ItdaError
from itda.models.family import Order, Progress, part_of
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.engine.cost.predictor import Predictor

PREDICT = Stage("predict", 6)
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
        self._schedule: Schedule[Fold] = Schedule(self._most_at_once)
        self._unfinished: queue.SimpleQueue[Unfinished | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._gathering = True
        self._searching = False
        self._open = 0
        self._in_flight: dict[str, list[Fold]] = {}

    def events(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Do all of it, unless told to stop, and yield what happens."""
        self.crew.hire("gather", self._gather_all)
        self.crew.hire("fold", self._fold_all)
        self.crew.hire("finish", self._finish_all)
        yield from self.crew.events(stop)

    def _gather_all(self) -> None:
        try:
            for request in self.plan.requests:
                job = Task(request)
                self._wait(self._may_gather)
                try:
                    folds = self._gather(job)
                except Exception as error:
                    self._fail(job, error)
                    continue
                with self._changed:
                    self._open += len(folds)
                for fold in folds:
                    self._look_up(fold)
        finally:
            with self._changed:
                self._gathering = False
                self._changed.notify_all()

    def _may_gather(self) -> bool:
        return max(len(self._schedule), self._unfinished.qsize()) < GATHERED_MOST

    def _gather(self, job: Task) -> list[Fold]:
        settings, model = self.plan.settings, self.loaded.model
        request = job.request
        gathering = gather(request.job, settings.searches, settings.searches_key, self.stages)
        found: list[Gathered] = []

        def events() -> Iterator[Event]:
            found.append((yield from gathering))

        self.crew.tell_all(self._started(job, events()))
        self._search(False)
        (gathered,) = found
        job.computed = not gathered.cached
        kernels = os.environ.get("ITDA_OPS_BACKEND")
        load = load_of(
            request.job,
            recycles=settings.recycles,
            templates=max((len(e.templates) for e in gathered.evidence.values()), default=0),
            frugal=request.frugal,
        )
        return [
            Fold(
                job,
                gathered,
                seed,
                {
                    "job": request.input_digest,
                    "evidence": gathered.key,
                    "seed": seed,
                    "samples": request.job.samples,
                    "recycles": settings.recycles,
                    "family": settings.family.name,
                    "weights": model.weights_digest,
                    "device": model.device,
                    "itda": itda.__version__,
                    **({"deterministic": True} if settings.deterministic else {}),
                    **({"kernels": kernels} if kernels else {}),
                },
                load,
            )
            for seed in request.job.seeds
        ]

    def _started(self, job: Task, events: Iterator[Event]) -> Iterator[Event]:
        """Say that a job has begun before the first of its events."""
        for event in events:
            if not job.began:
                self._search(True)
                yield self._start(job)
            yield event

    def _search(self, now: bool) -> None:
        with self._changed:
            self._searching = now
            self._changed.notify_all()

    def _start(self, job: Task) -> Event:
        job.began = time.perf_counter()
        return JobStarted(job=job.name, position=job.request.position, total=self.plan.total)

    def _look_up(self, fold: Fold) -> None:
        """Take a fold's result from the store; else let it wait for the model."""
        found, problem = self.stages.find(fold.job.name, PREDICT, fold.inputs, codec_of(fold))
        if problem:
            self.crew.tell(JobWarned(job=fold.job.name, message=problem))
        if found is not None:
            (predictions,) = found
            self._begin_stage([fold])
            done = Unfinished([fold], lambda _progress: [predictions], cached=True)
            self._unfinished.put(done)
            return
        with self._changed:
            twins = self._in_flight.get(fold.key)
            if twins is not None:
                twins.append(fold)
                return
            self._in_flight[fold.key] = []
            self._add(fold)

    def _add(self, fold: Fold) -> None:
        with self._changed:
            self._schedule.add(
                Waiting(
                    fold,
                    tokens=fold.load.longest,
                    seconds=self.predictor.cost(fold.load).seconds,
                    kind=kind_of(fold.load),
                    alone=fold.alone,
                )
            )
            self._changed.notify_all()

    def _most_at_once(self, folds: Sequence[Fold]) -> int:
        tokens = [fold.load.longest for fold in folds]
        return self.predictor.largest_batch(tokens[: self.at_once], folds[0].load)

    def _fold_all(self) -> None:
        while True:
            self._wait(self._is_time_to_fold)
            with self._changed:
                batch = self._schedule.next_batch()
                self._changed.notify_all()
            if not batch:
                break
            self._begin_stage(batch)
            self._run_model(batch)
            # What the model gave takes memory until it is finished.
            self._wait(lambda: self._unfinished.qsize() < UNFINISHED_MOST)
        self._unfinished.put(None)

    def _is_time_to_fold(self) -> bool:
        """Whether there is a batch to fold, or nothing more to do.

        Jobs that need no search come at once, and the batch waits for them; never for a search.
        """
        waiting = len(self._schedule)
        more_at_once = self._gathering and not self._searching and waiting < GATHERED_MOST
        return (waiting > 0 and not more_at_once) or not (self._gathering or self._in_flight)

    def _begin_stage(self, folds: Sequence[Fold]) -> None:
        for fold in folds:
            if not fold.job.began:
                self.crew.tell(self._start(fold.job))
            if not fold.began:
                fold.began = time.perf_counter()
                self.crew.tell(StageStarted(job=fold.job.name, stage=PREDICT.name))

    def _run_model(self, folds: Sequence[Fold]) -> None:
        """Run the model on a batch; on a part of it, or with less memory, where it fails."""
        from itda.nn.rows import frugally

        orders = [
            Order(job=fold.job.request.job, seed=fold.seed, evidence=fold.gathered.evidence)
            for fold in folds
        ]
        try:
            with frugally(folds[0].load.frugal):
                finish = self.loaded.model.begin(
                    orders,
                    recycles=self.plan.settings.recycles,
                    progress=self._progress(folds, 0.0, NETWORK_SHARE),
                )
        except Exception as error:
            self._recover(folds, error)
            return
        self._unfinished.put(Unfinished(folds, finish))

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
            self.crew.tell(JobWarned(job=first.job.name, message=message))
            first.load = dataclasses.replace(first.load, frugal=True)
            self.loaded.become_frugal()
            self._run_model([first])
        elif exhausted:
            self._give_up(first, self.predictor.refusal(first.load, name=first.job.name))
        else:
            self._give_up(first, error)

    def _progress(self, folds: Sequence[Fold], first: float, last: float) -> Progress:
        def events(fraction: float, message: str) -> list[Event]:
            return [
                StageProgress(
                    job=fold.job.name, stage=PREDICT.name, fraction=fraction, message=message
                )
                for fold in folds
            ]

        return part_of(self.crew.progress(events), first, last)

    def _finish_all(self) -> None:
        while (unfinished := self.crew.get(self._unfinished)) is not None:
            with self._changed:
                self._changed.notify_all()
            folds = unfinished.folds
            try:
                found = unfinished.finish(self._progress(folds, NETWORK_SHARE, 1.0))
            except Exception as error:
                if len(folds) == 1:
                    exhausted = is_exhausted(error)
                    self._give_up(
                        folds[0],
                        self.predictor.refusal(folds[0].load, name=folds[0].job.name)
                        if exhausted
                        else error,
                    )
                    continue
                for fold in folds:
                    fold.alone = True
                    self._add(fold)
                continue
            for fold, predictions in zip(folds, found, strict=True):
                try:
                    self._settle(fold, predictions, cached=unfinished.cached, of=len(folds))
                except Exception as error:
                    self._give_up(fold, error)
                else:
                    self._close(fold)

    def _settle(self, fold: Fold, predictions: list[Prediction], *, cached: bool, of: int) -> None:
        """Keep the predictions of one seed, and end the job where they were the last.

        Args:
            fold: Whose they are.
            predictions: One for each sample.
            cached: Whether they were found.
            of: Folds of the batch, which share its time.
        """
        job, asked = fold.job, fold.job.request.job.samples
        if len(predictions) != asked:
            raise RuntimeError(f"{len(predictions)} predictions for {asked} samples")
        seconds = (time.perf_counter() - fold.began) / of
        if not cached:
            job.computed = True
            problem = self.stages.keep(
                job.name, PREDICT, fold.inputs, predictions, codec_of(fold), seconds=seconds
            )
            if problem:
                self.crew.tell(JobWarned(job=job.name, message=problem))
        self.crew.tell(
            StageFinished(job=job.name, stage=PREDICT.name, cached=cached, seconds=seconds)
        )
        found = [with_inputs(prediction, fold.gathered.inputs) for prediction in predictions]
        job.predictions[fold.seed] = self._validated(fold, found)
        if len(job.predictions) < len(job.request.job.seeds) or job.failed:
            return
        every = [one for seed in job.request.job.seeds for one in job.predictions[seed]]
        self.crew.tell(
            JobFinished(
                job=job.name,
                result=Result(
                    job=job.request.job,
                    predictions=ranked(every),
                    digest=job.request.digest,
                    cached=not job.computed,
                    seconds=time.perf_counter() - job.began,
                ),
            )
        )
        self.stages.release(job.name)

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

        self.crew.tell_all(events())
        return [
            dataclasses.replace(prediction, validity=report)
            for prediction, report in zip(predictions, reports[0], strict=True)
        ]

    def _close(self, fold: Fold) -> None:
        """Take note that a fold has ended, and look up what waited for the same result.

        What was not kept is computed again.
        """
        with self._changed:
            twins = self._in_flight.pop(fold.key, [])
        for twin in twins:
            self._look_up(twin)
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _give_up(self, fold: Fold, error: Exception) -> None:
        self._fail(fold.job, error)
        self._close(fold)

    def _fail(self, job: Task, error: Exception) -> None:
        """Tell that a job cannot be done, once."""
        if job.failed:
            return
        job.failed = True
        trace = "" if isinstance(error, ItdaError) else "".join(traceback.format_exception(error))
        self.stages.release(job.name)
        if not job.began:
            self.crew.tell(self._start(job))
        self.crew.tell(JobFailed(job=job.name, error=without_frames(error), traceback=trace))

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            while not until():
                self.crew.check()
                self._changed.wait(POLL_SECONDS)
