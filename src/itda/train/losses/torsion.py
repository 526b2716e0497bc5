"""Torsion angles, of side chains and of the backbone."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NORM_WEIGHT = 0.02


def torsion_loss(
    unnormalised: Float[Tensor, "batch token torsion 2"],
    true: Float[Tensor, "batch token torsion 2"],
    mask: Bool[Tensor, "batch token torsion"],
    period_pi: Bool[Tensor, "batch token torsion"],
) -> Float[Tensor, "batch"]:
    """Squared chord between true and predicted angles (AlphaFold 2 SI, algorithm 27).

    Args:
        unnormalised: Predicted (sin, cos) before they are brought to length one.
        true: Experimental (sin, cos).
        mask: Angles that the experiment shows.
        period_pi: Angles for which a half turn gives the same molecule.

    Returns:
        Mean over the angles shown, with a small pull of the length towards one.
    """
    length = (unnormalised.square().sum(-1) + 1e-8).sqrt()
    unit = unnormalised / length[..., None]
    chord = (unit - true).square().sum(-1)
    other = (unit + true).square().sum(-1)
    chord = torch.where(period_pi, torch.minimum(chord, other), chord)
    per_angle = chord + NORM_WEIGHT * (length - 1).abs()
    return (per_angle * mask).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1)
