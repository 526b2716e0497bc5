"""What mini is and can do, without reading its weights or importing PyTorch."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from itda.confidence.ranking import MEAN_PLDDT, RankingRule
from itda.confidence.trust import Trust
from itda.errors import InputError
from itda.job.model import Job
from itda.language import Message
from itda.models.family import Capabilities
from itda.models.refusals import refuse_unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from itda.models.demand import Demand, Load
    from itda.models.mini.predict import MiniModel


_CAPABILITIES = Capabilities(
    molecules=frozenset({"protein"}),
    max_chains=1,
    min_length=10,
    max_tokens=1024,
    inputs=frozenset({"msa", "profile", "template"}),
    outputs=frozenset({"structure", "plddt", "pae", "ptm"}),
    template_sets=True,
    modifications=False,
    bonds=False,
    constraints=False,
)


@dataclass(frozen=True)
class MiniFamily:
    """Itda's own single-chain protein model, in the line of AlphaFold 2 and ESMFold."""

    name: str = "mini"
    title: str = (
        "Itda mini: one protein chain, from its sequence alone or with an alignment and templates"
    )
    licence: str = "Apache-2.0"
    citation: str = "Itda mini, the model card in docs/mini.md"
    weight_set: str = "mini"
    parameters: None = None
    converter: None = None
    ranking: RankingRule = MEAN_PLDDT
    capabilities: Capabilities = _CAPABILITIES

    @property
    def trust(self) -> Trust:
        """What `benchmarks/verdicts.py` found on chains of unseen clusters."""
        return _trust()

    def check(self, job: Job) -> None:
        """Refuse what mini cannot fold.

        Raises:
            CapabilityError: Something is asked for that mini cannot do.
            InputError: The job gives an alignment and a profile for one chain.
        """
        refuse_unsupported(job, self)
        for chain_id, entity in job.chains:
            if getattr(entity, "msa", None) and getattr(entity, "profile", None):
                raise InputError(
                    Message(
                        "job {job!r}, chain {chain_id}: has both an msa and a profile",
                        job=job.name,
                        chain_id=chain_id,
                    ),
                    hint=Message("give one of the two; mini makes a profile of an msa"),
                )

    def knows_templates(self, sizes: Mapping[str, Any]) -> bool:
        """Whether weights of these sizes take templates."""
        return bool(sizes.get("template_channels", 0))

    def demand(self, load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
        """Say what folding asks of a machine, with the shipped sizes unless told."""
        from itda.models.mini.demand import demand

        return demand(load, sizes)

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> MiniModel:
        """Read weights and make the network ready.

        Args:
            weights: A safetensors file with its card; None for the weights that come with Itda.
            device: Such as `cpu` or `cuda:0`.
            frugal: Changes nothing; the weights are small.

        Raises:
            WeightsError: The weights are missing, truncated or altered.
            DependencyError: PyTorch is not installed.
        """
        from itda.hub.installed import ensure
        from itda.hub.registry import get_weight_set
        from itda.hub.weights import load

        path = weights or ensure(get_weight_set(self.weight_set), self.converter)
        card, tensors = load(path, family=self.name)
        from itda.models.mini.predict import MiniModel

        return MiniModel(card, tensors, device)


@functools.cache
def _trust() -> Trust:
    text = files("itda.models.mini").joinpath("verdicts.json").read_text(encoding="utf-8")
    return Trust.from_dict(json.loads(text))


FAMILY = MiniFamily()
