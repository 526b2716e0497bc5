"""What a model family is: what it can do, said once, and how it is loaded and run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from itda.job.model import Job
from itda.progress import Progress, part_of

if TYPE_CHECKING:
    import numpy as np

    from itda.confidence.ranking import RankingRule
    from itda.confidence.trust import Trust
    from itda.hub.convert import Converter
    from itda.models.demand import Demand, Load
    from itda.models.parameters import FamilyParameters
    from itda.search.evidence import Evidence
    from itda.structure.prediction import Prediction


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a family can do; the refusal, `itda models` and the documentation are made from it.

    Attributes:
        molecules: Of "protein", "dna", "rna", "ligand", "ion".
        min_chains: Chains that a job has at least.
        max_chains: Chains in one job, copies counted; None where only memory limits them.
        min_length: Residues of the shortest polymer chain.
        max_chain_length: Residues of the longest polymer chain; None for `max_tokens`.
        max_tokens: Tokens of a job: residues, nucleotides, and atoms of ligands and modified
            residues.
        inputs: Of "msa", "paired_msa", "rna_msa", "profile", "template", "components".
        outputs: What a prediction holds, of "structure", "plddt", "atom_plddt", "pae", "pde",
            "contact_probabilities", "ptm", "iptm", "distogram".
        samples: Whether further samples and seeds give other structures; False for a network that
            gives one answer, which is refused more than one.
        template_sets: Whether samples may be folded after different sets of templates, so that
            confidence chooses among them; it needs `samples`, and a model that keeps no trunk.
        recycles: Whether the trunk can see its own output again.
        modifications: Whether residues may be modified.
        bonds: Whether covalent bonds may be given.
        constraints: Whether distance constraints may be given.
    """

    molecules: frozenset[str]
    min_chains: int = 1
    max_chains: int | None
    min_length: int
    max_chain_length: int | None = None
    max_tokens: int
    inputs: frozenset[str]
    outputs: frozenset[str]
    samples: bool = True
    template_sets: bool = False
    recycles: bool = True
    modifications: bool
    bonds: bool
    constraints: bool

    @property
    def longest_chain(self) -> int:
        """Residues of the longest polymer chain that is folded alone."""
        return self.max_tokens if self.max_chain_length is None else self.max_chain_length

    @property
    def has_atom_tokens(self) -> bool:
        """Whether a token can be an atom, not only a residue."""
        return self.modifications or not self.molecules.isdisjoint({"ligand", "ion"})

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it; sets become sorted lists."""
        return {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in dataclasses.asdict(self).items()
        }


"""Called with the fraction done, 0 to 1, and what is being done; may raise to stop the work."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Samples of one job with one seed, as a model is asked for them.

    Attributes:
        job: What to fold; the family has checked it.
        seed: Start of the random numbers.
        evidence: Alignments and templates of its chains, and rows that are paired across them. They
            are read from here, also where the job names the files that they came from.
        samples: The samples that are wanted, each by its 0-based number. What becomes of one does
            not depend on which others are wanted.
        answer: Number of the sample that is the network's answer to the evidence, and owes nothing
            to chance; not 0 where other samples are folded after other templates.
        parameters: Of the family's own; its defaults where it is None.
        trunk: What the model's trunk gave for job and seed; None for a model that keeps none.
    """

    job: Job
    seed: int
    evidence: Evidence
    samples: tuple[int, ...] = (0,)
    answer: int = 0
    parameters: FamilyParameters | None = None
    trunk: Trunk | None = None


Trunk: TypeAlias = "Mapping[str, np.ndarray]"
"""What a trunk hands to the samples, by name: arrays that are kept bit for bit."""


@dataclass(frozen=True)
class Portion:
    """Samples that the network has done.

    Attributes:
        places: Place of the order and number of the sample, of each.
        finish: Does what is left, on the processor; gives a prediction for each of `places`.
    """

    places: tuple[tuple[int, int], ...]
    finish: Callable[[Progress | None], list[Prediction]]


class Model(Protocol):
    """Weights on a device, ready to predict."""

    @property
    def weights_digest(self) -> str:
        """SHA-256 of the weights file, in hexadecimal."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, such as "cpu" or "cuda:0"."""
        ...

    def begin(
        self, orders: Sequence[Order], *, recycles: int | None, progress: Progress | None
    ) -> Generator[Portion, None, None]:
        """Run the network for several orders at once.

        What becomes of an order does not depend on the others. A portion is given as soon as the
        network has done it, and holds no more than its end needs; while others finish it, in
        another thread, the network takes the next. So no more stands in memory than a few portions.

        Args:
            orders: At least one.
            recycles: Passes of the trunk after the first; the family's own number where it is None.
            progress: Told how far the network is.

        Yields:
            Every sample of every order once.
        """
        ...


