"""What goes through a run: jobs on their way, and one fold for each of their seeds."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from itda.confidence.validity import check_validity
from itda.engine.codec import decode_prediction, encode_prediction
from itda.engine.gather import PROVENANCE, Gathered
from itda.engine.plan import Request
from itda.engine.stages import Codec
from itda.models.family import Order, Portion, Trunk
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.models.demand import Load


NETWORK_SHARE = 0.7
"""Of the stage `predict`, in what is told of its progress; the rest is geometry and confidence."""


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
    """One job with one seed, and its samples.

    Attributes:
        job: Whose it is.
        gathered: What is known of its chains.
        seed: Of the random numbers.
        inputs: All that every sample depends on, as JSON values.
        load: What it asks of the machine; its samples are those that are still to be computed.
        alone: Whether it must not share a batch, since one that it shared failed.
        begun: Stages of the model that are said to have begun.
        seconds: What the stage has taken so far; of a batch its share.
        trunk: What the model's trunk gave, while its samples are computed.
        samples: What is there, by number: found, or computed and kept.
        given: Numbers of the samples that the network has done in this run.
        failure: Why a sample could not be finished.
        computed: Whether any sample was computed in this run.
        network_done: Part of the network's work that is done, 0 to 1.
    """

    job: Task
    gathered: Gathered
    seed: int
    inputs: Mapping[str, object]
    load: Load
    alone: bool = False
    begun: set[str] = field(default_factory=set)
    seconds: float = 0.0
    trunk: Trunk | None = None
    samples: dict[int, Prediction] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    failure: Failure | None = None
    computed: bool = False
    network_done: float = 0.0

    @property
    def asked(self) -> int:
        """Samples that are asked for, or as many as there are sets of templates."""
        request = self.job.request
        return max(1, self.sets) if request.by_sets else request.job.samples

    @property
    def sets(self) -> int:
        """Candidate sets of templates; 0 where there is nothing to choose."""
        return len(self.gathered.choices)

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the samples that the network has yet to do."""
        there = self.samples.keys() | self.given
        return tuple(sample for sample in range(self.asked) if sample not in there)

    @property
    def predictions(self) -> list[Prediction]:
        """All samples, once they are there."""
        return [self.samples[sample] for sample in range(self.asked)]

    @property
    def done(self) -> float:
        """Part of the stage that is done, 0 to 1."""
        return self.done_with(0.0)

    def done_with(self, of_a_sample: float) -> float:
        """Give the part that is done, where another sample is finished to some part."""
        finished = (len(self.samples) + of_a_sample) / self.asked
        return NETWORK_SHARE * self.network_done + (1 - NETWORK_SHARE) * min(1.0, finished)

    @property
    def order(self) -> Order:
        """What the model is asked for, where all samples are folded after the same."""
        return Order(
            job=self.job.request.job,
            seed=self.seed,
            evidence=self.gathered.evidence,
            samples=self.missing,
            parameters=self.load.parameters,
            trunk=self.trunk,
        )

    @property
    def orders(self) -> list[Order]:
        """What the model is asked for: an order for each set of templates that a sample lacks."""
        missing, whole = self.missing, self.order
        first = tuple(sample for sample in missing if not 0 < sample < self.sets)
        others = [sample for sample in missing if 0 < sample < self.sets]
        return [
            *([dataclasses.replace(whole, samples=first)] if first else []),
            *(
                dataclasses.replace(
                    whole,
                    evidence=self.gathered.of_sample(sample).evidence,
                    samples=(sample,),
                    answer=sample,
                )
                for sample in others
            ),
        ]

    def number_in_set(self, sample: int) -> int:
        """Give the number that a sample would have if its set of templates were the only one."""
        return 0 if sample < self.sets else sample

    def inputs_of(self, sample: int) -> dict[str, object]:
        """Give all that one sample depends on, as JSON values.

        What is folded after a set is found again whatever other sets there are.
        """
        evidence = self.gathered.of_sample(sample).key
        return {**self.inputs, "evidence": evidence, "sample": self.number_in_set(sample)}

    @functools.cached_property
    def key(self) -> str:
        """Equal for folds that give the same result."""
        return json.dumps([self.inputs_of(sample) for sample in range(self.asked)], sort_keys=True)


class Failure(NamedTuple):
    """Why samples could not be finished.

    Attributes:
        error: What was raised.
        shared: Whether it may have been another fold's fault.
    """

    error: Exception
    shared: bool


@dataclass(frozen=True)
class Unfinished:
    """What the network has done of a batch, or that it has done all.

    Attributes:
        folds: The batch, in the order of the places of `portion`.
        portion: Samples to be finished; None where the network is through with the batch.
    """

    folds: Sequence[Fold]
    portion: Portion | None = None


def load_together(folds: Sequence[Fold]) -> Load:
    """What the folds of a batch ask of the machine."""
    tokens = tuple(fold.load.longest for fold in folds)
    atoms = tuple(fold.load.most_atoms for fold in folds)
    rows = max(fold.load.alignment_rows for fold in folds)
    return dataclasses.replace(folds[0].load, tokens=tokens, atoms=atoms, alignment_rows=rows)


def kind_of(load: Load) -> Hashable:
    """Equal for folds that may share a batch: all but their sizes is alike."""
    return dataclasses.replace(load, tokens=(), atoms=(), alignment_rows=0, chains=1)


def kernels_key() -> dict[str, object]:
    """Return what is said of the backends of operations, for the key of a result, if anything."""
    from itda.ops.routing import named_backends

    kernels = dict(named_backends())
    return {"kernels": kernels} if kernels else {}


def codec_of(fold: Fold) -> Codec[Prediction]:
    """How a sample of a fold is kept."""
    decode = functools.partial(decode_prediction, name=fold.job.name)
    return Codec(encode_prediction, decode)


def in_terms_of(fold: Fold, prediction: Prediction) -> Prediction:
    """Give a prediction its job's name, parameters, molecules, and where its evidence came from.

    None of it may be what the prediction has: it can have been made for another job of the same
    key, and the same alignment can come from a file today and have come from a search yesterday.
    """
    provenance = prediction.provenance
    own = {
        name: value
        for name, value in provenance.inputs.items()
        if name.rpartition(".")[2] not in PROVENANCE
    }
    inputs = own | dict(fold.gathered.of_sample(prediction.sample).inputs)
    parameters = cast("Mapping[str, object]", fold.inputs.get("parameters", {}))
    return dataclasses.replace(
        prediction,
        name=fold.job.name,
        molecules={chain: entity.molecule for chain, entity in fold.job.request.job.chains},
        provenance=dataclasses.replace(provenance, inputs=inputs, parameters=parameters),
    )


def validity_report(prediction: Prediction) -> dict[str, Any]:
    """Return the report with lists for tuples, so that a found one equals a computed one."""
    report: dict[str, Any] = json.loads(json.dumps(check_validity(prediction.atoms).to_dict()))
    return report


VALIDITY_CODEC: Codec[dict[str, Any]] = Codec(
    lambda value: {"validity.json": json.dumps(value).encode()},
    lambda files: json.loads(files["validity.json"]),
)
