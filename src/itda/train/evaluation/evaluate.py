"""Fold the chains of held-out clusters, one of each, and score them beside two baselines."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from itda.errors import DataError
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.language import Message
from itda.models.mini.predict import MiniModel, refined_chain
from itda.structure.chains.chain import CA_INDEX, Chain
from itda.structure.chains.dataset import ChainDataset
from itda.train.evaluation.baselines import random_fold, secondary_structure_only
from itda.train.evaluation.scores import ChainScore, score_chain
from itda.train.evaluation.templates import TemplateEvaluation
from itda.train.sampler import ChainPool
from itda.train.split import Part, Split

SEQUENCE_ONLY = "mini, sequence only"
WITH_PROFILE = "mini, sequence + profile"
RANDOM_FOLD = "best of 20 random training folds"
SECONDARY_STRUCTURE = "true secondary structure, no fold"
RANDOM_DRAWS = 20


@dataclass
class Evaluation:
    """What came out; the lists grow chain by chain.

    Attributes:
        scores: Of every chain under every method.
        residue_pairs: By method, (predicted, true) CA-lDDT of every residue, 0 to 1.
    """

    scores: list[ChainScore] = field(default_factory=list)
    residue_pairs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def held_out_chains(
    datasets: Sequence[ChainDataset], split: Split, part: Part, *, longest: int
) -> list[tuple[ChainDataset, int]]:
    """Give one chain of each cluster: the representative that the split names.

    Raises:
        DataError: The part holds no such chain.
    """
    chosen: dict[str, tuple[ChainDataset, int]] = {}
    for dataset in datasets:
        for index, chain_id in enumerate(dataset.ids):
            if (
                chain_id in split.representatives
                and split.part(chain_id) == part
                and dataset.lengths[index] <= longest
            ):
                # A chain of two datasets counts once, as the first of them has it.
                chosen.setdefault(chain_id, (dataset, index))
    chains = list(chosen.values())
    if not chains:
        raise DataError(
            Message(
                "the split names no {part} chain of up to {longest} residues",
                part=part,
                longest=longest,
            )
        )
    return chains


def evaluate(
    model: MiniModel,
    chains: Sequence[tuple[ChainDataset, int]],
    *,
    training: ChainPool,
    refine_steps: int,
    templates: TemplateEvaluation | None = None,
    seed: int = 0,
    report: Callable[[int, int, ChainScore], None] = lambda *_: None,
) -> Evaluation:
    """Fold and score.

    Args:
        model: To be evaluated.
        chains: From `held_out_chains`.
        training: Chains that the random baseline draws from.
        refine_steps: Of the refinement of geometry before scoring; 0 scores the network alone.
        templates: Folds with templates as well.
        seed: Of the random baseline.
        report: Called for every score with the chain's number, the count of chains, the score.
    """
    result = Evaluation()
    for number, (dataset, index) in enumerate(chains):
        chain = dataset[index]
        scored = itertools.chain(
            _score(model, chain, training, refine_steps, seed),
            _score_with_templates(model, chain, templates, refine_steps),
        )
        for score, pairs in scored:
            result.scores.append(score)
            result.residue_pairs.setdefault(score.method, []).extend(pairs)
            report(number + 1, len(chains), score)
    return result


def _score(
    model: MiniModel, chain: Chain, training: ChainPool, refine_steps: int, seed: int
) -> Iterator[tuple[ChainScore, list[tuple[float, float]]]]:
    true_ca = chain.coordinates[:, CA_INDEX]
    mask = chain.atom_mask[:, CA_INDEX]
    for method in (SEQUENCE_ONLY, WITH_PROFILE):
        features = _features(chain, with_profile=method == WITH_PROFILE)
        if features is None:
            continue
        ca, plddt = _fold(model, features, refine_steps)
        score, per_residue = score_chain(chain.id, method, ca, true_ca, mask, plddt=plddt)
        yield score, list(zip((plddt[mask] / 100).tolist(), per_residue.tolist(), strict=True))
    random = np.random.default_rng([seed, *chain.id.encode()])
    placed = random_fold(training, true_ca, mask, draws=RANDOM_DRAWS, random=random)
    if placed is not None:
        yield score_chain(chain.id, RANDOM_FOLD, placed, true_ca, mask)[0], []
    if chain.dssp is not None:
        built = secondary_structure_only(chain.dssp)
        yield score_chain(chain.id, SECONDARY_STRUCTURE, built, true_ca, mask)[0], []


def _score_with_templates(
    model: MiniModel, chain: Chain, templates: TemplateEvaluation | None, refine_steps: int
) -> Iterator[tuple[ChainScore, list[tuple[float, float]]]]:
    features = _features(chain, with_profile=True)
    if templates is not None and features is not None:
        yield from templates.scores(
            chain, features, functools.partial(_fold, model, refine_steps=refine_steps)
        )


def _features(chain: Chain, *, with_profile: bool) -> Features | None:
    if not with_profile:
        profile = ProfileFeatures.absent(1, len(chain))
    elif chain.profile is not None:
        profile = ProfileFeatures.from_array(chain.profile)
    else:
        return None
    return Features(
        TokenFeatures.from_sequence(chain.sequence),
        profile,
        TemplateFeatures.absent(1, len(chain)),
    )


def _fold(model: MiniModel, features: Features, refine_steps: int) -> tuple[np.ndarray, np.ndarray]:
    ((placed,),) = model.run([features])
    return refined_chain(placed, refine_steps=refine_steps)[:, 1], placed.plddt
