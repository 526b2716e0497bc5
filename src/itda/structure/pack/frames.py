"""Positions as seen from three atoms that stand before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_SHORTEST_ANGSTROM = 1e-3


@dataclass(frozen=True)
class Frames:
    """Right-handed frames: origin at the last atom, x along the last bond, y in the plane.

    Attributes:
        origin: Position of the last atom.
        x, y, z: Unit vectors.
    """

    origin: Float[np.ndarray, "frame 3"]
    x: Float[np.ndarray, "frame 3"]
    y: Float[np.ndarray, "frame 3"]
    z: Float[np.ndarray, "frame 3"]

    @classmethod
    def from_atoms(
        cls,
        first: Float[np.ndarray, "frame 3"],
        middle: Float[np.ndarray, "frame 3"],
        last: Float[np.ndarray, "frame 3"],
    ) -> Frames:
        """Build frames from three atoms; where they stand in a line, a fixed axis replaces one."""
        x = _unit(last - middle, np.array([1.0, 0.0, 0.0]))
        across = _cross(x, middle - first)
        other = np.where(np.abs(x[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
        straight = _length(across) < _SHORTEST_ANGSTROM
        z = _unit(np.where(straight, _cross(x, other), across), np.array([0.0, 0.0, 1.0]))
        return cls(last, x, _cross(z, x), z)

    def to_local(self, positions: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame 3"]:
        """Give positions in the frames."""
        offset = positions - self.origin
        parts = [(offset * axis).sum(axis=-1) for axis in (self.x, self.y, self.z)]
        return np.stack(parts, axis=-1)

    def to_global(self, local: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame 3"]:
        """Undo `to_local`."""
        turned = local[:, :1] * self.x + local[:, 1:2] * self.y + local[:, 2:] * self.z
        return np.asarray(self.origin + turned)


def _cross(
    left: Float[np.ndarray, "frame 3"], right: Float[np.ndarray, "frame 3"]
) -> Float[np.ndarray, "frame 3"]:
    return np.stack(
        [
            left[:, 1] * right[:, 2] - left[:, 2] * right[:, 1],
            left[:, 2] * right[:, 0] - left[:, 0] * right[:, 2],
            left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0],
        ],
        axis=-1,
    )


def _length(vector: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame 1"]:
    return np.asarray(np.sqrt((vector * vector).sum(axis=-1, keepdims=True)))


def _unit(
    vector: Float[np.ndarray, "frame 3"], otherwise: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "frame 3"]:
    length = _length(vector)
    short = length < _SHORTEST_ANGSTROM
    return np.where(short, otherwise, vector / np.where(short, 1.0, length))
