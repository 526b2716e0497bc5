"""What a model gives of a fold, stage by stage: its trunk, its samples, their geometry."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from itda.engine.aside import set_aside
from itda.engine.codec import TRUNK_CODEC
from itda.engine.events import Event
from itda.engine.folds import VALIDITY_CODEC, Fold, codec_of, validity_report
from itda.engine.stages import Stage, Stages
from itda.engine.telling import Teller, stage_finished
from itda.models.family import Trunk
from itda.structure.prediction import Prediction

TRUNK = Stage("trunk", 1)
PREDICT = Stage("predict", 8)
VALIDITY = Stage("validity", 1)


class Samples:
    """Finds and keeps what a model gives, and tells of it.

    Args:
        stages: Where it is kept.
        teller: Tells what happens.
    """

    def __init__(self, stages: Stages, teller: Teller) -> None:
        self._stages = stages
        self._teller = teller

    def find(self, fold: Fold) -> None:
        """Give a fold the samples that are there from earlier runs."""
        began = time.perf_counter()
        for sample in range(fold.asked):
            found, problem = self._stages.find(
                fold.job.name, PREDICT, fold.inputs_of(sample), codec_of(fold)
            )
            self._teller.warn(fold.job, problem)
            if found is not None:
                fold.samples[sample] = set_aside(_numbered(found[0], sample))
        if fold.samples:
            fold.seconds += time.perf_counter() - began

    def find_trunk(self, fold: Fold) -> bool:
        """Give a fold what the trunk gave in an earlier run, if it is there."""
        if fold.trunk is None:
            found, problem = self._stages.find(fold.job.name, TRUNK, fold.inputs, TRUNK_CODEC)
            self._teller.warn(fold.job, problem)
            if found is not None:
                (fold.trunk,) = found
        return fold.trunk is not None

    def keep_trunk(self, fold: Fold, trunk: Trunk) -> None:
        """Keep what the trunk gave."""
        job, fold.trunk = fold.job, trunk
        seconds, fold.seconds = fold.seconds, 0.0
        job.computed = True
        job.seconds += seconds
        problem = self._stages.keep(
            job.name, TRUNK, fold.inputs, trunk, TRUNK_CODEC, seconds=seconds
        )
        self._teller.warn(job, problem)
        self._teller.tell(job, stage_finished(fold, TRUNK, cached=False, seconds=seconds))

    def keep(self, fold: Fold, sample: int, prediction: Prediction) -> None:
        """Keep a sample that the model gave.

        Raises:
            RuntimeError: The model gave another one.
        """
        job = fold.job
        if prediction.sample != sample:
            raise RuntimeError(f"the model gave sample {prediction.sample} as sample {sample}")
        job.computed = fold.computed = True
        seconds = fold.seconds / max(1, len(fold.given))
        problem = self._stages.keep(
            job.name,
            PREDICT,
            fold.inputs_of(sample),
            _numbered(prediction, fold.number_in_set(sample)),
            codec_of(fold),
            seconds=seconds,
        )
        self._teller.warn(job, problem)
        fold.samples[sample] = set_aside(prediction)

    def checked(self, fold: Fold) -> list[Prediction]:
        """Give all samples of a fold with what the engine finds of their geometry."""
        fold.trunk = None
        fold.job.seconds += fold.seconds
        done = stage_finished(fold, PREDICT, cached=not fold.computed, seconds=fold.seconds)
        self._teller.tell(fold.job, done)
        predictions = fold.predictions
        reports: list[dict[str, Any]] = []

        def events() -> Iterator[Event]:
            found = yield from self._stages.find_or_compute_each(
                fold.job.name,
                VALIDITY,
                [
                    {"predict": PREDICT.version, **fold.inputs_of(sample)}
                    for sample in range(fold.asked)
                ],
                lambda sample: validity_report(predictions[sample]),
                VALIDITY_CODEC,
            )
            reports.extend(found)

        for event in self._teller.started(fold.job, events()):
            self._teller.tell(fold.job, event)
        return [
            dataclasses.replace(prediction, validity=report)
            for prediction, report in zip(predictions, reports, strict=True)
        ]


def _numbered(prediction: Prediction, sample: int) -> Prediction:
    if prediction.sample == sample:
        return prediction
    return dataclasses.replace(prediction, sample=sample)
