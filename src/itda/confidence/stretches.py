"""Where a fold is uncertain: stretches of low pLDDT, and parts that stand loosely together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

LEAST_STRETCH = 4
"""Residues of the shortest stretch that is named; a single weak residue says little."""

LARGEST_GAP = 2
"""Better residues between two low ones that do not part a stretch."""

LEAST_PART = 30
"""Residues of the smallest part that may stand loosely to another."""

PART_PLDDT = 50.0
"""Residues below it belong to no part."""

MOST_BLOCKS = 200
"""Parts are found among as many blocks of neighbouring residues, so that time stays small."""


@dataclass(frozen=True)
class Parts:
    """Two parts of a structure that do not stand firmly to each other.

    Attributes:
        first: 0-based residues of the one, rising.
        second: Of the other.
        mean_pae_angstrom: Over their pairs, both directions.
    """

    first: Int[np.ndarray, " residue"]
    second: Int[np.ndarray, " residue"]
    mean_pae_angstrom: float


def low_stretches(
    plddt: Float[np.ndarray, " residue"], chains: Sequence[str], *, below: float
) -> list[tuple[int, int]]:
    """Find stretches of low pLDDT within chains.

    Args:
        plddt: Of each residue, 0 to 100.
        chains: Chain of each.
        below: What is low.

    Returns:
        0-based first and last residue of each, from the beginning.

    >>> low_stretches(np.array([20.0, 30, 30, 20, 90, 90, 90]), "AAAAAAA", below=50)
    [(0, 3)]
    """
    found: list[tuple[int, int]] = []
    for place in np.flatnonzero(plddt < below).tolist():
        if found:
            first, last = found[-1]
            if place - last - 1 <= LARGEST_GAP and chains[last] == chains[place]:
                found[-1] = first, place
                continue
        found.append((place, place))
    return [(first, last) for first, last in found if last - first + 1 >= LEAST_STRETCH]


def parts_apart(
    plddt: Float[np.ndarray, " residue"],
    pae: Float[np.ndarray, "residue residue"],
    *,
    apart_angstrom: float,
) -> list[Parts]:
    """Find parts that are predicted well each, but not how they lie to one another.

    Blocks of neighbouring residues are joined, the two of least mean PAE first, until no two are
    nearer than `apart_angstrom` (average linkage).

    Args:
        plddt: Of each residue, 0 to 100.
        pae: Of each pair, angstrom.
        apart_angstrom: Mean PAE from which on two parts are apart.

    Returns:
        Each pair of parts of `LEAST_PART` residues or more, the larger ones first; in the order of
        the chain within a pair.
    """
    confident = np.flatnonzero(plddt >= PART_PLDDT)
    if len(confident) < 2 * LEAST_PART:
        return []
    size = -(-len(confident) // MOST_BLOCKS)
    blocks = [confident[first : first + size] for first in range(0, len(confident), size)]
    sums = _block_sums(pae.astype(np.float64), blocks)
    counts = np.array([len(block) for block in blocks], dtype=np.float64)
    alive = np.ones(len(blocks), dtype=bool)
    while alive.sum() > 1:
        means = sums / np.outer(counts, counts)
        means[~alive] = means[:, ~alive] = np.inf
        np.fill_diagonal(means, np.inf)
        one, other = (int(place) for place in np.unravel_index(means.argmin(), means.shape))
        if means[one, other] > apart_angstrom:
            break
        sums[one] += sums[other]
        sums[:, one] += sums[:, other]
        counts[one] += counts[other]
        blocks[one] = np.sort(np.concatenate([blocks[one], blocks[other]]))
        alive[other] = False
    large = [place for place in np.flatnonzero(alive).tolist() if counts[place] >= LEAST_PART]
    large.sort(key=lambda place: -counts[place])
    pairs = [(one, other) for number, other in enumerate(large) for one in large[:number]]
    found = []
    for one, other in pairs:
        first, second = sorted((blocks[one], blocks[other]), key=lambda part: int(part[0]))
        found.append(Parts(first, second, float(sums[one, other] / (counts[one] * counts[other]))))
    return found


def _block_sums(
    pae: Float[np.ndarray, "residue residue"], blocks: Sequence[Int[np.ndarray, " residue"]]
) -> Float[np.ndarray, "block block"]:
    order = np.concatenate(blocks)
    starts = np.cumsum([0, *(len(block) for block in blocks[:-1])])
    both = (pae + pae.T)[np.ix_(order, order)] / 2
    return np.asarray(np.add.reduceat(np.add.reduceat(both, starts, 0), starts, 1))
