"""Losses on binned quantities: distances, CA-lDDT, aligned error, secondary structure, profile."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from itda.nn.structure.rigid import Rigid, pairwise_distance

LDDT_RADIUS_ANGSTROM = 15.0
LDDT_TOLERANCES_ANGSTROM = (0.5, 1.0, 2.0, 4.0)


def distogram_loss(
    logits: Float[Tensor, "batch token token bin"],
    true_cb: Float[Tensor, "batch token 3"],
    mask: Bool[Tensor, "batch token"],
    *,
    edges_angstrom: tuple[float, float],
) -> Float[Tensor, "batch"]:
    """Cross-entropy of CB distances (AlphaFold 2 SI, 1.9.8).

    Args:
        logits: Of each pair; the first and the last bin are open.
        true_cb: Angstrom.
        mask: Residues that count.
        edges_angstrom: The lowest and the highest edge between bins.
    """
    edges = torch.linspace(*edges_angstrom, logits.shape[-1] - 1, device=logits.device)
    target = torch.bucketize(pairwise_distance(true_cb, true_cb), edges)
    both = mask[:, :, None] & mask[:, None, :]
    return _mean_cross_entropy(logits, target, both)


def lddt_ca(
    predicted: Float[Tensor, "batch token 3"],
    true: Float[Tensor, "batch token 3"],
    mask: Bool[Tensor, "batch token"],
) -> Float[Tensor, "batch token"]:
    """CA-lDDT of each residue, 0 to 1 (Mariani et al. 2013); 0 if masked or without neighbours."""
    true_distance = pairwise_distance(true, true)
    error = (pairwise_distance(predicted, predicted) - true_distance).abs()
    both = mask[:, :, None] & mask[:, None, :]
    both = both & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    scored = both & (true_distance < LDDT_RADIUS_ANGSTROM)
    kept = torch.stack([error < tolerance for tolerance in LDDT_TOLERANCES_ANGSTROM]).float()
    return (kept.mean(0) * scored).sum(-1) / scored.sum(-1).clamp_min(1)


def plddt_loss(
    logits: Float[Tensor, "batch token bin"],
    predicted_ca: Float[Tensor, "batch token 3"],
    true_ca: Float[Tensor, "batch token 3"],
    mask: Bool[Tensor, "batch token"],
) -> Float[Tensor, "batch"]:
    """Cross-entropy of the CA-lDDT that the prediction has (AlphaFold 2 SI, algorithm 29)."""
    with torch.no_grad():
        score = lddt_ca(predicted_ca, true_ca, mask)
        target = (score * logits.shape[-1]).long().clamp_max(logits.shape[-1] - 1)
    return _mean_cross_entropy(logits, target, mask)


def pae_loss(
    logits: Float[Tensor, "batch token token bin"],
    predicted: Rigid,
    true: Rigid,
    mask: Bool[Tensor, "batch token"],
    *,
    bin_angstrom: float,
) -> Float[Tensor, "batch"]:
    """Cross-entropy of the error of residue j seen from frame i (AlphaFold 2 SI, 1.9.7).

    Args:
        logits: Of each pair; bins begin at 0, and the last one is open.
        predicted: Frames, angstrom.
        true: Likewise.
        mask: Residues that count.
        bin_angstrom: Width of the bins.
    """
    with torch.no_grad():
        seen = [
            frames.unsqueeze(-1).invert_apply(frames.translation[:, None, :, :])
            for frames in (predicted, true)
        ]
        error = (seen[0] - seen[1]).norm(dim=-1)
        target = (error / bin_angstrom).long().clamp_max(logits.shape[-1] - 1)
    return _mean_cross_entropy(logits, target, mask[:, :, None] & mask[:, None, :])


def dssp_loss(
    logits: Float[Tensor, "batch token 8"], target: Int[Tensor, "batch token"]
) -> Float[Tensor, "batch"]:
    """Cross-entropy of eight-state secondary structure; a target of -1 is unknown."""
    return _mean_cross_entropy(logits, target.clamp_min(0), target >= 0)


def profile_loss(
    logits: Float[Tensor, "batch token 20"],
    target: Float[Tensor, "batch token 20"],
    mask: Bool[Tensor, "batch token"],
) -> Float[Tensor, "batch"]:
    """Cross-entropy of the residue frequencies in an alignment."""
    each = -(target * functional.log_softmax(logits, dim=-1)).sum(-1)
    return (each * mask).sum(-1) / mask.sum(-1).clamp_min(1)


def _mean_cross_entropy(
    logits: Float[Tensor, "batch *shape bin"],
    target: Int[Tensor, "batch *shape"],
    mask: Bool[Tensor, "batch *shape"],
) -> Float[Tensor, "batch"]:
    each = functional.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none")
    each = each.view(target.shape) * mask
    return each.flatten(1).sum(-1) / mask.flatten(1).sum(-1).clamp_min(1)
