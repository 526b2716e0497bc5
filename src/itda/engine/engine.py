"""Runs jobs and tells what happens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from itda.cost.predictor import Admission, Predictor
from itda.device import resolve_device
from itda.engine.determinism import deterministic
from itda.engine.events import Event, JobFailed, JobFinished
from itda.engine.loaded import Loaded
from itda.engine.lost import lost
from itda.engine.plan import Plan, Settings, make_plan
from itda.engine.run import Run
from itda.engine.samples import PREDICT
from itda.engine.searches import Searches
from itda.engine.stages import Stage, Stages
from itda.engine.weights import needs_preparation, prepare
from itda.job.model import Job
from itda.store.store import Store

if TYPE_CHECKING:
    from itda.models.family import Family

WEIGHTS = Stage("weights", 1)


class Engine:
    """Folds jobs, each in stages whose results are found again by what went into them.

    Args:
        store: Where results of stages are kept; None keeps nothing.
        device: `auto` for the fastest device there is, else `cpu`, `cuda`, `cuda:1` or `mps`.
        memory: Bytes that folding may take; None for all that the device has.
        at_once: Most jobs of a batch; None for as many as fit and are worth it.
    """

    def __init__(
        self,
        store: Store | None,
        device: str = "auto",
        *,
        memory: int | None = None,
        at_once: int | None = None,
    ) -> None:
        self.store = store
        self.device = device
        self.memory = memory
        self.at_once = at_once
        self._predictors: dict[tuple[str, Path | None], Predictor] = {}

    def run(
        self,
        jobs: Iterable[Job],
        *,
        family: Family | str = "mini",
        weights: Path | None = None,
        seed: int | None = None,
        samples: int | None = None,
        recycles: int | None = None,
        searches: Searches | None = None,
    ) -> Iterator[Event]:
        """Fold jobs and yield what happens.

        Every job is first checked against what the family can do and what memory there is, so that
        one that cannot be done is refused before anything is computed. Jobs that are small are
        folded in batches, and events of several jobs come mixed; a result does not depend on the
        batch that it was in. A job that fails does not touch the others. On Ctrl-C the computation
        is told to stop and `KeyboardInterrupt` goes on to the caller; results of stages that were
        done are in the store.

        Args:
            jobs: What to fold; names must differ.
            family: A model family or its name.
            weights: A weights file of one's own.
            seed: Replaces the seeds that jobs name.
            samples: Replaces the samples that jobs name.
            recycles: How often the trunk sees its own output; None for the family's choice.
            searches: What is searched for each job before it is folded.

        Raises:
            WeightsError: The weights are missing, truncated or altered.
            CapabilityError: The machine has no such device, there is no such family, or it takes
                nothing of the kind that is to be searched.
            DataError: A database is missing, unfinished or altered.
        """
        if isinstance(family, str):
            from itda.models.registry import get_family

            family = get_family(family)
        settings = Settings(family, weights, seed, samples, recycles, searches or Searches())
        yield from self.run_plan(self.plan(jobs, settings))

    def plan(
        self,
        jobs: Iterable[Job],
        settings: Settings,
        *,
        places: Sequence[int] | None = None,
        total: int | None = None,
    ) -> Plan:
        """Check every job against what the family can do and what memory there is.

        See `make_plan` for arguments and errors.
        """
        return make_plan(
            jobs,
            settings,
            places=places,
            total=total,
            admission=functools.partial(self._admission, settings),
        )

    def predictor(self, settings: Settings) -> Predictor:
        """What tells the cost of jobs with these settings on this device."""
        key = settings.family.name, settings.weights
        if key not in self._predictors:
            device = resolve_device(self.device)
            self._predictors[key] = Predictor(
                settings.family, device, limit_bytes=self.memory, weights=settings.weights
            )
        return self._predictors[key]

    def seconds(self, plan: Plan) -> dict[str, dict[str, float]]:
        """What the model is predicted to take for each job, by its name and the stage."""
        if not plan.requests:
            return {}
        settings, predictor = plan.settings, self.predictor(plan.settings)
        return {
            request.job.name: {
                PREDICT.name: len(request.job.seeds)
                * predictor.cost(settings.load_of(request.job)).seconds
            }
            for request in plan.requests
        }

    def _admission(self, settings: Settings) -> Callable[[Job], Admission]:
        predictor = self.predictor(settings)
        return lambda job: predictor.admit(settings.load_of(job), name=job.name)

    def run_plan(self, plan: Plan, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Fold the jobs of a plan and yield what happens; see `run`.

        Each job ends with `JobFinished` or `JobFailed`, unless it is told to stop. One that a fault
        of the program's own left without either fails with `LostJobError`.

        Args:
            plan: What to fold.
            stop: Asked several times a second; where it says so, the computation is told to stop
                and the events end. Results of stages that were done are in the store.
        """
        for _, refusal in plan.refusals:
            yield refusal
        if not plan.requests:
            return
        with deterministic(plan.settings.deterministic):
            loaded = yield from self._load(plan)
            try:
                predictor = self.predictor(plan.settings)
                run = Run(plan, loaded, self.store, predictor, at_once=self.at_once)
                yield from with_all_ended(run, plan, stop)
            finally:
                # The next run may bring another model, and two large ones may not fit.
                loaded.release()

    def _load(self, plan: Plan) -> Generator[Event, None, Loaded]:
        """Load the weights, once for all jobs; what has to be converted first tells how far it is.

        Its events carry the name of the first job, which waits for it.
        """
        settings = plan.settings
        device = resolve_device(self.device)
        if settings.weights is None and needs_preparation(settings.family):
            prepared = functools.partial(prepare, settings.family)
            yield from Stages(self.store).compute(plan.requests[0].job.name, WEIGHTS, prepared)
        return Loaded(
            lambda frugal: settings.family.load(settings.weights, device, frugal=frugal),
            frugal=any(request.frugal for request in plan.requests),
        )


def with_all_ended(run: Run, plan: Plan, stop: Callable[[], bool]) -> Iterator[Event]:
    """Yield what a run tells, and fail what it neither finished nor failed when it was over.

    What a job's end is, is read from the events alone: whatever keeps the books may be wrong.
    """
    stopped = False

    def stops() -> bool:
        nonlocal stopped
        stopped = stopped or stop()
        return stopped

    ended = set()
    for event in run.events(stops):
        if isinstance(event, JobFinished | JobFailed):
            ended.add(event.job)
        yield event
    for request in () if stopped else plan.requests:
        if request.job.name not in ended:
            yield lost(request.job.name)
