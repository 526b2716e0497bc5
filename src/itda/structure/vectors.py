"""Angles, torsions and handedness of points, row by row; NaN where a point is missing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def bond_angle_degrees(
    first: Float[np.ndarray, "row 3"],
    vertex: Float[np.ndarray, "row 3"],
    last: Float[np.ndarray, "row 3"],
) -> Float[np.ndarray, " row"]:
    """Give the angle at the vertex, 0 to 180."""
    one, other = first - vertex, last - vertex
    across = np.linalg.norm(np.cross(one, other), axis=-1)
    return np.asarray(np.degrees(np.arctan2(across, (one * other).sum(axis=-1))))


def dihedral_degrees(
    a: Float[np.ndarray, "row 3"],
    b: Float[np.ndarray, "row 3"],
    c: Float[np.ndarray, "row 3"],
    d: Float[np.ndarray, "row 3"],
) -> Float[np.ndarray, " row"]:
    """Give the torsion a-b-c-d, -180 to 180, by the IUPAC sign."""
    axis = c - b
    before, after = np.cross(b - a, axis), np.cross(axis, d - c)
    height = np.linalg.norm(axis, axis=-1) * ((b - a) * after).sum(axis=-1)
    return np.asarray(np.degrees(np.arctan2(height, (before * after).sum(axis=-1))))


def chiral_volume(
    centre: Float[np.ndarray, "row 3"],
    a: Float[np.ndarray, "row 3"],
    b: Float[np.ndarray, "row 3"],
    c: Float[np.ndarray, "row 3"],
) -> Float[np.ndarray, " row"]:
    """Give the signed volume of the three bonds, in cubic angstrom.

    That of N, C and CB about the CA of an L amino acid is about +2.5; a mirror image changes the
    sign.
    """
    return np.asarray(((a - centre) * np.cross(b - centre, c - centre)).sum(axis=-1))
