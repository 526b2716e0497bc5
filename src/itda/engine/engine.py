"""Runs jobs one after the other and tells what happens."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import itda
from itda.confidence.validity import check_validity
from itda.engine.codec import decode_predictions, encode_predictions
from itda.engine.device import resolve_device
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
from itda.engine.plan import Plan, Request, Settings, make_plan
from itda.engine.result import Result, ranked
from itda.engine.store import Store
from itda.engine.worker import Progress, with_progress
from itda.errors import CapabilityError, ItdaError
from itda.job.model import Job
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.models.family import Family, Model

Value = TypeVar("Value")

# Raise a stage's version when the same inputs give another result.
PREDICT = ("predict", 1)
VALIDITY = ("validity", 1)


class Engine:
    """Folds jobs, each in stages whose results are found again by what went into them.

    Args:
        store: Where results of stages are kept; None keeps nothing.
        device: `auto` for the fastest device there is, else `cpu`, `cuda`, `cuda:1` or `mps`.
    """

    def __init__(self, store: Store | None, device: str = "auto") -> None:
        self.store = store
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

        Raises:
            WeightsError: The weights are missing, truncated or altered.
            CapabilityError: The machine has no such device, or there is no such family.
        """
        if isinstance(family, str):
            from itda.models.registry import get_family

            family = get_family(family)
        yield from self.run_plan(
            make_plan(jobs, Settings(family, weights, seed, samples, recycles))
        )

    def run_plan(self, plan: Plan) -> Iterator[Event]:
        """Fold the jobs of a plan and yield what happens; see `run`."""
        for _, refusal in plan.refusals:
            yield refusal
        if not plan.requests:
            return
        model = plan.settings.family.load(plan.settings.weights, resolve_device(self.device))
        for request in plan.requests:
            name = request.job.name
            yield JobStarted(job=name, position=request.position, total=plan.total)
            try:
                yield from self._run(request, plan.settings, model)
            except ItdaError as error:
                yield JobFailed(job=name, error=error)
            except Exception as error:
                exhausted = _out_of_memory(error, request.job, model)
                trace = "" if exhausted else traceback.format_exc()
                yield JobFailed(job=name, error=exhausted or error, traceback=trace)

    def _run(self, request: Request, settings: Settings, model: Model) -> Iterator[Event]:
        began = time.perf_counter()
        predictions: list[Prediction] = []
        all_cached = True
        for seed in request.job.seeds:
            inputs = {
                "job": request.input_digest,
                "seed": seed,
                "samples": request.job.samples,
                "recycles": settings.recycles,
                "family": settings.family.name,
                "weights": model.weights_digest,
                "device": model.device,
                "itda": itda.__version__,
            }
            found, cached = yield from self._predict(request.job, seed, settings, model, inputs)
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
        self, job: Job, seed: int, settings: Settings, model: Model, inputs: Mapping[str, object]
    ) -> Generator[Event, None, tuple[list[Prediction], bool]]:
        def compute(progress: Progress) -> list[Prediction]:
            predictions = model.predict(
                job,
                seed=seed,
                samples=job.samples,
                recycles=settings.recycles,
                progress=progress,
            )
            if len(predictions) != job.samples:
                raise RuntimeError(f"{len(predictions)} predictions for {job.samples} samples")
            return predictions

        return (
            yield from self._stage(
                job,
                PREDICT,
                inputs,
                compute,
                encode_predictions,
                functools.partial(decode_predictions, name=job.name),
            )
        )

    def _validate(
        self, job: Job, predictions: list[Prediction], inputs: Mapping[str, object]
    ) -> Generator[Event, None, list[Prediction]]:
        def compute(progress: Progress) -> list[dict[str, Any]]:
            reports = []
            for index, prediction in enumerate(predictions):
                progress(index / len(predictions), "")
                reports.append(_validity_report(prediction))
            return reports

        reports, _ = yield from self._stage(
            job,
            VALIDITY,
            {"predict": PREDICT[1], **inputs},
            compute,
            lambda value: {"validity.json": json.dumps(value).encode()},
            lambda files: json.loads(files["validity.json"]),
        )
        return [
            dataclasses.replace(prediction, validity=report)
            for prediction, report in zip(predictions, reports, strict=True)
        ]

    def _stage(
        self,
        job: Job,
        stage: tuple[str, int],
        inputs: Mapping[str, object],
        compute: Callable[[Progress], Value],
        encode: Callable[[Value], dict[str, bytes]],
        decode: Callable[[Mapping[str, bytes]], Value],
    ) -> Generator[Event, None, tuple[Value, bool]]:
        name, version = stage
        key = Store.key(name, version, inputs)
        began = time.perf_counter()
        yield StageStarted(job=job.name, stage=name)
        found = yield from self._find(job, key, decode)
        if found is None:
            work = with_progress(compute)
            try:
                while True:
                    fraction, message = next(work)
                    yield StageProgress(
                        job=job.name, stage=name, fraction=fraction, message=message
                    )
            except StopIteration as finished:
                value: Value = finished.value
            finally:
                work.close()
            yield from self._keep(job, key, encode(value))
        else:
            (value,) = found
        seconds = time.perf_counter() - began
        cached = found is not None
        yield StageFinished(job=job.name, stage=name, cached=cached, seconds=seconds)
        return value, cached

    def _find(
        self, job: Job, key: str, decode: Callable[[Mapping[str, bytes]], Value]
    ) -> Generator[Event, None, tuple[Value] | None]:
        """Return what the store has, in a tuple; None where it has nothing that can be used."""
        if self.store is None:
            return None
        try:
            files = self.store.get(key)
            return None if files is None else (decode(files),)
        except Exception as damage:  # whatever is wrong with it, it can be computed anew
            yield JobWarned(
                job=job.name,
                message=f"a stored result is damaged and is computed anew: {damage}",
            )
        try:
            self.store.discard(key)
        except OSError as error:
            yield JobWarned(job=job.name, message=f"the damaged result cannot be removed: {error}")
        return None

    def _keep(self, job: Job, key: str, files: Mapping[str, bytes]) -> Iterator[Event]:
        if self.store is None:
            return
        try:
            self.store.put(key, files)
        except OSError as error:
            yield JobWarned(
                job=job.name,
                message="the result cannot be kept for later runs: "
                f"{error.strerror or error} ({self.store.folder})",
            )


def _out_of_memory(error: Exception, job: Job, model: Model) -> CapabilityError | None:
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
        f"job {job.name!r}: {residues} residues need more memory than {model.device} has",
        hint="fold a part of the chain, or use a device with more memory",
    )


def _validity_report(prediction: Prediction) -> dict[str, Any]:
    """Return the report with lists for tuples, so that a found one equals a computed one."""
    report: dict[str, Any] = json.loads(json.dumps(check_validity(prediction.atoms).to_dict()))
    return report
