"""All losses of mini on one batch and their weighted sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import RESTYPE_1_TO_3, SYMMETRIC_ATOMS
from itda.features import Features
from itda.models.mini.modeling import DISTOGRAM_EDGES_ANGSTROM, PAE_BIN_ANGSTROM, MiniOutput
from itda.nn.structure.rigid import Rigid
from itda.train.batch import Batch
from itda.train.losses import binned
from itda.train.losses.frame_aligned import frame_aligned_point_error
from itda.train.losses.torsion import torsion_loss
from itda.train.losses.violation import clash_violation, peptide_violation
from itda.train.targets import ChainTargets

LOSS_NAMES = (
    "backbone",
    "all_atom",
    "distogram",
    "torsion",
    "backbone_torsion",
    "plddt",
    "pae",
    "profile",
    "dssp",
    "violation",
)


def compute_losses(
    output: MiniOutput,
    batch: Batch[Features, ChainTargets],
    weights: Mapping[str, float],
    *,
    clamped: Bool[Tensor, "batch"],
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Weigh and add the losses (AlphaFold 2 SI, 1.9).

    Frame-aligned errors of side-chain atoms are taken in backbone frames only; the torsion loss
    covers the rest of the side chain at a fraction of the cost.

    Args:
        output: Of the network on `batch.features`.
        batch: Features and targets.
        weights: By name, from `LOSS_NAMES`; a loss of weight 0 or absent is not computed.
        clamped: Examples whose frame-aligned errors are cut at 10 angstrom.

    Returns:
        The sum, and the mean of each loss over the batch before weighing.
    """
    with torch.autocast(clamped.device.type, enabled=False):
        parts = {
            name: per_example.mean() for name, per_example in _each(output, batch, weights, clamped)
        }
        total = sum((weights[name] * value for name, value in parts.items()), clamped.new_zeros(()))
    return total, parts


def _each(
    output: MiniOutput,
    batch: Batch[Features, ChainTargets],
    weights: Mapping[str, float],
    clamped: Bool[Tensor, "batch"],
) -> Iterator[tuple[str, Tensor]]:
    tokens, targets = batch.features.tokens, batch.targets
    seen, true_frames = targets.backbone_mask, targets.frames
    ca = output.structure.frames.translation
    if weights.get("backbone"):
        yield (
            "backbone",
            torch.stack(
                [
                    frame_aligned_point_error(
                        *(frames, true_frames, seen),
                        *(frames.translation, true_frames.translation, seen),
                        clamped=clamped,
                    )
                    for frames in output.structure.trajectory
                ]
            ).mean(0),
        )
    if weights.get("all_atom"):
        truth = _name_symmetric_atoms(output, targets, batch)
        yield (
            "all_atom",
            frame_aligned_point_error(
                *(output.structure.frames, true_frames, seen),
                *(output.atoms.flatten(1, 2), truth.flatten(1, 2), targets.atom_mask.flatten(1)),
                clamped=torch.ones_like(clamped),
            ),
        )
    if weights.get("distogram"):
        yield (
            "distogram",
            binned.distogram_loss(
                output.distogram_logits, targets.cb, seen, edges_angstrom=DISTOGRAM_EDGES_ANGSTROM
            ),
        )
    if weights.get("torsion"):
        period = torch.from_numpy(rigid_group_tables().torsion_period_pi).to(seen.device)
        yield (
            "torsion",
            torsion_loss(
                output.structure.unnormalised_torsions,
                targets.torsions,
                targets.torsion_mask,
                period[tokens.restype],
            ),
        )
    if weights.get("backbone_torsion") and output.structure.backbone_torsions is not None:
        yield (
            "backbone_torsion",
            torsion_loss(
                output.structure.backbone_torsions,
                targets.phi_psi,
                targets.phi_psi_mask,
                torch.zeros_like(targets.phi_psi_mask),
            ),
        )
    if weights.get("plddt"):
        yield "plddt", binned.plddt_loss(output.lddt_logits, ca, true_frames.translation, seen)
    if weights.get("pae"):
        yield (
            "pae",
            binned.pae_loss(
                output.pae_logits,
                output.structure.frames,
                true_frames,
                seen,
                bin_angstrom=PAE_BIN_ANGSTROM,
            ),
        )
    if weights.get("profile"):
        known = targets.profile.sum(-1) > 0.5
        yield "profile", binned.profile_loss(output.profile_logits, targets.profile, known)
    if weights.get("dssp"):
        yield "dssp", binned.dssp_loss(output.dssp_logits, targets.dssp)
    if weights.get("violation"):
        present = torch.from_numpy(rigid_group_tables().atom14_mask).to(seen.device)
        present = present[tokens.restype] & tokens.mask[..., None]
        yield (
            "violation",
            peptide_violation(output.atoms, targets.linked)
            + clash_violation(output.atoms, present, tokens.restype, targets.linked),
        )


def _name_symmetric_atoms(
    output: MiniOutput, targets: ChainTargets, batch: Batch[Features, ChainTargets]
) -> Float[Tensor, "batch token 14 3"]:
    """Exchange names such as OD1 and OD2 where that brings experiment and prediction nearer."""
    swap = torch.from_numpy(_swapped_columns()).to(targets.atoms.device)
    columns = swap[batch.features.tokens.restype]
    renamed = targets.atoms.gather(2, columns[..., None].expand(-1, -1, -1, 3))
    with torch.no_grad():
        predicted = _in_own_frame(output.structure.frames, output.atoms)
        distances = [
            (
                (_in_own_frame(targets.frames, atoms) - predicted).square().sum(-1)
                * targets.atom_mask
            ).sum(-1)
            for atoms in (targets.atoms, renamed)
        ]
        exchange = distances[1] < distances[0]
    return torch.where(exchange[..., None, None], renamed, targets.atoms)


def _in_own_frame(
    frames: Rigid, atoms: Float[Tensor, "batch token 14 3"]
) -> Float[Tensor, "batch token 14 3"]:
    return frames.unsqueeze(-1).invert_apply(atoms)


def _swapped_columns() -> Int[np.ndarray, "21 14"]:
    names = rigid_group_tables().atom14_names
    columns = np.tile(np.arange(14), (len(names), 1))
    for row, residue in enumerate(RESTYPE_1_TO_3.values()):
        for first, second in SYMMETRIC_ATOMS.get(residue, ()):
            one, two = names[row].index(first), names[row].index(second)
            columns[row, [one, two]] = two, one
    return columns
