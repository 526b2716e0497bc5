"""What ESMFold is and can do, without reading its weights or importing PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itda.confidence.ranking import MEAN_PLDDT, RankingRule
from itda.job.model import Job
from itda.models.family import Capabilities
from itda.models.refusals import refuse_unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from itda.hub.convert import Converter
    from itda.models.demand import Demand, Load
    from itda.models.esmfold.predict import EsmFoldModel

_CAPABILITIES = Capabilities(
    molecules=frozenset({"protein"}),
    max_chains=None,
    min_length=4,
    max_tokens=2048,
    inputs=frozenset(),
    outputs=frozenset({"structure", "plddt", "pae", "ptm"}),
    samples=False,
    modifications=False,
    bonds=False,
    constraints=False,
)


@dataclass(frozen=True)
class EsmFoldFamily:
    """Protein chains from their sequences alone, by a language model (Lin et al. 2023)."""

    name: str = "esmfold"
    title: str = "ESMFold: protein chains from their sequences alone, by the language model ESM-2"
    licence: str = "MIT"
    citation: str = "Lin et al. 2023, Science 379, 1123-1130, doi:10.1126/science.ade2574"
    weight_set: str = "esmfold_v1"
    parameters: None = None
    ranking: RankingRule = MEAN_PLDDT
    capabilities: Capabilities = _CAPABILITIES

    @property
    def converter(self) -> Converter:
        """What makes our weights of the published ones."""
        from itda.models.esmfold.convert import CONVERTER

        return CONVERTER

    def check(self, job: Job) -> None:
        """Refuse what ESMFold cannot fold.

        Raises:
            CapabilityError: Something is asked for that ESMFold cannot do.
        """
        refuse_unsupported(job, self)

    def demand(self, load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
        """Say what folding asks of a machine, with the published sizes unless told."""
        from itda.models.esmfold.demand import demand

        return demand(load, sizes)

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> EsmFoldModel:
        """Read weights and make the network ready.

        Args:
            weights: A converted safetensors file with its card; None for those of the weight set.
            device: Such as `cpu` or `cuda:0`.
            frugal: Whether the language model stays in its file, whatever the device.

        Raises:
            WeightsError: The weights are not on this machine, truncated or altered.
            DependencyError: PyTorch is not installed.
        """
        from itda.hub.installed import ensure
        from itda.hub.registry import get_weight_set
        from itda.models.esmfold.predict import EsmFoldModel

        path = weights or ensure(get_weight_set(self.weight_set), self.converter)
        return EsmFoldModel(path, device, streamed=frugal)


FAMILY = EsmFoldFamily()
"""ESMFold."""
