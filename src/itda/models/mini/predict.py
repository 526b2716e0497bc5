"""From jobs to predictions: features, network, geometry, confidence."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from itda.confidence.scores import expected_plddt
from itda.errors import CapabilityError, InputError
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.features.profile import read_profile
from itda.hub.weights import WeightsCard
from itda.job.entities import Protein
from itda.language import Message
from itda.models.atom_array import atom_array, protein_chains
from itda.models.family import Order, Portion
from itda.models.fitting import fitted
from itda.models.mini.config import MiniConfig
from itda.models.mini.geometry import STEPS as REFINE_STEPS
from itda.models.mini.geometry import RefinedStructure, UnrefinedChain, refine
from itda.models.mini.modeling import PAE_BIN_ANGSTROM, Mini, Representation
from itda.models.mini.sampling import DrawnDropout
from itda.models.provenance import kernels_of, provenance_of
from itda.models.together import as_alone, together
from itda.nn.heads.aligned_error import aligned_error
from itda.nn.structure.rigid import Rigid
from itda.progress import Progress, part_of
from itda.search.evidence import ChainEvidence
from itda.structure.prediction import Prediction, Provenance

MOST_TEMPLATES = 4
"""Templates that the weights were trained with at most."""

CELLS_AT_ONCE = 2**23
"""Pairs of residues of all samples that wait to be finished together; larger ones come singly."""


class _Inputs(NamedTuple):
    features: Features
    digests: dict[str, str]


@dataclass(frozen=True)
class Placed:
    """One sample of one chain as the network gives it.

    Attributes:
        chain: Frames and torsions, on the processor.
        plddt: 0 to 100.
        pae: Angstrom; row: residue aligned on.
        ptm: 0 to 1.
    """

    chain: UnrefinedChain
    plddt: Float[np.ndarray, "token"]
    pae: Float[np.ndarray, "token token"]
    ptm: float


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

    def begin(
        self,
        orders: Sequence[Order],
        *,
        recycles: int | None = None,
        progress: Progress | None = None,
    ) -> Generator[Portion, None, None]:
        """Run the network on chains; see `itda.models.family.Model`.

        The sample `Order.answer`, 0 unless told, is the network's answer and does not depend on the
        seed. Each further sample drops units of the structure module at random, as in training,
        drawn from seed and sample. Its PAE and pTM are its own: those of the answer, and how far it
        lies from the answer (`itda.nn.heads.aligned_error`).

        Raises:
            InputError: A profile cannot be read or belongs to another sequence, or there is an
                alignment too.
            CapabilityError: There are templates, and the weights know none.
        """
        report = part_of(progress, 0.0, 1.0)
        report(0.0, "reading inputs")
        passes = self.network.config.recycles if recycles is None else recycles
        inputs = [self._inputs(order) for order in orders]
        costs = [
            len(order.samples) * _cells(one) for order, one in zip(orders, inputs, strict=True)
        ]
        done = 0
        for part in _portions(costs):
            told = part_of(report, done / sum(costs), (done + sum(costs[part])) / sum(costs))
            done += sum(costs[part])
            yield from self._portion(
                range(len(orders))[part], orders[part], inputs[part], passes, told
            )

    def _portion(
        self,
        places: Sequence[int],
        orders: Sequence[Order],
        inputs: Sequence[_Inputs],
        passes: int,
        report: Progress,
    ) -> Generator[Portion, None, None]:
        """Run some orders: a large one sample by sample, others together."""
        features = [one.features for one in inputs]
        if len(orders) == 1 and len(orders[0].samples) * _cells(inputs[0]) > CELLS_AT_ONCE:
            ((place,), (order,), (read,)) = places, orders, inputs
            stream = self.samples(
                features,
                recycles=passes,
                seeds=[order.seed],
                samples=[_draws(order)],
                report=lambda fraction: report(fraction, "network"),
            )
            alone = as_alone(stream, read.features, self.device)
            for sample, ((_, placed),) in zip(order.samples, alone, strict=True):
                finish = functools.partial(self._finish, [(order, sample, placed, read)], passes)
                yield Portion(((place, sample),), finish)
            return
        drawn = together(
            features,
            lambda part, told: self.run(
                [features[place] for place in part],
                recycles=passes,
                seeds=[orders[place].seed for place in part],
                samples=[_draws(orders[place]) for place in part],
                report=told,
            ),
            device=self.device,
            progress=report,
        )
        yield Portion(
            tuple(
                (place, sample)
                for place, order in zip(places, orders, strict=True)
                for sample in order.samples
            ),
            functools.partial(
                self._finish,
                [
                    (order, sample, placed, read)
                    for order, read, placements in zip(orders, inputs, drawn, strict=True)
                    for sample, placed in zip(order.samples, placements, strict=True)
                ],
                passes,
            ),
        )

    def _finish(
        self,
        drawn: Sequence[tuple[Order, int, Placed, _Inputs]],
        passes: int,
        progress: Progress | None,
    ) -> list[Prediction]:
        told = part_of(progress, 0.0, 1.0)
        refined = refine(
            [placed.chain for _, _, placed, _ in drawn],
            report=lambda fraction: told(0.95 * fraction, "geometry"),
        )
        predictions = [
            self._prediction(order, sample, placed, one, read.digests, passes)
            for (order, sample, placed, read), one in zip(drawn, refined, strict=True)
        ]
        told(1.0, "done")
        return predictions

    def run(
        self,
        features: Sequence[Features],
        *,
        recycles: int | None = None,
        seeds: Sequence[int] | None = None,
        samples: Sequence[Sequence[int]] | None = None,
        report: Callable[[float], None] = lambda _fraction: None,
    ) -> list[list[Placed]]:
        """Run the network alone, on all at once; see `samples`."""
        placed: list[list[Placed]] = [[] for _ in features]
        for drawn in self.samples(
            features, recycles=recycles, seeds=seeds, samples=samples, report=report
        ):
            for chain, (wanted, one) in zip(placed, drawn, strict=True):
                if wanted is not None:
                    chain.append(one)
        return placed

    def samples(
        self,
        features: Sequence[Features],
        *,
        recycles: int | None = None,
        seeds: Sequence[int] | None = None,
        samples: Sequence[Sequence[int]] | None = None,
        report: Callable[[float], None] = lambda _fraction: None,
    ) -> Iterator[list[tuple[int | None, Placed]]]:
        """Run the network alone, sample by sample; see `begin` for what seed and sample do.

        Args:
            features: Of each chain.
            recycles: Passes beyond the first; None for what the weights were trained with.
            seeds: Of each chain; 0 unless told.
            samples: Numbers of the samples of each chain, rising; 0 alone unless told.
            report: Called with the fraction done.

        Yields:
            For each chain the number of the sample, and the sample; no number for a chain that does
            not want this one.
        """
        passes = self.network.config.recycles if recycles is None else recycles
        seeds, samples = seeds or [0] * len(features), samples or [(0,)] * len(features)
        lengths = [one.tokens.mask.shape[1] for one in features]
        batch = (features[0] if len(features) == 1 else Features.stack(features)).to(self.device)
        wanted = sorted(set().union(*samples))
        of: Representation | None = None
        answer: Rigid | None = None
        for place, sample in enumerate(wanted):
            with torch.no_grad():
                drop = (
                    DrawnDropout(
                        [(seed, sample) for seed in seeds],
                        lengths,
                        self.network.structure.dropout.p,
                    )
                    if sample
                    else None
                )
                if of is None or passes:
                    of = self.network.represent(
                        batch,
                        recycles=passes,
                        drop=drop,
                        report=functools.partial(_part, report, place, len(wanted)),
                    )
                    answer = self.network.place(of).frames if wanted[-1] else None
                drawn = self._place(of, batch, lengths, drop, answer if sample else None)
            yield [
                (sample if sample in asked else None, one)
                for asked, one in zip(samples, drawn, strict=True)
            ]

    def _place(
        self,
        of: Representation,
        batch: Features,
        lengths: Sequence[int],
        drop: DrawnDropout | None,
        answer: Rigid | None,
    ) -> list[Placed]:
        """Place one sample of each chain.

        Args:
            of: What the trunk has found.
            batch: Of all chains.
            lengths: Tokens of each chain.
            drop: What makes it a sample; None for the network's answer.
            answer: Frames of the answer to the same representation, for a sample.
        """
        structure = self.network.place(of, drop=drop)
        lddt = self.network.lddt(structure.single)
        placed = []
        for item, tokens in enumerate(lengths):
            pae, ptm = aligned_error(
                of.pair[item : item + 1, :tokens, :tokens],
                lambda rows: self.network.pae(self.network.norm_pair(rows)),
                bin_angstrom=PAE_BIN_ANGSTROM,
                moved=None
                if answer is None
                else functools.partial(
                    _moved, _of_one(answer, item, tokens), _of_one(structure.frames, item, tokens)
                ),
            )
            arrays = (
                batch.tokens.restype, structure.frames.rotation, structure.frames.translation,
                structure.torsions,
            )  # fmt: skip
            chain = UnrefinedChain(*(array[item, :tokens].cpu().numpy() for array in arrays))
            plddt = expected_plddt(_probabilities(lddt[item, :tokens])).astype(np.float32)
            placed.append(Placed(chain, plddt, pae, ptm))
        return placed

    def _inputs(self, order: Order) -> _Inputs:
        ((chain_id, entity),) = protein_chains(order.job)
        inputs = read_inputs(entity, order.evidence.chain(chain_id))
        if inputs.features.templates.mask.shape[1] and self.network.templates is None:
            raise CapabilityError(
                Message(
                    "job {job!r}, chain {chain_id}: the weights {card} know no templates",
                    job=order.job.name,
                    chain_id=chain_id,
                    card=self.card.name,
                ),
                hint=Message("fold without templates, or with the weights that come with Itda"),
            )
        return inputs

    def _prediction(
        self,
        order: Order,
        sample: int,
        placed: Placed,
        refined: RefinedStructure,
        inputs: Mapping[str, str],
        passes: int,
    ) -> Prediction:
        return Prediction(
            name=order.job.name,
            atoms=atom_array(protein_chains(order.job), refined.atoms, placed.plddt, unknown="ALA"),
            plddt=placed.plddt,
            pae=placed.pae,
            ptm=placed.ptm,
            sample=sample,
            seed=order.seed,
            provenance=self._provenance(inputs, order.seed, passes),
        )

    def _provenance(self, inputs: Mapping[str, str], seed: int, passes: int) -> Provenance:
        config = self.network.config
        channels: dict[str, int | None] = {
            "attention": config.single_channels // config.single_heads,
            "triangle_multiply": None,
        }
        if config.pair_heads:
            channels["triangle_attention"] = config.pair_channels // config.pair_heads
        return provenance_of(
            self.card,
            seed=seed,
            recycles=passes,
            inputs=inputs,
            device=self.device,
            kernels=kernels_of(self.device, channels),
            dtype="float32",
        )


def read_inputs(entity: Protein, evidence: ChainEvidence) -> _Inputs:
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
                Message("chain {entity:,}: has both an alignment and a profile", entity=entity.ids),
                hint=Message("give one of the two; mini makes a profile of an alignment"),
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


def refined_chain(
    placed: Placed, *, refine_steps: int = REFINE_STEPS
) -> Float[np.ndarray, "token 14 3"]:
    """Give the atoms of one chain after some steps of refinement, angstrom."""
    (refined,) = refine([placed.chain], steps=refine_steps)
    return refined.atoms


def _draws(order: Order) -> list[int]:
    """Give the number of each sample as the network draws it: 0 for its answer."""
    return [0 if sample == order.answer else sample for sample in order.samples]


def _cells(inputs: _Inputs) -> int:
    tokens: int = inputs.features.tokens.mask.shape[1]
    return tokens**2


def _portions(costs: Sequence[int]) -> Iterator[slice]:
    """Split orders into those that are finished together."""
    start, cells = 0, 0
    for place, cost in enumerate(costs):
        if place > start and cells + cost > CELLS_AT_ONCE:
            yield slice(start, place)
            start, cells = place, 0
        cells += cost
    yield slice(start, len(costs))


def _of_one(frames: Rigid, item: int, tokens: int) -> Rigid:
    return Rigid(frames.rotation[item, :tokens].float(), frames.translation[item, :tokens].float())


def _moved(answer: Rigid, sample: Rigid, rows: slice) -> Float[Tensor, "row col"]:
    """Say how far each residue lies from its place in the answer, in frames of some residues."""
    here, there = (
        Rigid(frames.rotation[rows, None], frames.translation[rows, None]).invert_apply(
            frames.translation[None]
        )
        for frames in (answer, sample)
    )
    distance: Tensor = torch.linalg.vector_norm(here - there, dim=-1)
    return distance


def _part(report: Callable[[float], None], sample: int, most: int, fraction: float) -> None:
    report((sample + 0.9 * fraction) / most)


def _probabilities(logits: Float[Tensor, "*shape bin"]) -> Float[np.ndarray, "*shape bin"]:
    return torch.softmax(logits.double(), dim=-1).cpu().numpy()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
