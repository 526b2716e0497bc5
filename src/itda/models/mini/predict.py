"""From a job to predictions: features, network, refinement, confidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from itda.confidence.scores import expected_aligned_error, expected_plddt, predicted_tm_score
from itda.errors import CapabilityError, InputError
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.features.profile import read_profile
from itda.hub.weights import WeightsCard
from itda.job.entities import Protein
from itda.job.model import Job
from itda.models.atom_array import atom_array, protein_chains
from itda.models.fitting import fitted
from itda.models.mini.config import MiniConfig
from itda.models.mini.modeling import PAE_BIN_ANGSTROM, Mini, MiniOutput
from itda.models.mini.refine import STEPS as REFINE_STEPS
from itda.models.mini.refine import refine
from itda.models.provenance import provenance_of
from itda.nn.rigid import Rigid
from itda.ops.attention.interface import choose_backend as attention_backend
from itda.ops.triangle_multiply.interface import choose_backend as triangle_multiply_backend
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance

Progress = Callable[[float, str], None]

MOST_TEMPLATES = 4
"""Templates that the weights were trained with at most."""


class _Inputs(NamedTuple):
    features: Features
    digests: dict[str, str]


class MiniModel:
    """A mini network with its weights, ready to fold.

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
        self.network = fitted(card, tensors, lambda sizes: Mini(MiniConfig.model_validate(sizes)))
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
        """Fold one chain.

        Sample 0 is the network's answer and does not depend on the seed. Each further sample drops
        units of the structure module at random, as in training, drawn from seed and sample.

        Args:
            job: One protein chain.
            evidence: By chain id: its alignment, read as a profile, and its templates.
            seed: Of the random draws.
            samples: Structures to give.
            recycles: Passes beyond the first; None for what the weights were trained with.
            progress: Called with the fraction done and what is being done.

        Raises:
            InputError: The profile cannot be read or belongs to another sequence, or there is an
                alignment too.
            CapabilityError: There are templates, and the weights know none.
        """
        report = progress or (lambda _fraction, _message: None)
        chains = protein_chains(job)
        ((chain_id, entity),) = chains
        report(0.0, "reading inputs")
        inputs = read_inputs(entity, evidence.get(chain_id, Evidence()))
        if inputs.features.templates.mask.shape[1] and self.network.templates is None:
            raise CapabilityError(
                f"job {job.name!r}, chain {chain_id}: the weights {self.card.name} know no "
                "templates",
                hint="fold without templates, or with the weights that come with Itda",
            )
        passes = self.network.config.recycles if recycles is None else recycles
        predictions = []
        for sample in range(samples):
            label = f"sample {sample + 1} of {samples}"
            report(sample / samples, f"{label}: network")
            output = self.run(inputs.features, recycles=passes, seed=seed, sample=sample)

            def refined(fraction: float, sample: int = sample, label: str = label) -> None:
                report((sample + 0.1 + 0.9 * fraction) / samples, f"{label}: geometry")

            folded = finish(output, inputs.features, report=refined)
            predictions.append(
                Prediction(
                    name=job.name,
                    atoms=atom_array(chains, folded.atoms, folded.plddt, unknown="ALA"),
                    plddt=folded.plddt,
                    pae=folded.pae,
                    ptm=folded.ptm,
                    sample=sample,
                    seed=seed,
                    provenance=self._provenance(inputs, seed, passes),
                )
            )
        report(1.0, "done")
        return predictions

    def run(
        self,
        features: Features,
        *,
        recycles: int | None = None,
        seed: int = 0,
        sample: int = 0,
    ) -> MiniOutput:
        """Run the network alone; see `predict` for what seed and sample do."""
        for module in self.network.structure.modules():
            if isinstance(module, nn.Dropout):
                module.train(sample > 0)
        passes = self.network.config.recycles if recycles is None else recycles
        state = np.random.SeedSequence([seed, sample]).generate_state(1)[0]
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(int(state))
            output: MiniOutput = self.network(features.to(self.device), recycles=passes)
        return output

    def _provenance(self, inputs: _Inputs, seed: int, passes: int) -> Provenance:
        config = self.network.config
        return provenance_of(
            self.card,
            seed=seed,
            recycles=passes,
            inputs=inputs.digests,
            device=self.device,
            kernels={
                "attention": attention_backend(config.single_channels // config.single_heads),
                "triangle_multiply": triangle_multiply_backend(),
            },
            dtype="float32",
        )


def read_inputs(entity: Protein, evidence: Evidence) -> _Inputs:
    """Make features of a chain and say what they were made of.

    Raises:
        InputError: The profile cannot be read or belongs to another sequence, or there is an
            alignment too.
    """
    sequence = entity.sequence
    digests = {"sequence": _digest(sequence.encode())}
    profile = ProfileFeatures.absent(1, len(sequence))
    if entity.profile is not None:
        if evidence.alignment is not None:
            raise InputError(
                f"chain {', '.join(entity.ids)}: has both an alignment and a profile",
                hint="give one of the two; mini makes a profile of an alignment",
            )
        digests["profile"] = _digest(entity.profile.read_bytes())
        profile = ProfileFeatures.from_array(read_profile(entity.profile, query=sequence))
    elif evidence.alignment is not None and len(evidence.alignment.names) > 1:
        profile = ProfileFeatures.from_array(evidence.alignment.profile())
    templates = TemplateFeatures.from_templates(
        evidence.templates[:MOST_TEMPLATES], tokens=len(sequence)
    )
    tokens = TokenFeatures.from_sequence(sequence)
    return _Inputs(Features(tokens, profile, templates), digests)


@dataclass(frozen=True)
class FoldedChain:
    """One chain with ideal geometry, and its confidence.

    Attributes:
        atoms: Atom14 positions, angstrom.
        plddt: 0 to 100.
        pae: Angstrom; row: residue aligned on.
        ptm: 0 to 1.
        moved_angstrom: How far refinement moved CA atoms, root mean square.
    """

    atoms: Float[np.ndarray, "token 14 3"]
    plddt: Float[np.ndarray, "token"]
    pae: Float[np.ndarray, "token token"]
    ptm: float
    moved_angstrom: float


def finish(
    output: MiniOutput,
    features: Features,
    *,
    refine_steps: int = REFINE_STEPS,
    report: Callable[[float], None] = lambda _fraction: None,
) -> FoldedChain:
    """Refine the geometry of the first chain of a batch and read its confidence."""
    frames = output.structure.frames
    refined = refine(
        features.tokens.restype[0].to(output.atoms.device),
        Rigid(frames.rotation[0], frames.translation[0]),
        output.structure.torsions[0],
        steps=refine_steps,
        report=report,
    )
    pae_bins = _probabilities(output.pae_logits[0])
    pae = expected_aligned_error(pae_bins, bin_angstrom=PAE_BIN_ANGSTROM)
    return FoldedChain(
        atoms=refined.atoms.cpu().numpy(),
        plddt=expected_plddt(_probabilities(output.lddt_logits[0])).astype(np.float32),
        pae=pae.astype(np.float32),
        ptm=predicted_tm_score(pae_bins, bin_angstrom=PAE_BIN_ANGSTROM),
        moved_angstrom=refined.moved_angstrom,
    )


def _probabilities(logits: Float[Tensor, "*shape bin"]) -> Float[np.ndarray, "*shape bin"]:
    return torch.softmax(logits.double(), dim=-1).cpu().numpy()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
