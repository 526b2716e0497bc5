"""Runs jobs one after the other and tells what happens."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import itda
from itda.confidence.validity import check_validity
from itda.engine.codec import decode_predictions, encode_predictions
from itda.engine.device import release_memory, resolve_device
from itda.engine.events import Event, JobFailed, JobFinished, JobStarted
from itda.engine.gather import PROVENANCE, gather
from itda.engine.plan import Plan, Request, Settings, make_plan
from itda.engine.result import Result, ranked
from itda.engine.searches import Searches
from itda.engine.stages import Codec, Stage, Stages
from itda.engine.store import Store
from itda.engine.weights import needs_preparation, prepare
from itda.engine.worker import Progress
from itda.errors import CapabilityError, ItdaError
from itda.job.model import Job
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.models.family import Family, Model

WEIGHTS = Stage("weights", 1)
PREDICT = Stage("predict", 5)
VALIDITY = Stage("validity", 1)


class _Loaded:
    """Holds the model of a run, so that letting go of it here lets go of it everywhere.

    An error that the caller keeps holds functions, and what they close over, for as long.
    """

    def __init__(self, model: Model) -> None:
        self._model: Model | None = model

    @property
    def model(self) -> Model:
        assert self._model is not None
        return self._model

    def release(self) -> None:
        self._model = None


class Engine:
    """Folds jobs, each in stages whose results are found again by what went into them.

    Args:
        store: Where results of stages are kept; None keeps nothing.
        device: `auto` for the fastest device there is, else `cpu`, `cuda`, `cuda:1` or `mps`.
    """

    def __init__(self, store: Store | None, device: str = "auto") -> None:
        self.stages = Stages(store)
        self.device = device

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

        Every job is first checked against what the family can do, so that one that cannot be done
        is refused before anything is computed. Afterwards a job that fails does not touch the
        others. On Ctrl-C the computation is told to stop and `KeyboardInterrupt` goes on to the
        caller; results of stages that were done are in the store.

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
        yield from self.run_plan(
            make_plan(
                jobs, Settings(family, weights, seed, samples, recycles, searches or Searches())
            )
        )

    def run_plan(self, plan: Plan) -> Iterator[Event]:
        """Fold the jobs of a plan and yield what happens; see `run`."""
        for _, refusal in plan.refusals:
            yield refusal
        if not plan.requests:
            return
        loaded = _Loaded((yield from self._load(plan)))
        try:
            for request in plan.requests:
                name = request.job.name
                yield JobStarted(job=name, position=request.position, total=plan.total)
                try:
                    yield from self._run(request, plan.settings, loaded)
                except ItdaError as error:
                    yield JobFailed(job=name, error=_without_frames(error))
                except Exception as error:
                    exhausted = _out_of_memory(error, request.job, loaded.model.device)
                    trace = "" if exhausted else traceback.format_exc()
                    shown = exhausted or _without_frames(error)
                    yield JobFailed(job=name, error=shown, traceback=trace)
        finally:
            # The next run may bring another model, and two large ones may not fit.
            loaded.release()
            release_memory()

    def _load(self, plan: Plan) -> Generator[Event, None, Model]:
        """Load the weights, once for all jobs; what has to be converted first tells how far it is.

        Its events carry the name of the first job, which waits for it.
        """
        settings = plan.settings
        device = resolve_device(self.device)
        if settings.weights is None and needs_preparation(settings.family):
            prepared = functools.partial(prepare, settings.family)
            yield from self.stages.compute(plan.requests[0].job.name, WEIGHTS, prepared)
        return settings.family.load(settings.weights, device)

    def _run(self, request: Request, settings: Settings, loaded: _Loaded) -> Iterator[Event]:
        began = time.perf_counter()
        gathered = yield from gather(
            request.job, settings.searches, settings.searches_key, self.stages
        )
        predictions: list[Prediction] = []
        all_cached = gathered.cached
        for seed in request.job.seeds:
            inputs = {
                "job": request.input_digest,
                "evidence": gathered.key,
                "seed": seed,
                "samples": request.job.samples,
                "recycles": settings.recycles,
                "family": settings.family.name,
                "weights": loaded.model.weights_digest,
                "device": loaded.model.device,
                "itda": itda.__version__,
            }
            found, cached = yield from self._predict(
                request.job, gathered.evidence, seed, settings, loaded, inputs
            )
            found = [_with_inputs(prediction, gathered.inputs) for prediction in found]
            predictions.extend((yield from self._validate(request.job, found, inputs)))
            all_cached = all_cached and cached
        yield JobFinished(
            job=request.job.name,
            result=Result(
                job=request.job,
                predictions=ranked(predictions),
                digest=request.digest,
                cached=all_cached,
                seconds=time.perf_counter() - began,
            ),
        )

    def _predict(
        self,
        job: Job,
        evidence: Mapping[str, Evidence],
        seed: int,
        settings: Settings,
        loaded: _Loaded,
        inputs: Mapping[str, object],
    ) -> Generator[Event, None, tuple[list[Prediction], bool]]:
        def compute(progress: Progress) -> list[Prediction]:
            predictions = loaded.model.predict(
                job,
                evidence=evidence,
                seed=seed,
                samples=job.samples,
                recycles=settings.recycles,
                progress=progress,
            )
            if len(predictions) != job.samples:
                raise RuntimeError(f"{len(predictions)} predictions for {job.samples} samples")
            return predictions

        codec: Codec[list[Prediction]] = Codec(
            encode_predictions, functools.partial(decode_predictions, name=job.name)
        )
        return (yield from self.stages.find_or_compute(job.name, PREDICT, inputs, compute, codec))

    def _validate(
        self, job: Job, predictions: list[Prediction], inputs: Mapping[str, object]
    ) -> Generator[Event, None, list[Prediction]]:
        def compute(progress: Progress) -> list[dict[str, Any]]:
            reports = []
            for index, prediction in enumerate(predictions):
                progress(index / len(predictions), "")
                reports.append(_validity_report(prediction))
            return reports

        reports, _ = yield from self.stages.find_or_compute(
            job.name, VALIDITY, {"predict": PREDICT.version, **inputs}, compute, _REPORTS
        )
        return [
            dataclasses.replace(prediction, validity=report)
            for prediction, report in zip(predictions, reports, strict=True)
        ]


def _with_inputs(prediction: Prediction, inputs: Mapping[str, str]) -> Prediction:
    """Say in the provenance where this run's evidence came from.

    It may not be what was kept with the prediction: the same alignment can come from a file today
    and have come from a search yesterday.
    """
    provenance = prediction.provenance
    own = {
        name: value
        for name, value in provenance.inputs.items()
        if name.rpartition(".")[2] not in PROVENANCE
    }
    return dataclasses.replace(
        prediction, provenance=dataclasses.replace(provenance, inputs=own | dict(inputs))
    )


def _without_frames(error: Exception) -> Exception:
    """Let go of what the frames of an error hold, such as the model, for as long as it is kept.

    The lines that it went through stay.
    """
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    return error


def _out_of_memory(error: Exception, job: Job, device: str) -> CapabilityError | None:
    """Return a user's error where memory ran out, which PyTorch tells in several ways."""
    said = str(error).lower()
    exhausted = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in said or "can't allocate memory" in said)
    )
    if not exhausted:
        return None
    residues = sum(getattr(entity, "length", 1) for _, entity in job.chains)
    return CapabilityError(
        f"job {job.name!r}: {residues} residues need more memory than {device} has",
        hint="fold a part of the chain, or use a device with more memory",
    )


def _validity_report(prediction: Prediction) -> dict[str, Any]:
    """Return the report with lists for tuples, so that a found one equals a computed one."""
    report: dict[str, Any] = json.loads(json.dumps(check_validity(prediction.atoms).to_dict()))
    return report


_REPORTS: Codec[list[dict[str, Any]]] = Codec(
    lambda value: {"validity.json": json.dumps(value).encode()},
    lambda files: json.loads(files["validity.json"]),
)
