"""From a job to a prediction: features, network, confidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.chem.residues import ATOM37_INDEX
from itda.confidence.scores import expected_aligned_error, tm_expected_by_row
from itda.hub.weights import verify_for
from itda.job.model import Job
from itda.models.atom_array import atom_array, atoms_of_residues, protein_chains, sequence_digests
from itda.models.esmfold.features import encode_chains
from itda.models.esmfold.loading import load_network
from itda.models.esmfold.modeling import PAE_BIN_ANGSTROM, EsmFoldOutput
from itda.models.provenance import provenance_of
from itda.nn.rows import row_slices
from itda.ops.attention.interface import choose_backend as attention_backend
from itda.ops.triangle_multiply.interface import choose_backend as triangle_multiply_backend
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance

Progress = Callable[[float, str], None]


class EsmFoldModel:
    """An ESMFold network with its weights, ready to fold.

    Args:
        weights: A converted safetensors file with its card.
        device: Such as `cpu` or `cuda:0`.
        language_dtype: Number format of the language model; None for what suits the device.

    Raises:
        WeightsError: They are not whole, belong to another family, or do not fit the sizes on their
            card.
    """

    def __init__(
        self, weights: Path, device: str, *, language_dtype: torch.dtype | None = None
    ) -> None:
        self.card = verify_for(weights, family="esmfold")
        self.weights_digest = f"sha256:{self.card.sha256}"
        self.device = device
        self.network, self.layers = load_network(
            weights, self.card, device, language_dtype=language_dtype
        )

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
        """Fold the chains of a job together.

        The network is deterministic: the seed changes nothing, and the family's check lets jobs of
        one sample through only.

        Args:
            job: One protein chain or several.
            evidence: Nothing is read from it.
            seed: Written into the result.
            samples: 1.
            recycles: Passes beyond the first; None for what the weights were trained with.
            progress: Called with the fraction done and what is being done.
        """
        report = progress or (lambda _fraction, _message: None)
        assert samples == 1
        chains = protein_chains(job)
        features = encode_chains([entity.sequence for _, entity in chains])
        restype, index, kept = (
            torch.from_numpy(array)[None].to(self.device)
            for array in (features.restype, features.residue_index, features.kept)
        )
        output = self.network(
            restype,
            index,
            torch.ones_like(kept),
            self.layers,
            recycles=recycles,
            report=lambda fraction, message: report(0.95 * fraction, message),
        )
        report(0.95, "confidence")
        pae, ptm = self._aligned_error(output, features.kept)
        residues = output.lddt[0].float().cpu().numpy()[features.kept] * 100
        passes = self.network.config.recycles if recycles is None else recycles
        prediction = Prediction(
            name=job.name,
            atoms=atom_array(
                chains,
                output.atoms[0].float().cpu().numpy()[features.kept],
                _of_atom14("".join(entity.sequence for _, entity in chains), residues),
            ),
            plddt=residues[:, ATOM37_INDEX["CA"]],
            pae=pae,
            ptm=ptm,
            sample=0,
            seed=seed,
            provenance=self._provenance(sequence_digests(chains), seed, passes),
        )
        report(1.0, "done")
        return [prediction]

    def _aligned_error(
        self, output: EsmFoldOutput, kept: Bool[np.ndarray, "token"]
    ) -> tuple[Float[np.ndarray, "residue residue"], float]:
        """Give PAE and pTM of the residues, a few rows at a time; linkers have no part."""
        residues = int(kept.sum())
        columns = torch.from_numpy(kept).to(output.pair.device)
        pae, expected = [], []
        with torch.no_grad():
            for rows in row_slices(output.pair):
                part = output.pair[:, rows][0][columns[rows]][:, columns]
                probabilities = _softmax(self.network.pae_logits(part[None])[0])
                pae.append(expected_aligned_error(probabilities, bin_angstrom=PAE_BIN_ANGSTROM))
                expected.append(
                    tm_expected_by_row(
                        probabilities, residues=residues, bin_angstrom=PAE_BIN_ANGSTROM
                    )
                )
        return np.concatenate(pae).astype(np.float32), float(np.concatenate(expected).max())

    def _provenance(self, inputs: Mapping[str, str], seed: int, passes: int) -> Provenance:
        config = self.network.config
        language = str(self.network.language_model.embedding.weight.dtype).removeprefix("torch.")
        return provenance_of(
            self.card,
            seed=seed,
            recycles=passes,
            inputs=inputs,
            device=self.device,
            kernels={
                "attention": attention_backend(config.single_head_channels),
                "triangle_attention": attention_backend(config.pair_head_channels),
                "triangle_multiply": triangle_multiply_backend(),
            },
            dtype={"language_model": language, "trunk": "float32", "structure": "float32"},
        )


def _softmax(logits: Float[Tensor, "*shape bin"]) -> Float[np.ndarray, "*shape bin"]:
    return torch.softmax(logits.double(), dim=-1).cpu().numpy()


def _of_atom14(
    sequence: str, of_atom37: Float[np.ndarray, "residue 37"]
) -> Float[np.ndarray, "residue 14"]:
    """Take the confidence of the atoms that each residue has; X is built as glycine."""
    columns = np.zeros((len(sequence), 14), int)
    for row, atoms in enumerate(atoms_of_residues(sequence)):
        columns[row, : len(atoms)] = [ATOM37_INDEX[atom] for atom in atoms]
    return np.take_along_axis(of_atom37, columns, axis=1)
