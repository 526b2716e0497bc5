"""Least-squares superposition and RMSD on plain coordinate arrays, in angstrom.

Rows with a NaN, and rows that a mask leaves out, take no part; all functions are pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Superposition(NamedTuple):
    """A rigid motion: `points @ rotation.T + translation`.

    Attributes:
        rotation: A proper rotation (determinant +1).
        translation: Angstrom.
    """

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]

    def apply(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """Move points from the mobile frame to the target frame."""
        return np.asarray(points @ self.rotation.T + self.translation)


def present(
    *points: Float[np.ndarray, "point 3"], mask: Bool[np.ndarray, " point"] | None = None
) -> Bool[np.ndarray, " point"]:
    """Tell which rows are finite in every array and not left out by the mask."""
    result = np.ones(len(points[0]), dtype=bool) if mask is None else mask.astype(bool)
    for array in points:
        result = result & np.isfinite(array).all(axis=-1)
    return result


def superpose(
    mobile: Float[np.ndarray, "point 3"],
    target: Float[np.ndarray, "point 3"],
    *,
    mask: Bool[np.ndarray, " point"] | None = None,
) -> Superposition:
    """Find the proper rigid motion of least RMSD (Kabsch 1976; Umeyama 1991 for the sign).

    Args:
        mobile: Points to move; angstrom.
        target: Where each should come to lie; angstrom.
        mask: True where a point counts. Rows that are NaN in either array never count.

    Returns:
        The motion that takes `mobile` onto `target`. With fewer than three points it is one of
        several equally good ones.

    Raises:
        ValueError: If no point counts.

    >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]])
    >>> turned = square @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 5
    >>> float(rmsd(square, turned).round(6)), float(rmsd(square, turned, fit=True).round(6))
    (8.185353, 0.0)
    """
    used = present(mobile, target, mask=mask)
    if not used.any():
        raise ValueError("no point is present in both arrays")
    moving, fixed = (array[used].astype(np.float64) for array in (mobile, target))
    moving_centre, fixed_centre = moving.mean(axis=0), fixed.mean(axis=0)
    covariance = (moving - moving_centre).T @ (fixed - fixed_centre)
    rotation = kabsch_rotation(covariance[np.newaxis])[0]
    return Superposition(rotation, fixed_centre - rotation @ moving_centre)


def kabsch_rotation(covariance: Float[np.ndarray, "batch 3 3"]) -> Float[np.ndarray, "batch 3 3"]:
    """Give the proper rotation that maximises the trace with each covariance (mobile, target)."""
    left, _, right = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(left @ right))
    right = np.swapaxes(right, -1, -2).copy()
    right[:, :, 2] *= np.where(sign == 0, 1.0, sign)[:, np.newaxis]
    return np.asarray(right @ np.swapaxes(left, -1, -2))


def rmsd(
    mobile: Float[np.ndarray, "point 3"],
    target: Float[np.ndarray, "point 3"],
    *,
    mask: Bool[np.ndarray, " point"] | None = None,
    fit: bool = False,
) -> np.float64:
    """Give the root mean square distance between corresponding points, in angstrom.

    Args:
        mobile: Points; angstrom.
        target: Corresponding points; angstrom.
        mask: True where a point counts. Rows that are NaN in either array never count.
        fit: Superpose first.

    Raises:
        ValueError: If no point counts.
    """
    used = present(mobile, target, mask=mask)
    if not used.any():
        raise ValueError("no point is present in both arrays")
    moved = superpose(mobile, target, mask=mask).apply(mobile) if fit else mobile
    squared = np.square(moved[used].astype(np.float64) - target[used]).sum(axis=-1)
    return np.float64(np.sqrt(squared.mean()))
