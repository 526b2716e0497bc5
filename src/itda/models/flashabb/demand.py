"""What FlashABB asks of a machine, from its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itda.models.demand import Demand, Load, Work
from itda.models.flashabb.config import FlashAbbConfig

AT_ONCE = 16
"""Antibodies in one row, as in `itda.models.flashabb.predict`, which imports PyTorch."""


def demand(load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
    """Give what a load asks for.

    Args:
        load: The jobs; they stand in one row, so nothing is padded.
        sizes: Of the network, as on the card of its weights; the published ones unless told.
    """
    config = FlashAbbConfig() if sizes is None else FlashAbbConfig.model_validate(sizes)
    return Demand(
        weights_bytes=4 * parameters(config),
        live_bytes=_live_bytes(load, config),
        work=_work(load, config),
    )


def _gathered(config: FlashAbbConfig) -> int:
    """Numbers of a residue that attention gathers."""
    return config.heads * (config.head_channels + 4 * config.value_points + config.position_bins)


def _projected(config: FlashAbbConfig) -> int:
    """Numbers of a residue that attention reads."""
    points = 2 * config.query_points + config.value_points
    return 3 * config.heads * (config.head_channels + points)


def parameters(config: FlashAbbConfig) -> int:
    """Count the numbers of a network, but for biases and norms."""
    channels, torsion = config.channels, config.torsion_channels
    block = channels * (_projected(config) + _gathered(config)) + 8 * channels**2
    heads = 2 * channels * torsion + 2 * config.torsion_blocks * torsion**2
    heads += channels * torsion + torsion**2 + 64 * torsion
    return int(config.blocks * block + heads)


def _live_bytes(load: Load, config: FlashAbbConfig) -> int:
    residues = sum(sorted(load.tokens, reverse=True)[:AT_ONCE])
    # While all of a row is gathered: what was read, the parts and what they are joined to.
    gathering = residues * (2 * _projected(config) + 3.6 * _gathered(config))
    # While the last antibody attends: what is read, what is gathered, scores and weights, sums by
    # position.
    attending = residues * (1.5 * _projected(config) + _gathered(config))
    attending += config.heads * load.longest * (2 * load.longest + 2 * config.position_bins)
    # Each result: positions, and confidence in bins before it is read.
    results = sum(load.tokens) * 14 * 3
    return int(4 * (max(gathering, attending) + results))


def _work(load: Load, config: FlashAbbConfig) -> Mapping[str, float]:
    residues = sum(load.tokens)
    pairs = sum(tokens**2 for tokens in load.tokens)
    channels = config.channels
    work = Work()
    work.product(residues, parameters(config))
    width = config.head_channels + 3 * config.query_points + 1
    width += config.head_channels + 3 * config.value_points
    work.add("pair_products", 2 * config.blocks * config.heads * pairs * width)
    work.add("moved", 4 * config.blocks * config.heads * pairs * 6)
    row = 4 * _projected(config) + 6 * _gathered(config)
    work.add("moved", 4 * config.blocks * residues * row)
    work.add("moved", 4 * residues * 40 * channels)
    # Each antibody has attention of its own; the rest is called once for a row.
    rows = -(-load.jobs // AT_ONCE)
    work.add("calls", config.blocks * (80 * rows + 40 * load.jobs) + 200 * rows)
    # Its chains are told apart beforehand, and its atoms are named afterwards.
    work.add("jobs", load.jobs)
    return work.scaled(1)