@runtime_checkable
class TrunkModel(Model, Protocol):
    """A model whose samples all start from one result of its trunk, which is worth keeping.

    `begin` finds it in `Order.trunk`.
    """

    def trunk(
        self, orders: Sequence[Order], *, recycles: int | None, progress: Progress | None
    ) -> list[Trunk]:
        """Run the trunk for several orders at once; it depends on job, evidence and seed.

        Args:
            orders: At least one.
            recycles: Passes after the first; the family's own number where it is None.
            progress: Told how far it is.

        Returns:
            For each order.
        """
        ...


def predict(
    model: Model,
    job: Job,
    *,
    evidence: Evidence | None = None,
    seed: int = 0,
    recycles: int | None = None,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Fold one job from beginning to end: one prediction for each of its samples.

    Args:
        model: Of a family that has checked the job.
        job: What to fold.
        evidence: What is known of it; nothing unless told.
        seed: Start of the random numbers.
        recycles: Passes of the trunk after the first; the family's own number where it is None.
        progress: Told how far it is.
    """
    from itda.search.evidence import Evidence

    samples = tuple(range(job.samples))
    order = Order(job=job, seed=seed, evidence=evidence or Evidence(), samples=samples)
    predictions = predict_all(model, [order], recycles=recycles, progress=progress)[0]
    part_of(progress, 0.0, 1.0)(1.0, "done")
    return predictions


def predict_all(
    model: Model,
    orders: Sequence[Order],
    *,
    recycles: int | None = None,
    progress: Progress | None = None,
) -> list[list[Prediction]]:
    """Fold several orders at once: for each, its predictions in the order of its samples."""
    if isinstance(model, TrunkModel):
        trunks = model.trunk(orders, recycles=recycles, progress=part_of(progress, 0.0, 0.5))
        orders = [
            dataclasses.replace(order, trunk=trunk)
            for order, trunk in zip(orders, trunks, strict=True)
        ]
    found: dict[tuple[int, int], Prediction] = {}
    network = part_of(progress, 0.5 if isinstance(model, TrunkModel) else 0.0, 1.0)
    for portion in model.begin(orders, recycles=recycles, progress=network):
        found.update(zip(portion.places, portion.finish(None), strict=True))
    return [
        [found[place, sample] for sample in order.samples] for place, order in enumerate(orders)
    ]


@runtime_checkable
class Family(Protocol):
    """A published model, or one of our own, with all that can be said without loading it."""

    @property
    def name(self) -> str:
        """As it is chosen: `--model NAME`."""
        ...

    @property
    def title(self) -> str:
        """One line for a list of families."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the weights, as an SPDX identifier where there is one."""
        ...

    @property
    def citation(self) -> str:
        """What to cite for results."""
        ...

    @property
    def weight_set(self) -> str:
        """Name of its default weights in the table of `itda.hub.registry`."""
        ...

    @property
    def parameters(self) -> type[FamilyParameters] | None:
        """Parameters of its own, each with a default; None where it has none."""
        ...

    @property
    def ranking(self) -> RankingRule:
        """Which of several predictions of a job is the best."""
        ...

    @property
    def converter(self) -> Converter | None:
        """What makes our weights of the published ones; None where they are published in our form.

        Asking for it may import PyTorch.
        """
        ...

    def check(self, job: Job) -> None:
        """Refuse a job that the family cannot fold; `refuse_unsupported` and limits of its own.

        Raises:
            CapabilityError: It names the job, the field, the rule and what would work.
        """
        ...

    def demand(self, load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
        """Say what folding asks of a machine; costs no more than arithmetic.

        Args:
            load: The jobs that are folded at once.
            sizes: Of the network, as on the card of its weights; those of `weight_set` unless told.
        """
        ...

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> Model:
        """Load weights to a device.

        Args:
            weights: A file; the weights of `weight_set` where it is None.
            device: "cpu", "cuda", "cuda:1" or "mps".
            frugal: Whether weights that need not be on the device are fetched as they are needed.

        Raises:
            WeightsError: The file is missing, truncated, altered or of another shape.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A family of which was measured how often its folds are right."""

    @property
    def trust(self) -> Trust:
        """What was measured, and with which weights."""
        ...


@runtime_checkable
class Templated(Protocol):
    """A family of which some weights know templates and others do not."""

    def knows_templates(self, sizes: Mapping[str, Any]) -> bool:
        """Whether weights of these sizes take templates."""
        ...


@runtime_checkable
class Trimming(Protocol):
    """A family that can cut a job to the part that it folds."""

    def trim(self, job: Job) -> tuple[Job, tuple[str, ...]]:
        """Cut a job; residues keep their numbers.

        Returns:
            The job, and what was cut, for people.
        """
        ...


@runtime_checkable
class Relating(Protocol):
    """A family that sees where refused jobs belong together."""

    def related(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        """Say what would make one job of several.

        Args:
            jobs: Those that the family refused, in the order of the input.

        Returns:
            The remedy by the name of a job; none for the others.
        """
        ...
