"""What FlashABB is and can do, without reading its weights or importing PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itda.confidence.ranking import MEAN_PLDDT, RankingRule
from itda.job.entities import Protein
from itda.job.model import Job
from itda.models.family import Capabilities
from itda.models.flashabb.chains import LONGEST, SHORTEST, join_hints, sort_chains, trim
from itda.models.refusals import refuse_unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from itda.hub.convert import Converter
    from itda.models.demand import Demand, Load
    from itda.models.flashabb.predict import FlashAbbModel

_CAPABILITIES = Capabilities(
    molecules=frozenset({"protein"}),
    min_chains=2,
    max_chains=2,
    min_length=SHORTEST,
    max_chain_length=LONGEST,
    max_tokens=320,
    inputs=frozenset(),
    outputs=frozenset({"structure", "plddt"}),
    samples=False,
    recycles=False,
    modifications=False,
    bonds=False,
    constraints=False,
)


@dataclass(frozen=True)
class FlashAbbFamily:
    """Antibody variable domains without a pair representation (Ellmen et al. 2026)."""

    name: str = "flashabb"
    title: str = "FlashABB: the variable domains of an antibody, heavy and light chain together"
    licence: str = "BSD-3-Clause"
    citation: str = (
        "Ellmen, Errington, Raybould, Deane 2026, bioRxiv 10.64898/2026.06.03.729879; "
        "dropout correction: arXiv 2609.32062"
    )
    weight_set: str = "flashabb"
    parameters: None = None
    ranking: RankingRule = MEAN_PLDDT
    capabilities: Capabilities = _CAPABILITIES

    @property
    def converter(self) -> Converter:
        """What makes our weights of the published ones."""
        from itda.models.flashabb.convert import CONVERTER

        return CONVERTER

    def check(self, job: Job) -> None:
        """Refuse what FlashABB cannot fold.

        Raises:
            CapabilityError: Something is asked for that FlashABB cannot do, or the chains are not a
                heavy and a light variable domain.
        """
        chains = [(name, e.sequence) for name, e in job.chains if isinstance(e, Protein)]
        if len(chains) == len(job.chains) <= 2:
            # Says more than that a chain is too long or alone: where to cut it, what a nanobody is.
            sort_chains(chains, job=job.name)
        refuse_unsupported(job, self)

    def trim(self, job: Job) -> tuple[Job, tuple[str, ...]]:
        """Cut antibody chains (Fab, IgG, scFv) to their variable domains; see `chains.trim`."""
        return trim(job)

    def related(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        """Say which refused jobs are the heavy and light chain of one antibody."""
        return join_hints(jobs)

    def demand(self, load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
        """Say what folding asks of a machine, with the published sizes unless told."""
        from itda.models.flashabb.demand import demand

        return demand(load, sizes)

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> FlashAbbModel:
        """Read weights and make the network ready.

        Args:
            weights: A converted safetensors file with its card; None for those of the weight set.
            device: Such as `cpu` or `cuda:0`.
            frugal: Changes nothing; the weights are small.

        Raises:
            WeightsError: The weights are not on this machine, truncated or altered.
            DependencyError: PyTorch is not installed.
        """
        from itda.hub.installed import ensure
        from itda.hub.registry import get_weight_set
        from itda.hub.weights import load

        path = weights or ensure(get_weight_set(self.weight_set), self.converter)
        card, tensors = load(path, family=self.name)
        from itda.models.flashabb.predict import FlashAbbModel

        return FlashAbbModel(card, tensors, device)


FAMILY = FlashAbbFamily()
"""FlashABB."""
