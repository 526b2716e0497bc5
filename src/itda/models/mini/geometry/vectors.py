"""Vectors and matrices of many residues, one array a component, so that each loop is contiguous."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def cross(
    a: Float[np.ndarray, "3 item"], b: Float[np.ndarray, "3 item"]
) -> Float[np.ndarray, "3 item"]:
    """Cross products."""
    a, b = np.concatenate([a, a[:2]]), np.concatenate([b, b[:2]])
    out: np.ndarray = a[1:4] * b[2:5] - a[2:5] * b[1:4]
    return out


def dot(
    a: Float[np.ndarray, "3 item"], b: Float[np.ndarray, "3 item"]
) -> Float[np.ndarray, "item"]:
    """Scalar products."""
    product = a * b
    out: np.ndarray = product[0] + product[1] + product[2]
    return out


def inverse_length(a: Float[np.ndarray, "3 item"]) -> Float[np.ndarray, "item"]:
    """One over the length; finite where the vector is 0."""
    out: np.ndarray = 1 / np.sqrt(dot(a, a) + np.float32(1e-8))
    return out


def across(
    a: Float[np.ndarray, "3 item"], unit: Float[np.ndarray, "3 item"]
) -> Float[np.ndarray, "3 item"]:
    """The part of `a` that is perpendicular to a unit vector."""
    out: np.ndarray = a - dot(a, unit) * unit
    return out


def turn(
    rotation: Float[np.ndarray, "3 3 item"], vector: Float[np.ndarray, "3 item"]
) -> Float[np.ndarray, "3 item"]:
    """Apply rotations, whose axes stand in columns."""
    out: np.ndarray = (
        rotation[:, 0] * vector[0] + rotation[:, 1] * vector[1] + rotation[:, 2] * vector[2]
    )
    return out


def turn_back(
    rotation: Float[np.ndarray, "3 3 item"], vector: Float[np.ndarray, "3 item"]
) -> Float[np.ndarray, "3 item"]:
    """Undo rotations."""
    product = rotation * vector[:, None]
    out: np.ndarray = product[0] + product[1] + product[2]
    return out


def product(
    a: Float[np.ndarray, "3 3 item"], b: Float[np.ndarray, "3 3 item"]
) -> Float[np.ndarray, "3 3 item"]:
    """Matrix products."""
    out: np.ndarray = a[:, 0, None] * b[0] + a[:, 1, None] * b[1] + a[:, 2, None] * b[2]
    return out


def gaps(
    points: Float[np.ndarray, "3 point"], pairs: Int[np.ndarray, "2 pair"]
) -> Float[np.ndarray, "3 pair"]:
    """From the second point of each pair to the first."""
    # Several times as fast as an index in brackets.
    out: np.ndarray = points.take(pairs[0], axis=1)
    out -= points.take(pairs[1], axis=1)
    return out
