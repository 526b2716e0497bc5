"""Pairs of points within a radius."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

# A stray atom at 9,999 angstrom must not make the grid of cells outgrow memory.
_MOST_CELLS_A_SIDE = 100
_POINTS_AT_ONCE = 2000
# The grid works in float32; the exact test is made again in float64.
_ROUNDING_ANGSTROM = 0.01


def pairs_within(
    points: Float[np.ndarray, "point 3"],
    radius_angstrom: float,
    *,
    mask: Bool[np.ndarray, " point"] | None = None,
) -> Iterator[tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]]:
    """Find all pairs of points nearer than a radius, a block of points at a time.

    Args:
        points: Angstrom. Rows with a NaN have no neighbours.
        radius_angstrom: Pairs at this distance or further are left out.
        mask: True where a point counts.

    Yields:
        Index arrays (first, second) with first < second; each pair comes once.
    """
    from biotite.structure import CellList

    used = np.isfinite(points).all(axis=-1)
    if mask is not None:
        used &= mask
    index = np.flatnonzero(used)
    if len(index) < 2:
        return
    exact = points[index].astype(np.float64)
    exact -= exact.mean(axis=0)
    spread = float(np.ptp(exact, axis=0).max())
    reach = radius_angstrom + _ROUNDING_ANGSTROM
    cells = CellList(exact.astype(np.float32), max(reach, spread / _MOST_CELLS_A_SIDE))
    for start in range(0, len(exact), _POINTS_AT_ONCE):
        block = exact[start : start + _POINTS_AT_ONCE]
        neighbours = np.atleast_2d(cells.get_atoms(block.astype(np.float32), reach))
        row, column = np.nonzero(neighbours > np.arange(start, start + len(block))[:, np.newaxis])
        first, second = row + start, neighbours[row, column]
        near = np.square(exact[first] - exact[second]).sum(axis=-1) < radius_angstrom**2
        yield index[first[near]], index[second[near]]
