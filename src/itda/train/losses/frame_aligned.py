"""Frame-aligned point error: the loss that sees a structure and its hand from every residue."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.nn.structure.rigid import Rigid

CLAMP_ANGSTROM = 10.0
SCALE_ANGSTROM = 10.0


def frame_aligned_point_error(
    predicted_frames: Rigid,
    true_frames: Rigid,
    frame_mask: Bool[Tensor, "batch frame"],
    predicted_points: Float[Tensor, "batch point 3"],
    true_points: Float[Tensor, "batch point 3"],
    point_mask: Bool[Tensor, "batch point"],
    *,
    clamped: Bool[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """Average distance between points as seen from each frame (AlphaFold 2 SI, algorithm 28).

    Args:
        predicted_frames: Shape (batch, frame), angstrom.
        true_frames: Likewise.
        frame_mask: Frames that the experiment shows.
        predicted_points: Angstrom, in the same global coordinates as the predicted frames.
        true_points: Likewise for the experiment.
        point_mask: Points that the experiment shows.
        clamped: Examples whose distances are cut at 10 angstrom (9 of 10 in AlphaFold 2).

    Returns:
        The error divided by 10 angstrom; 0 where an example shows nothing.
    """
    difference = _seen_from(predicted_frames, predicted_points) - _seen_from(
        true_frames, true_points
    )
    distance = (difference.square().sum(-1) + 1e-4).sqrt()
    distance = torch.where(clamped[:, None, None], distance.clamp_max(CLAMP_ANGSTROM), distance)
    both = frame_mask[:, :, None] & point_mask[:, None, :]
    counted = both.sum((1, 2)).clamp_min(1)
    return (distance * both).sum((1, 2)) / counted / SCALE_ANGSTROM


def _seen_from(
    frames: Rigid, points: Float[Tensor, "batch point 3"]
) -> Float[Tensor, "batch frame point 3"]:
    """Take every point into every frame: R^T (x - t), as one matrix product and one subtraction."""
    rotated = torch.einsum("bfji,bpj->bfpi", frames.rotation, points)
    origin = torch.einsum("bfji,bfj->bfi", frames.rotation, frames.translation)
    return rotated - origin[:, :, None, :]
