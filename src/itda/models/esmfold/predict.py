"""From a job to a prediction: features, network, confidence."""

from __future__ import annotations

import functools
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from itda.chem.residues import ATOM37_INDEX
from itda.hub.weights import verify_for
from itda.models.atom_array import atom_array, atoms_of_residues, protein_chains, sequence_digests
from itda.models.esmfold.features import encode_chains
from itda.models.esmfold.loading import load_network
from itda.models.esmfold.modeling import PAE_BIN_ANGSTROM
from itda.models.family import Order, Portion
from itda.models.provenance import kernels_of, provenance_of
from itda.nn.heads.aligned_error import aligned_error
from itda.progress import Progress, part_of
from itda.structure.prediction import Prediction, Provenance


class _Folded(NamedTuple):
    atoms: Float[np.ndarray, "residue 14 3"]
    plddt: Float[np.ndarray, "residue 37"]
    pae: Float[np.ndarray, "residue residue"]
    ptm: float


class EsmFoldModel:
    """An ESMFold network with its weights, ready to fold.

    Args:
        weights: A converted safetensors file with its card.
        device: Such as `cpu` or `cuda:0`.
        language_dtype: Number format of the language model; None for what suits the device.
        streamed: Whether the language model stays in its file, as it does on a CPU.

    Raises:
        WeightsError: They are not whole, belong to another family, or do not fit the sizes on their
            card.
    """

    def __init__(
        self,
        weights: Path,
        device: str,
        *,
        language_dtype: torch.dtype | None = None,
        streamed: bool = False,
    ) -> None:
        self.card = verify_for(weights, family="esmfold")
        self.weights_digest = f"sha256:{self.card.sha256}"
        self.device = device
        self.network, self.layers = load_network(
            weights, self.card, device, language_dtype=language_dtype, streamed=streamed
        )

    def begin(
        self,
        orders: Sequence[Order],
        *,
        recycles: int | None = None,
        progress: Progress | None = None,
    ) -> Generator[Portion, None, None]:
        """Run the network on jobs, one after the other: each fills a machine.

        The network is deterministic: the seed changes nothing, and the family's check lets jobs of
        one sample through only.

        Args:
            orders: Jobs of one protein chain or several, folded together.
            recycles: Passes beyond the first; None for what the weights were trained with.
            progress: Called with the fraction done and what is being done.
        """
        passes = self.network.config.recycles if recycles is None else recycles
        for place, order in enumerate(orders):
            report = part_of(progress, place / len(orders), (place + 1) / len(orders))
            yield Portion(
                ((place, order.samples[0]),),
                functools.partial(self._finish, order, self._fold(order, passes, report), passes),
            )

    def _finish(
        self, order: Order, folded: _Folded, passes: int, progress: Progress | None
    ) -> list[Prediction]:
        part_of(progress, 0.0, 1.0)(0.0, "atoms")
        return [self._prediction(order, folded, passes)]

    def _fold(self, order: Order, passes: int, report: Progress) -> _Folded:
        chains = protein_chains(order.job)
        features = encode_chains([entity.sequence for _, entity in chains])
        restype, index, kept = (
            torch.from_numpy(array)[None].to(self.device)
            for array in (features.restype, features.residue_index, features.kept)
        )
        with torch.no_grad():
            output = self.network(
                restype,
                index,
                torch.ones_like(kept),
                self.layers,
                recycles=passes,
                report=part_of(report, 0.0, 0.95),
            )
        report(0.95, "confidence")
        pae, ptm = aligned_error(
            output.pair,
            self.network.pae_logits,
            bin_angstrom=PAE_BIN_ANGSTROM,
            tokens=torch.nonzero(kept[0]).flatten(),
        )
        return _Folded(
            output.atoms[0].float().cpu().numpy()[features.kept],
            output.lddt[0].float().cpu().numpy()[features.kept] * 100,
            pae,
            ptm,
        )

    def _prediction(self, order: Order, folded: _Folded, passes: int) -> Prediction:
        chains = protein_chains(order.job)
        sequence = "".join(entity.sequence for _, entity in chains)
        return Prediction(
            name=order.job.name,
            atoms=atom_array(chains, folded.atoms, _of_atom14(sequence, folded.plddt)),
            plddt=folded.plddt[:, ATOM37_INDEX["CA"]],
            pae=folded.pae,
            ptm=folded.ptm,
            sample=0,
            seed=order.seed,
            provenance=self._provenance(sequence_digests(chains), order.seed, passes),
        )

    def _provenance(self, inputs: Mapping[str, str], seed: int, passes: int) -> Provenance:
        config = self.network.config
        language = str(self.network.language_model.embedding.weight.dtype).removeprefix("torch.")
        return provenance_of(
            self.card,
            seed=seed,
            recycles=passes,
            inputs=inputs,
            device=self.device,
            kernels=kernels_of(
                self.device,
                {
                    "attention": config.single_head_channels,
                    "triangle_attention": config.pair_head_channels,
                    "triangle_multiply": None,
                },
            ),
            dtype={"language_model": language, "trunk": "float32", "structure": "float32"},
        )


def _of_atom14(
    sequence: str, of_atom37: Float[np.ndarray, "residue 37"]
) -> Float[np.ndarray, "residue 14"]:
    """Take the confidence of the atoms that each residue has; X is built as glycine."""
    columns = np.zeros((len(sequence), 14), int)
    for row, atoms in enumerate(atoms_of_residues(sequence)):
        columns[row, : len(atoms)] = [ATOM37_INDEX[atom] for atom in atoms]
    return np.take_along_axis(of_atom37, columns, axis=1)
