"""What goes through a run: jobs on their way, and one fold for each of their seeds."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from itda.confidence.validity import check_validity
from itda.engine.codec import decode_predictions, encode_predictions
from itda.engine.gather import PROVENANCE, Gathered
from itda.engine.plan import Request
from itda.engine.stages import Codec
from itda.models.family import Finish, Order
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.models.demand import Load


@dataclass(eq=False)
class Task:
    """A job on its way.

    Attributes:
        request: What was asked for.
        started: Whether its first stage has begun.
        computed: Whether anything had to be computed.
        seconds: What its stages have taken; of a batch its share, and nothing of what it waited.
    """

    request: Request
    started: bool = False
    computed: bool = False
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Of the job."""
        return self.request.job.name


@dataclass(eq=False)
class Fold:
    """One job with one seed.

    Attributes:
        job: Whose it is.
        gathered: What is known of its chains.
        seed: Of the random numbers.
        inputs: All that the result depends on, as JSON values.
        load: What it asks of the machine.
        alone: Whether it must not share a batch, since one that it shared failed.
        started: Whether the stage has begun.
        seconds: What the stage has taken so far; of a batch its share.
    """

    job: Task
    gathered: Gathered
    seed: int
    inputs: Mapping[str, object]
    load: Load
    alone: bool = False
    started: bool = False
    seconds: float = 0.0

    @property
    def order(self) -> Order:
        """What the model is asked to fold."""
        return Order(
            job=self.job.request.job,
            seed=self.seed,
            evidence=self.gathered.evidence,
            parameters=self.load.parameters,
        )

    @functools.cached_property
    def key(self) -> str:
        """Equal for folds that give the same result."""
        return json.dumps(self.inputs, sort_keys=True)


@dataclass(frozen=True)
class Unfinished:
    """Folds that the model has done, and what is left to do.

    Attributes:
        folds: Of one batch.
        finish: Gives their predictions.
        cached: Whether they were found.
    """

    folds: Sequence[Fold]
    finish: Finish
    cached: bool = False


def load_together(folds: Sequence[Fold]) -> Load:
    """What the folds of a batch ask of the machine."""
    tokens = tuple(fold.load.longest for fold in folds)
    return dataclasses.replace(folds[0].load, tokens=tokens)


def kind_of(load: Load) -> Hashable:
    """Equal for folds that may share a batch: all but their tokens is alike."""
    return dataclasses.replace(load, tokens=(), chains=1)


def kernels_told() -> dict[str, object]:
    """Return what is said of the backends of operations, for the key of a result, if anything."""
    from itda.ops.routing import told

    kernels = dict(told())
    return {"kernels": kernels} if kernels else {}


def codec_of(fold: Fold) -> Codec[list[Prediction]]:
    """How the predictions of a fold are kept."""
    decode = functools.partial(decode_predictions, name=fold.job.name)
    return Codec(encode_predictions, decode)


def in_terms_of(fold: Fold, prediction: Prediction) -> Prediction:
    """Give the prediction of a fold its job's name, parameters, and where its evidence came from.

    Neither may be what the prediction has: it can have been made for another job of the same key,
    and the same alignment can come from a file today and have come from a search yesterday.
    """
    provenance = prediction.provenance
    own = {
        name: value
        for name, value in provenance.inputs.items()
        if name.rpartition(".")[2] not in PROVENANCE
    }
    inputs = own | dict(fold.gathered.inputs)
    parameters = cast("Mapping[str, object]", fold.inputs.get("parameters", {}))
    return dataclasses.replace(
        prediction,
        name=fold.job.name,
        provenance=dataclasses.replace(provenance, inputs=inputs, parameters=parameters),
    )


def validity_report(prediction: Prediction) -> dict[str, Any]:
    """Return the report with lists for tuples, so that a found one equals a computed one."""
    report: dict[str, Any] = json.loads(json.dumps(check_validity(prediction.atoms).to_dict()))
    return report


VALIDITY_CODEC: Codec[list[dict[str, Any]]] = Codec(
    lambda value: {"validity.json": json.dumps(value).encode()},
    lambda files: json.loads(files["validity.json"]),
)
