"""What mini asks of a machine, from its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from itda.hub.weights import WeightsCard
from itda.models.demand import (
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
"""Of the distogram and of the aligned error."""

ATOMS_OF_A_RESIDUE = 7.8
"""Heavy atoms, on average over proteins."""

REFINE_STEPS = 400

MOST_TEMPLATES = 4


def demand(load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
    """Give what a load asks for.

    Args:
        load: The jobs.
        sizes: Of the network, as on the card of its weights; those of the shipped weights unless
            told.
    """
    config = MiniConfig.model_validate(sizes) if sizes is not None else _shipped()
    pairs = Pairs.of(load, batch=load.jobs, tokens=load.longest)
    templates = min(load.templates, MOST_TEMPLATES) if config.template_channels else 0
    return Demand(
        weights_bytes=4 * parameters(config),
        live_bytes=_live_bytes(load, config, pairs, templates),
        work=_work(load, config, pairs, templates),
    )


@cache
def _shipped() -> MiniConfig:
    card = resources.files("itda.models.mini").joinpath("weights/mini.json").read_bytes()
    return MiniConfig.model_validate(WeightsCard.model_validate_json(card).config)


def parameters(config: MiniConfig) -> int:
    """Count the numbers of a network, but for biases and norms."""
    single, pair, inside = config.single_channels, config.pair_channels, config.structure_channels
    block = 2 * single * pair + 2 * pair**2 + 2 * 6 * pair**2 + 12 * pair**2 / 2
    block += 5 * single**2 + 12 * single**2 + 2 * (5 if config.pair_heads else 0) * pair**2
    attention = config.structure_heads * (3 * 16 + 3 * 16 + 16 + 32 + pair) * inside
    structure = single * inside + attention + 3 * inside**2
    structure += 2 * (single * inside + 5 * inside**2)
    embedding = 42 * single * config.stem_kernel + 42 * single + 2 * single * pair
    heads = 2 * pair * BINS + inside * config.confidence_channels + 2 * single * 20
    return int(config.blocks * block + structure + embedding + heads)


def _live_bytes(load: Load, config: MiniConfig, pairs: Pairs, templates: int) -> int:
    channels, number = config.pair_channels, 4
    recycles = config.recycles if load.recycles is None else load.recycles
    first_and_last = (2 + (recycles > 0)) * channels
    triangles = first_and_last + channels + 3 * channels
    points = first_and_last + channels + 5 * config.structure_heads
    embedding = 3 * channels + (6 * config.template_channels if templates else 0)
    heads = 3 * channels + 3 * BINS
    a_pair = number * max(triangles, points, embedding, heads)
    singles = pairs.singles * 4 * (40 * config.single_channels)
    # Afterwards one job at a time: probabilities in double precision, beside all logits.
    confidence = pairs.count * number * 2 * BINS + load.longest**2 * 16 * BINS
    # All distances between atoms, and what is compared with them.
    atoms = (ATOMS_OF_A_RESIDUE * load.longest) ** 2
    refinement = pairs.count * number * 2 * BINS + atoms * 10
    return int(max(pairs.count * a_pair + singles, confidence, refinement))


def _work(load: Load, config: MiniConfig, pairs: Pairs, templates: int) -> Mapping[str, float]:
    recycles = config.recycles if load.recycles is None else load.recycles
    single, channels = config.single_channels, config.pair_channels
    work = Work()
    for _ in range(recycles + 1):
        for _ in range(config.blocks):
            single_to_pair(work, pairs, single, channels, channels)
            for _ in range(2):
                triangle_multiplication(work, pairs, channels)
            for _ in range(2 if config.pair_heads else 0):
                triangle_attention(work, pairs, channels, config.pair_heads)
            pair_transition(work, pairs, channels, 2, gated=True)
            single_attention(
                work, pairs, single, channels, config.single_heads, factor=4, gated=True
            )
        attention = PointAttention(config.structure_channels, channels, config.structure_heads)
        for _ in range(config.structure_steps):
            attention.add_to(work, pairs)
    work.product(pairs.count, 2 * channels * BINS)
    inner = config.template_channels
    work.product(pairs.count * templates, 4 * inner**2)
    work.add("moved", 4 * pairs.count * templates * 30 * inner)
    work.add("moved", pairs.count * BINS * (3 * 4 + 8 * 8))
    work.add("refine_steps", REFINE_STEPS * load.jobs)
    work.add("refine_atoms", REFINE_STEPS * ATOMS_OF_A_RESIDUE * sum(load.tokens))
    return work.scaled(load.samples)
