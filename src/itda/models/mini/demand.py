"""What mini asks of a machine, from its architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from itda.hub.weights import WeightsCard
from itda.models.demand import (
    ATOMS_OF_A_RESIDUE,
    SPEED_OF_THREADS,
    Demand,
    Load,
    Pairs,
    PointAttention,
    Work,
    pair_transition,
    single_attention,
    single_to_pair,
    triangle_attention,
    triangle_multiplication,
)
from itda.models.mini.config import MiniConfig

BINS = 64
"""Of the aligned error."""

REFINE_STEPS = 400
MOST_TEMPLATES = 4

ONE_THREAD_TOKENS_MOST = 256
PADDED_PAIRS_MOST = 16 * 256**2
PADDING_MOST = 0.25
"""As in `itda.models.together`, which imports PyTorch."""

PAIRS_HELD, RECYCLED_PAIRS_HELD = 3, 4
"""Arrays of the size of the pair representation that live at once: the first one, the one that a
block was given and the one that it makes; after the first pass also the one of the pass before."""

SINGLES = 12
"""Likewise of the single representation."""

REFINED_BYTES, PAIR_BYTES, SEARCHED_BYTES = 12e3, 60.0, 30e3
"""While the geometry of all is refined, of a residue and of a pair of residues; and of a residue of
the longest chain, while neighbours are found in it. How many atoms are near an atom grows with the
chain, since long ones come out too dense."""


def demand(load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
    """Give what a load asks for.

    Args:
        load: The jobs. On a processor small ones run side by side, one on a core; on other devices
            jobs of like length are padded to one.
        sizes: Of the network, as on the card of its weights; those of the shipped weights unless
            told.
    """
    config = MiniConfig.model_validate(sizes) if sizes is not None else _shipped()
    whole, load = load, _one_job_a_set(load)
    parts = _parts(load)
    passes = 1 + (config.recycles if load.recycles is None else load.recycles)
    alive = [_live_bytes(load, config, part) for part in parts]
    work = Work()
    if load.device == "cpu":
        small = sorted(
            (one for one, part in zip(alive, parts, strict=True) if _is_small(part)), reverse=True
        )
        large = [one for one, part in zip(alive, parts, strict=True) if not _is_small(part)]
        network = max([sum(small[: load.cores]), *large])
        slower = _side_by_side(load)
    else:
        network, slower = max(alive), 1.0
    for part in parts:
        of_part = _network(config, part, passes, load.samples, _templates(load, config))
        work.join(of_part, slower if _is_small(part) else 1.0)
    residues = whole.samples * sum(whole.tokens)
    pairs = whole.samples * sum(tokens**2 for tokens in whole.tokens)
    results = pairs * 4
    refinement = residues * REFINED_BYTES + pairs * PAIR_BYTES + load.longest * SEARCHED_BYTES
    if load.device != "cpu":
        # Both are in the memory of the processor.
        results, refinement = 0, 0.0
    work.add("refine_steps", REFINE_STEPS)
    work.add("refine_atoms", REFINE_STEPS * ATOMS_OF_A_RESIDUE * residues)
    work.add("refine_pairs", REFINE_STEPS * pairs)
    work.add("jobs", whole.samples * whole.jobs)
    # Of several jobs, one batch is refined while the next is in the network.
    live = network + refinement if load.jobs > 1 else max(network, refinement)
    return Demand(
        weights_bytes=4 * parameters(config),
        live_bytes=int(results + live),
        work=work.scaled(1),
    )


def _one_job_a_set(load: Load) -> Load:
    """Give a load in which each set of templates is a job of its own.

    Samples beyond the sets are counted to all of them, which is too many only for who asks for more
    samples than there are sets.
    """
    sets = load.template_sets
    return dataclasses.replace(
        load,
        tokens=tuple(tokens for tokens in load.tokens for _ in range(sets)),
        atoms=tuple(atoms for atoms in load.atoms for _ in range(sets)),
        samples=-(-load.samples // sets),
        template_sets=1,
    )


@cache
def _shipped() -> MiniConfig:
    card = resources.files("itda.models.mini").joinpath("weights/mini.json").read_bytes()
    return MiniConfig.model_validate(WeightsCard.model_validate_json(card).config)


def parameters(config: MiniConfig) -> int:
    """Count the numbers of a network, but for biases and norms."""
    single, pair, inside = config.single_channels, config.pair_channels, config.structure_channels
    block = 2 * single * pair + 2 * pair**2  # single to pair
    block += 2 * 6 * pair**2 + 6 * pair**2 + (2 * 5 * pair**2 if config.pair_heads else 0)
    block += 5 * single**2 + 12 * single**2 + pair * config.single_heads
    attention = config.structure_heads * (3 * 16 + 3 * 16 + 16 + 32 + pair) * inside
    structure = single * inside + attention + 3 * inside**2
    structure += (1 + (config.structure_start == "torsions")) * (single * inside + 5 * inside**2)
    embedding = 42 * single * (config.stem_kernel + 1) + 2 * single * pair
    heads = 2 * pair * BINS + inside * config.confidence_channels + config.confidence_channels**2
    inner = config.template_channels
    return int(config.blocks * block + structure + embedding + heads + 5 * inner**2)


def _parts(load: Load) -> list[Pairs]:
    """Give the batches that go through the network, as `itda.models.together` makes them."""
    if load.device == "cpu":
        return [Pairs.from_load(load, tokens=tokens) for tokens in load.tokens]
    parts: list[list[int]] = []
    for tokens in sorted(load.tokens, reverse=True):
        if parts:
            padded = (len(parts[-1]) + 1) * parts[-1][0] ** 2
            pairs = sum(other**2 for other in parts[-1]) + tokens**2
            if padded <= PADDED_PAIRS_MOST and pairs >= (1 - PADDING_MOST) * padded:
                parts[-1].append(tokens)
                continue
        parts.append([tokens])
    return [Pairs.from_load(load, tokens=part[0], batch=len(part)) for part in parts]


def _is_small(part: Pairs) -> bool:
    return part.tokens <= ONE_THREAD_TOKENS_MOST


def _side_by_side(load: Load) -> float:
    """Say how much longer small jobs take than if each had all threads to itself."""
    work = [tokens**2 for tokens in load.tokens if tokens <= ONE_THREAD_TOKENS_MOST]
    if not work:
        return 1.0
    spent = max(max(work), sum(work) / load.cores) / sum(work)
    return float(spent * load.cores**SPEED_OF_THREADS)


def _live_bytes(load: Load, config: MiniConfig, pairs: Pairs) -> float:
    channels = config.pair_channels
    recycles = config.recycles if load.recycles is None else load.recycles
    held = RECYCLED_PAIRS_HELD if recycles else PAIRS_HELD
    trunk = channels * (held * pairs.count + pairs.triangle_arrays())
    # Scores, distances, weights, and what they are made of, beside the pair and its norm.
    points = pairs.count * ((3 if recycles else 2) * channels + 5 * config.structure_heads)
    inner = 7 * config.template_channels if _templates(load, config) else 0
    templates = pairs.count * (3 * channels + inner)
    singles = pairs.singles * SINGLES * config.single_channels
    return 4.0 * (max(trunk, points, templates) + singles)


def _templates(load: Load, config: MiniConfig) -> int:
    return min(load.templates, MOST_TEMPLATES) if config.template_channels else 0


@lru_cache(maxsize=4096)
def _network(config: MiniConfig, pairs: Pairs, passes: int, samples: int, templates: int) -> Work:
    """Give the work of a batch; kept, since a run asks about the same lengths again and again."""
    single, channels = config.single_channels, config.pair_channels
    block, structure, work = Work(), Work(), Work()
    single_to_pair(block, pairs, single, channels, channels)
    for _ in range(2):
        triangle_multiplication(block, pairs, channels)
    for _ in range(2 if config.pair_heads else 0):
        triangle_attention(block, pairs, channels, config.pair_heads)
    pair_transition(block, pairs, channels, 2, gated=True)
    single_attention(block, pairs, single, channels, config.single_heads, factor=4, gated=True)
    PointAttention(config.structure_channels, channels, config.structure_heads).add_to(
        structure, pairs
    )
    # Without recycling all samples come from one pass of the trunk.
    trunks = passes * (samples if passes > 1 else 1)
    work.join(block, trunks * config.blocks)
    work.join(structure, passes * samples * config.structure_steps)
    inner = config.template_channels
    work.product(pairs.count * templates, 4 * inner**2)
    work.add("moved", 4 * pairs.count * templates * 30 * inner)
    work.product(samples * pairs.count, channels * BINS)
    work.add("moved", samples * pairs.count * BINS * 4 * 6)
    work.add("calls", samples * (300 + pairs.stretches * 12))
    return work
