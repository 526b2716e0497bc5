"""What ESMFold asks of a machine, from its architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from itda.models.demand import (
    Demand,
    Load,
    Pairs,
    PointAttention,
    Work,
    one_after_the_other,
    pair_transition,
    single_attention,
    single_to_pair,
    triangle_attention,
    triangle_multiplication,
)
from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.features import LINKER

STREAMED_LAYERS = 2
"""Layers of the language model that are in memory at once where they are read as they come."""

BINS = 64
PUBLISHED = EsmFoldConfig(vocabulary=())


def demand(load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
    """Give what a load asks for; jobs are folded one after the other.

    Args:
        load: The jobs; linkers between chains are added.
        sizes: Of the network, as on the card of its weights; the published ones unless told.
    """
    config = PUBLISHED if sizes is None else EsmFoldConfig.model_validate(sizes)
    linkers = len(LINKER) * (load.chains - 1)
    return one_after_the_other(
        [_of_one(load, config, tokens, tokens + linkers) for tokens in load.tokens]
    )


def _of_one(load: Load, config: EsmFoldConfig, residues: int, tokens: int) -> Demand:
    pairs = Pairs.from_load(dataclasses.replace(load, tokens=(tokens,)), tokens=tokens)
    streamed = load.device == "cpu" or load.frugal
    layers = STREAMED_LAYERS if streamed else config.language_layers
    layer = layer_parameters(config)
    language = load.number_bytes * (
        min(layers, config.language_layers) * layer + 33 * config.language_channels
    )
    return Demand(
        weights_bytes=4 * trunk_parameters(config) + language,
        live_bytes=_live_bytes(load, config, pairs, residues),
        work=_work(load, config, pairs, streamed=streamed),
    )


def layer_parameters(config: EsmFoldConfig) -> int:
    """Count the weights of a layer of the language model."""
    channels = config.language_channels
    return 4 * channels**2 + 2 * channels * config.language_hidden


def trunk_parameters(config: EsmFoldConfig) -> int:
    """Count the weights of all but the language model, but for biases and norms."""
    single, pair = config.single_channels, config.pair_channels
    heads = single // config.single_head_channels
    block = 5 * single**2 + pair * heads + 8 * single**2
    block += single * pair + pair**2  # single to pair, half as wide inside
    block += 2 * 6 * pair**2 + 2 * 5 * pair**2 + 8 * pair**2
    inside = config.structure_channels
    attention = (
        config.structure_heads
        * inside
        * (
            3 * config.structure_head_channels
            + 3 * (2 * config.query_points + config.value_points)
            + config.structure_head_channels
            + 4 * config.value_points
            + config.structure_pair_channels
        )
    )
    structure = single * inside + pair * config.structure_pair_channels + attention + 3 * inside**2
    confidence = config.confidence_channels * (inside + config.confidence_channels + 37 * 50)
    embedding = config.language_channels * single + single**2
    return int(config.blocks * block + structure + confidence + embedding)


def _live_bytes(load: Load, config: EsmFoldConfig, pairs: Pairs, residues: int) -> int:
    channels, single = config.pair_channels, config.single_channels
    single_heads = single // config.single_head_channels
    # The pair representation, which is changed in place, and beside it:
    beside = max(
        channels * pairs.triangle_arrays(),
        pairs.count * 4 * single_heads,  # bias and mask of attention over residues
        pairs.count * (2 * config.structure_pair_channels + 5 * config.structure_heads),
        pairs.count * (channels + 4),  # the start of a pass, with bins and offsets of eight bytes
        pairs.stretch_vectors * 8 * channels,  # attention among edges, the transition
    )
    trunk = 4 * (pairs.count * channels + beside + pairs.singles * 6 * single)
    language = (
        pairs.singles
        * (8 * config.language_channels + 2 * config.language_hidden)
        * load.number_bytes
    )
    confidence = pairs.count * 4 * channels + residues**2 * 8
    confidence += pairs.rows * residues * 4 * (channels + 3 * BINS)
    return int(max(trunk, language, confidence))


def _work(
    load: Load, config: EsmFoldConfig, pairs: Pairs, *, streamed: bool
) -> Mapping[str, float]:
    channels, single = config.pair_channels, config.single_channels
    recycles = config.recycles if load.recycles is None else load.recycles
    heads = channels // config.pair_head_channels
    single_heads = single // config.single_head_channels
    block = Work()
    single_attention(block, pairs, single, channels, single_heads, factor=4, gated=False)
    single_to_pair(block, pairs, single, channels, channels // 2)
    for _ in range(2):
        triangle_multiplication(block, pairs, channels)
        triangle_attention(block, pairs, channels, heads)
    pair_transition(block, pairs, channels, 4, gated=False)
    structure = Work()
    PointAttention(
        config.structure_channels,
        config.structure_pair_channels,
        config.structure_heads,
        config.structure_head_channels,
        config.query_points,
        config.value_points,
    ).add_to(structure, pairs)
    work = Work()
    work.join(block, (recycles + 1) * config.blocks)
    work.join(structure, (recycles + 1) * config.structure_steps)
    layers, layer = config.language_layers, layer_parameters(config)
    work.product(pairs.singles, layers * layer, half=load.number_bytes == 2)
    work.add("pair_products", 4 * layers * config.language_channels * pairs.count)
    work.add("moved", layers * pairs.singles * load.number_bytes * 30 * config.language_channels)
    work.add("calls", 40 * layers)
    if streamed:
        work.add("streamed", 2.0 * layers * layer)
    work.product(pairs.count, channels * BINS)
    work.add("moved", pairs.count * BINS * 4 * 6)
    work.add("calls", pairs.stretches * 12)
    work.add("jobs", 1)
    return work.scaled(1)
