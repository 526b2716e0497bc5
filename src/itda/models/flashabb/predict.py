"""From a job to a prediction: chains sorted, network, confidence."""

from __future__ import annotations

import functools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from itda.confidence.scores import expected_plddt
from itda.hub.weights import WeightsCard
from itda.models.atom_array import atom_array, protein_chains, sequence_digests
from itda.models.family import Order, Portion
from itda.models.fitting import fitted
from itda.models.flashabb.chains import sort_chains
from itda.models.flashabb.config import FlashAbbConfig
from itda.models.flashabb.features import AntibodyFeatures
from itda.models.flashabb.modeling import FlashAbb, FlashAbbOutput
from itda.models.provenance import provenance_of
from itda.progress import Progress, part_of
from itda.structure.prediction import Prediction, Provenance

AT_ONCE = 16
"""Antibodies in one row; more are not faster."""


@dataclass(frozen=True)
class _Antibody:
    """The sequences of a job, heavy chain first."""

    heavy: str
    light: str
    light_first: bool

    @staticmethod
    def from_order(order: Order) -> _Antibody:
        sequences = [(name, entity.sequence) for name, entity in protein_chains(order.job)]
        first, second = sort_chains(sequences, job=order.job.name)
        return _Antibody(sequences[first][1], sequences[second][1], first > second)


class _Folded(NamedTuple):
    atoms: Float[np.ndarray, "residue 14 3"]
    plddt: Float[np.ndarray, "residue"]


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

    def begin(
        self,
        orders: Sequence[Order],
        *,
        recycles: int | None = None,
        progress: Progress | None = None,
    ) -> Generator[Portion, None, None]:
        """Run the network on heavy and light chains, in either order.

        The network is deterministic: the seed changes nothing, and the family's check lets jobs of
        one sample through only. Nothing is recycled. Antibodies stand one after the other in a row,
        without padding.

        Args:
            orders: The variable domains, one chain each.
            recycles: Nothing is recycled.
            progress: Called with the fraction done and what is being done.
        """
        report = part_of(progress, 0.0, 1.0)
        antibodies = [_Antibody.from_order(order) for order in orders]
        for first in range(0, len(antibodies), AT_ONCE):
            report(first / len(antibodies), "network")
            part = antibodies[first : first + AT_ONCE]
            output = self.run([(one.heavy, one.light) for one in part])
            lengths = [len(one.heavy) + len(one.light) for one in part]
            atoms = output.atoms.cpu().numpy()
            plddt = expected_plddt(output.lddt_logits.double().softmax(-1).cpu().numpy())
            ends = np.cumsum(lengths)[:-1]
            folded = [
                _Folded(*one)
                for one in zip(
                    np.split(atoms, ends), np.split(plddt.astype(np.float32), ends), strict=True
                )
            ]
            ordered = orders[first : first + AT_ONCE]
            yield Portion(
                tuple((first + place, order.samples[0]) for place, order in enumerate(ordered)),
                functools.partial(self._finish, ordered, part, folded),
            )

    def _finish(
        self,
        orders: Sequence[Order],
        antibodies: Sequence[_Antibody],
        folded: Sequence[_Folded],
        progress: Progress | None,
    ) -> list[Prediction]:
        part_of(progress, 0.0, 1.0)(0.0, "confidence")
        return [
            self._prediction(order, antibody, one)
            for order, antibody, one in zip(orders, antibodies, folded, strict=True)
        ]

    def _prediction(self, order: Order, antibody: _Antibody, folded: _Folded) -> Prediction:
        # The network has the heavy chain first; the job's order goes out.
        back = np.arange(len(folded.plddt))
        if antibody.light_first:
            back = np.roll(back, len(antibody.light))
        chains = protein_chains(order.job)
        plddt = folded.plddt[back]
        return Prediction(
            name=order.job.name,
            atoms=atom_array(chains, folded.atoms[back], plddt),
            plddt=plddt,
            pae=None,
            ptm=None,
            sample=0,
            seed=order.seed,
            provenance=self._provenance(sequence_digests(chains), order.seed),
        )

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
