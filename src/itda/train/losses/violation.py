"""Peptide bonds of the wrong length or angle, and atoms that overlap."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from itda.chem.geometry import (
    C_N_CA_DEGREES,
    CA_C_N_DEGREES,
    PEPTIDE_BOND_ANGSTROM,
    rigid_group_tables,
)
from itda.chem.residues import VAN_DER_WAALS_RADIUS_ANGSTROM
from itda.nn.structure.rigid import pairwise_distance

BOND_TOLERANCE_ANGSTROM = 0.02
ANGLE_TOLERANCE_COSINE = 0.03
OVERLAP_TOLERANCE_ANGSTROM = 1.5
"""What two atoms may overlap before it counts (AlphaFold 2 SI, 1.9.11)."""


def peptide_violation(
    atoms: Float[Tensor, "batch token 14 3"], linked: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch"]:
    """How far C-N lengths (angstrom) and the two angles there (cosine) are beyond tolerance.

    Args:
        atoms: Heavy atoms in atom14 order, angstrom.
        linked: True where residue i is bonded to residue i + 1; the last entry is not read.
    """
    ca, c, next_n, next_ca = atoms[:, :-1, 1], atoms[:, :-1, 2], atoms[:, 1:, 0], atoms[:, 1:, 1]
    bond = _distance(c, next_n)
    length = ((bond - PEPTIDE_BOND_ANGSTROM).abs() - BOND_TOLERANCE_ANGSTROM).clamp_min(0)
    angles = [
        (_cosine(ca - c, next_n - c), CA_C_N_DEGREES),
        (_cosine(c - next_n, next_ca - next_n), C_N_CA_DEGREES),
    ]
    bent = [
        ((cosine - math.cos(math.radians(ideal))).abs() - ANGLE_TOLERANCE_COSINE).clamp_min(0)
        for cosine, ideal in angles
    ]
    mask = linked[:, :-1]
    return ((length + bent[0] + bent[1]) * mask).sum(-1) / mask.sum(-1).clamp_min(1)


def clash_violation(
    atoms: Float[Tensor, "batch token 14 3"],
    atom_mask: Bool[Tensor, "batch token 14"],
    restype: Int[Tensor, "batch token"],
    linked: Bool[Tensor, "batch token"],
) -> Float[Tensor, "batch"]:
    """Overlap (angstrom) of atoms in different residues, summed and divided by the atom count."""
    radius = torch.from_numpy(_radius_table()).to(atoms.device)[restype]
    tokens = restype.shape[1]
    flat, flat_radius = atoms.flatten(1, 2), radius.flatten(1)
    allowed = flat_radius[:, :, None] + flat_radius[:, None, :] - OVERLAP_TOLERANCE_ANGSTROM
    overlap = (allowed - pairwise_distance(flat, flat)).clamp_min(0)
    token = torch.arange(tokens, device=atoms.device).repeat_interleave(14)
    column = torch.arange(14, device=atoms.device).repeat(tokens)
    later = token[:, None] < token[None, :]
    peptide = (token[:, None] + 1 == token[None, :]) & (column[:, None] == 2) & (column == 0)
    bonded = peptide[None] & linked.repeat_interleave(14, dim=1)[:, :, None]
    present = atom_mask.flatten(1)
    counted = later[None] & ~bonded & present[:, :, None] & present[:, None, :]
    return (overlap * counted).sum((1, 2)) / present.sum(-1).clamp_min(1)


def _radius_table() -> Float32[np.ndarray, "21 14"]:
    names = rigid_group_tables().atom14_names
    return np.array(
        [[VAN_DER_WAALS_RADIUS_ANGSTROM.get(name[:1], 0.0) for name in row] for row in names],
        dtype=np.float32,
    )


def _distance(
    a: Float[Tensor, "*shape 3"], b: Float[Tensor, "*shape 3"]
) -> Float[Tensor, "*shape"]:
    return ((a - b).square().sum(-1) + 1e-8).sqrt()


def _cosine(a: Float[Tensor, "*shape 3"], b: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape"]:
    norms = (a.square().sum(-1) + 1e-8).sqrt() * (b.square().sum(-1) + 1e-8).sqrt()
    return (a * b).sum(-1) / norms
