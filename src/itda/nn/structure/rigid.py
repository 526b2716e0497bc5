"""Rigid frames: a rotation and a translation for each residue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Rigid:
    """Transforms from local to global coordinates, x -> R x + t, in float32 or more.

    Attributes:
        rotation: Orthonormal, axes in columns.
        translation: Origin of each frame, angstrom.
    """

    rotation: Float[Tensor, "*shape 3 3"]
    translation: Float[Tensor, "*shape 3"]

    @staticmethod
    def identity(shape: tuple[int, ...], like: Tensor) -> Rigid:
        """Give frames that change nothing ("black hole" initialisation, AlphaFold 2 SI 1.8).

        Args:
            shape: Of the set.
            like: On the same device and of the same number format.
        """
        rotation = torch.eye(3, dtype=like.dtype, device=like.device).expand(*shape, 3, 3)
        return Rigid(rotation, like.new_zeros(*shape, 3))

    @staticmethod
    def from_three_points(
        origin: Float[Tensor, "*shape 3"],
        on_x: Float[Tensor, "*shape 3"],
        in_plane: Float[Tensor, "*shape 3"],
    ) -> Rigid:
        """Build frames, `on_x` on +x, `in_plane` at positive y (AlphaFold 2 SI, algorithm 21)."""
        x = _unit(on_x - origin)
        towards = in_plane - origin
        y = _unit(towards - (towards * x).sum(-1, keepdim=True) * x)
        return Rigid(torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1), origin)

    @staticmethod
    def from_update(update: Float[Tensor, "*shape 6"]) -> Rigid:
        """Read a quaternion (1, b, c, d) and a translation (AlphaFold 2 SI, algorithm 23)."""
        vector, translation = update[..., :3], update[..., 3:]
        quaternion = torch.cat([torch.ones_like(vector[..., :1]), vector], dim=-1)
        w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
        rotation = torch.stack(
            [
                *(w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)),
                *(2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)),
                *(2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z),
            ],
            dim=-1,
        )
        return Rigid(rotation.unflatten(-1, (3, 3)), translation)

    def compose(self, inner: Rigid) -> Rigid:
        """Apply `inner` first, then this."""
        return Rigid(self.rotation @ inner.rotation, self.apply(inner.translation))

    def apply(self, points: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape 3"]:
        """Take points from local to global coordinates."""
        return (self.rotation @ points[..., None])[..., 0] + self.translation

    def invert_apply(self, points: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape 3"]:
        """Take points from global to local coordinates."""
        return (self.rotation.transpose(-1, -2) @ (points - self.translation)[..., None])[..., 0]

    def invert(self) -> Rigid:
        """Give the transforms that undo these."""
        rotation = self.rotation.transpose(-1, -2)
        return Rigid(rotation, -(rotation @ self.translation[..., None])[..., 0])

    def gather(self, index: Int[Tensor, "batch token"]) -> Rigid:
        """Take frames along the axis `token` of a (batch, token) set, by position."""
        chosen = index[..., None]
        return Rigid(
            self.rotation.gather(1, chosen[..., None].expand(-1, -1, 3, 3)),
            self.translation.gather(1, chosen.expand(-1, -1, 3)),
        )

    def unsqueeze(self, axis: int) -> Rigid:
        """Insert an axis into the shape; `axis` counts from the end of the shape, -1 being last."""
        return Rigid(self.rotation.unsqueeze(axis - 2), self.translation.unsqueeze(axis - 1))

    def scale_translation(self, factor: float) -> Rigid:
        """Change the unit of length."""
        return Rigid(self.rotation, self.translation * factor)

    def detach_rotation(self) -> Rigid:
        """Stop gradients through rotations between blocks (AlphaFold 2 SI, algorithm 20)."""
        return Rigid(self.rotation.detach(), self.translation)


def _unit(vector: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape 3"]:
    length: Tensor = vector.norm(dim=-1, keepdim=True)
    return vector / length.clamp_min(1e-6)


def pairwise_distance(
    a: Float[Tensor, "batch first 3"], b: Float[Tensor, "batch second 3"]
) -> Float[Tensor, "batch first second"]:
    """Distances by subtraction: the faster matrix-product form loses 0.01 angstrom to rounding."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
