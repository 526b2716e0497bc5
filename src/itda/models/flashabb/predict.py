"""From a job to a prediction: chains sorted, network, confidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from itda.confidence.scores import expected_plddt
from itda.hub.weights import WeightsCard
from itda.job.model import Job
from itda.models.atom_array import atom_array, protein_chains, sequence_digests
from itda.models.fitting import fitted
from itda.models.flashabb.chains import sort_chains
from itda.models.flashabb.config import FlashAbbConfig
from itda.models.flashabb.features import AntibodyFeatures
from itda.models.flashabb.modeling import FlashAbb, FlashAbbOutput
from itda.models.provenance import provenance_of
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance

Progress = Callable[[float, str], None]


class FlashAbbModel:
    """A FlashABB network with its weights, ready to fold.

    Args:
        card: Of the weights.
        tensors: By name, float32.
        device: Such as `cpu` or `cuda:0`.

    Raises:
        WeightsError: The tensors do not fit the sizes on the card.
    """

    def __init__(self, card: WeightsCard, tensors: Mapping[str, Tensor], device: str) -> None:
        self.card = card
        self.weights_digest = f"sha256:{card.sha256}"
        self.device = device
        self.network = fitted(
            card, tensors, lambda sizes: FlashAbb(FlashAbbConfig.model_validate(sizes))
        )
        self.network.eval().to(device)

    def predict(
        self,
        job: Job,
        *,
        evidence: Mapping[str, Evidence] = MappingProxyType({}),
        seed: int = 0,
        samples: int = 1,
        recycles: int | None = None,
        progress: Progress | None = None,
    ) -> list[Prediction]:
        """Fold a heavy and a light chain, in either order.

        The network is deterministic: the seed changes nothing, and the family's check lets jobs of
        one sample through only.

        Args:
            job: The variable domains, one chain each.
            evidence: Nothing is read from it.
            seed: Written into the result.
            samples: 1.
            recycles: Nothing is recycled.
            progress: Called with the fraction done and what is being done.
        """
        report = progress or (lambda _fraction, _message: None)
        assert samples == 1
        chains = protein_chains(job)
        sequences = [(name, entity.sequence) for name, entity in chains]
        heavy, light = (sequences[place][1] for place in sort_chains(sequences, job=job.name))
        report(0.0, "network")
        output = self.run([(heavy, light)])
        report(0.9, "confidence")
        # The network has the heavy chain first; the job's order goes out.
        back = np.arange(len(heavy) + len(light))
        if sequences[0][1] is light:
            back = np.roll(back, len(light))
        logits = output.lddt_logits.double().softmax(-1).cpu().numpy()
        plddt = expected_plddt(logits).astype(np.float32)[back]
        prediction = Prediction(
            name=job.name,
            atoms=atom_array(chains, output.atoms.cpu().numpy()[back], plddt),
            plddt=plddt,
            pae=None,
            ptm=None,
            sample=0,
            seed=seed,
            provenance=self._provenance(sequence_digests(chains), seed),
        )
        report(1.0, "done")
        return [prediction]

    def run(self, antibodies: Sequence[tuple[str, str]]) -> FlashAbbOutput:
        """Run the network on pairs of heavy and light sequence, one after the other in a row."""
        with torch.no_grad():
            features = AntibodyFeatures.from_sequences(antibodies).to(self.device)
            output: FlashAbbOutput = self.network(features)
        return output

    def _provenance(self, inputs: Mapping[str, str], seed: int) -> Provenance:
        return provenance_of(
            self.card,
            seed=seed,
            recycles=0,
            inputs=inputs,
            device=self.device,
            kernels={"attention": "matmul"},
            dtype="float32",
        )
