"""One run of many jobs: what they need is searched, the model folds, results are finished, at once.

Three threads hand work on: one gathers alignments and templates, one runs the model on batches, one
finishes what the model gave. So the model does not wait for a search or for geometry, and the jobs
of a run share one set of loaded weights. Each sample is kept as soon as it is finished: a run that
is stopped goes on behind it, and one that asks for more samples computes only those.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from itda.device import release_memory
from itda.engine.ahead import ahead
from itda.engine.crew import POLL_SECONDS, Crew
from itda.engine.events import Event, JobFinished
from itda.engine.exhausted import is_exhausted
from itda.engine.folds import (
    Failure,
    Fold,
    Task,
    Unfinished,
    in_terms_of,
    kernels_key,
    kind_of,
    load_together,
)
from itda.engine.gather import Gathered, gather
from itda.engine.ledger import Ledger
from itda.engine.loaded import Loaded, without_frames
from itda.engine.plan import Plan
from itda.engine.samples import PREDICT, TRUNK, VALIDITY, Samples
from itda.engine.schedule import Waiting
from itda.engine.stages import Stages
from itda.engine.telling import Teller
from itda.models.family import Portion, TrunkModel
from itda.results.result import Result
from itda.store.store import Store
from itda.structure.prediction import Prediction
from itda.version import itda_version

if TYPE_CHECKING:
    from itda.cost.predictor import Predictor

GATHERED_MOST = 128
"""Jobs that wait for the model with all they need, before searches wait for them."""
UNFINISHED_MOST = 2
"""Portions that the model has done and nobody has finished, before it waits."""


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
        self._teller = Teller(self.crew, self._ledger, self._changed, plan.total)
        self._samples = Samples(self.stages, self._teller)
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
        gathering = gather(
            request.job,
            self._searches,
            settings.searches_key,
            self.stages,
            pairs="paired_msa" in settings.family.capabilities.inputs,
            sets=request.sets,
        )
        found: list[Gathered] = []

        def events() -> Iterator[Event]:
            found.append((yield from gathering))

        try:
            self.crew.tell_all(
                self._teller.started(job, events(), begin=lambda: self._expect_more(False))
            )
        finally:
            self._expect_more(True)
        (gathered,) = found
        self._teller.warn(job, request.note)
        job.computed = not gathered.cached
        evidence = gathered.evidence
        load = dataclasses.replace(
            settings.load_of(request.job, templates=evidence.most_templates, frugal=request.frugal),
            alignment_rows=evidence.most_rows,
        )
        inputs = {
            "job": request.input_digest,
            "evidence": gathered.key,
            "recycles": settings.recycles,
            "family": settings.family.name,
            "weights": model.weights_digest,
            "device": model.device,
            "itda": itda_version(),
            **({"deterministic": True} if settings.deterministic else {}),
            **settings.parameters_key,
            **kernels_key(),
        }
        return [
            Fold(job, gathered, seed, {**inputs, "seed": seed}, load) for seed in request.job.seeds
        ]

    def _look_up(self, fold: Fold) -> None:
        """Take samples from the store; where some are missing the fold waits for the model."""
        self._samples.find(fold)
        if fold.missing:
            self._wait_for_model([fold])
        else:
            self._teller.begin_stage([fold], PREDICT)
            self._hand_on(Unfinished([fold]))

    def _wait_for_model(self, folds: Iterable[Fold]) -> None:
        with self._changed:
            for fold in self._ledger.wanted(folds):
                fold.load = dataclasses.replace(
                    fold.load, samples=len(fold.missing), template_sets=len(fold.orders)
                )
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
        return self.predictor.largest_batch(load_together(folds[: self.at_once]))

    def _fold_all(self) -> None:
        while True:
            self._wait(self._is_time_to_fold)
            with self._changed:
                if self._ledger.over:
                    return
                batch = self._ledger.next_batch()
                self._changed.notify_all()
            self._run_model(batch)

    def _is_time_to_fold(self) -> bool:
        """Whether there is a batch to fold, or nothing more to do.

        Jobs that need no search come at once, and the batch waits for them; never for a search.
        """
        more_at_once = self._more_comes_at_once and self._may_gather()
        return self._ledger.over or (self._ledger.ready > 0 and not more_at_once)

    def _run_model(self, batch: Sequence[Fold]) -> None:
        """Run the model on a batch; on a part of it, or with less memory, where it fails."""
        from itda.nn.rows import frugally

        with self._changed:
            folds = self._ledger.wanted(batch)
        if not folds:
            return
        try:
            with frugally(folds[0].load.frugal):
                self._run_trunk(folds)
                self._teller.begin_stage(folds, PREDICT)
                self._run_samples(folds)
        except Exception as error:
            self._recover(folds, error)
            return
        self._hand_on(Unfinished(folds))

    def _run_trunk(self, folds: Sequence[Fold]) -> None:
        """Take what the trunk gives from the store or compute it, where the model keeps it."""
        model = self.loaded.model
        if not isinstance(model, TrunkModel):
            return
        lacking = [fold for fold in folds if fold.missing and not self._samples.find_trunk(fold)]
        if not lacking:
            return
        self._teller.begin_stage(lacking, TRUNK)
        with self._shared(lacking):
            trunks = model.trunk(
                [fold.order for fold in lacking],
                recycles=self.plan.settings.recycles,
                progress=self._teller.trunk_progress(lacking, TRUNK),
            )
        for fold, trunk in zip(lacking, trunks, strict=True):
            self._samples.keep_trunk(fold, trunk)

    def _run_samples(self, folds: Sequence[Fold]) -> None:
        """Run the network for all samples that some folds lack, and hand them on as they come."""
        lacking = [fold for fold in folds if fold.missing]
        if not lacking:
            return
        orders = [(fold, order) for fold in lacking for order in fold.orders]
        owners = [lacking.index(fold) for fold, _ in orders]
        portions = self.loaded.model.begin(
            [order for _, order in orders],
            recycles=self.plan.settings.recycles,
            progress=self._teller.network_progress(lacking, PREDICT),
        )
        while True:
            with self._shared(lacking):
                portion = next(portions, None)
            if portion is None:
                return
            places = tuple((owners[place], sample) for place, sample in portion.places)
            portion = dataclasses.replace(portion, places=places)
            for place, sample in places:
                lacking[place].given.add(sample)
            self._hand_on(Unfinished(lacking, portion))
            # What the model gave takes memory until it is finished.
            self._wait(self._may_go_on)
            if self._ledger.over:
                # Their jobs have failed by another seed, and nobody finishes them.
                portions.close()
                return

    def _may_go_on(self) -> bool:
        waiting = sum(unfinished.portion is not None for unfinished in self._unfinished)
        return waiting < UNFINISHED_MOST or self._ledger.over

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
            self._teller.warn(first.job, message)
            first.load = dataclasses.replace(first.load, frugal=True)
            self.loaded.become_frugal()
            self._run_model([first])
        else:
            if exhausted:
                error = self.predictor.refusal(first.load, name=first.job.name)
            # What the network has done until now is finished and kept first.
            first.failure = Failure(error, shared=False)
            self._hand_on(Unfinished([first]))

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
            if unfinished.portion is not None:
                self._finish(unfinished.folds, unfinished.portion)
            else:
                for fold in unfinished.folds:
                    self._end_fold(fold)

    def _finish(self, batch: Sequence[Fold], portion: Portion) -> None:
        """Finish some samples of a batch and keep them; note why where that cannot be done."""
        of_portion = [batch[place] for place, _ in portion.places]
        folds = list(dict.fromkeys(of_portion))
        try:
            with self._shared(folds):
                found = portion.finish(self._teller.finish_progress(folds, PREDICT))
            if len(found) != len(of_portion):
                raise RuntimeError(f"the model gave {len(found)} of {len(of_portion)} samples")
        except Exception as error:
            for fold in folds:
                fold.failure = fold.failure or Failure(error, shared=len(folds) > 1)
            return
        for fold, (_, sample), prediction in zip(of_portion, portion.places, found, strict=True):
            try:
                self._samples.keep(fold, sample, prediction)
            except Exception as error:
                fold.failure = fold.failure or Failure(error, shared=False)

    def _end_fold(self, fold: Fold) -> None:
        """End a fold that the network is through with; what failed with others is tried alone."""
        failure, fold.failure = fold.failure, None
        try:
            if failure is None and len(fold.samples) < fold.asked:
                raise RuntimeError(f"{len(fold.samples)} predictions for {fold.asked} samples")
            if failure is None:
                self._settle(fold, self._samples.checked(fold))
                return
        except Exception as error:
            failure = Failure(error, shared=False)
        if failure.shared:
            fold.alone = True
            fold.given.clear()
            self._wait_for_model([fold])
            return
        refusal = is_exhausted(failure.error) and self.predictor.refusal(
            fold.load, name=fold.job.name
        )
        self._give_up(fold, refusal or failure.error)

    def _settle(self, fold: Fold, predictions: list[Prediction]) -> None:
        """Give a fold and its twins their result, and end the jobs whose last it was."""
        with self._changed:
            settled = self._ledger.settle(fold, predictions)
            for twin in settled.served:
                if twin is not fold:
                    self._teller.tell_found(twin, (PREDICT, VALIDITY))
            for done in settled.done:
                self._end(done)
            self._changed.notify_all()
        for job in {fold.job, *(done[0][0].job for done in settled.done)}:
            if not self._ledger.is_open(job):
                self.stages.release(job.name)

    def _end(self, done: Sequence[tuple[Fold, list[Prediction]]]) -> None:
        """End a job that has the predictions of all of its folds."""
        first = done[0][0]
        job, rule = first.job, self.plan.settings.family.ranking
        try:
            ranked = rule.ranked(
                in_terms_of(fold, prediction) for fold, found in done for prediction in found
            )
            result = Result(
                job=job.request.job.replace(samples=first.asked),
                predictions=ranked,
                ranking=rule,
                digest=job.request.digest,
                cached=not job.computed,
                seconds=job.seconds,
                evidence=first.gathered.of_sample(ranked[0].sample).evidence,
            )
        except Exception as error:
            self._teller.tell_failed(job, error)
        else:
            self.crew.tell(JobFinished(job=job.name, result=result))

    def _give_up(self, fold: Fold, error: Exception) -> None:
        with self._changed:
            if self._ledger.give_up(fold):
                self._teller.tell_failed(fold.job, error)
            self._changed.notify_all()
        self.stages.release(fold.job.name)

    def _fail(self, job: Task, error: Exception) -> None:
        with self._changed:
            if self._ledger.fail(job):
                self._teller.tell_failed(job, error)
            self._changed.notify_all()
        self.stages.release(job.name)

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            while not until():
                self.crew.check()
                self._changed.wait(POLL_SECONDS)
