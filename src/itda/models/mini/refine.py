"""Bring the geometry between residues to its ideal, moving rigid groups as little as possible.

Inside a residue, bond lengths and angles are ideal by construction. Between residues the network
only comes close: here backbone frames and torsions are moved until peptide bonds have their length
and angles and overlaps are less, with a pull back to where the network put them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from itda.chem.geometry import (
    C_N_CA_DEGREES,
    CA_C_N_DEGREES,
    PEPTIDE_BOND_ANGSTROM,
    rigid_group_tables,
)
from itda.chem.residues import RESTYPE_INDEX, VAN_DER_WAALS_RADIUS_ANGSTROM
from itda.nn.rigid import Rigid
from itda.nn.structure_module import AtomBuilder

STEPS = 400
LEARNING_RATE = 0.03
CONTACT_RADIUS_ANGSTROM = 8.0
CONTACTS_EVERY = 25
OVERLAP_TOLERANCE_ANGSTROM = 0.6
OVERLAP_WEIGHT = 0.1
"""Low: pushing apart the folds of a weak model costs more lDDT than it mends (docs/log.md)."""
PROLINE_RING_ANGSTROM = 1.474
"""N-CD length of proline (Engh and Huber 1991)."""

_C, _N, _CA, _O, _CD_OF_PROLINE = 2, 0, 1, 3, 6
_TWO_ANGLE = tuple(math.cos(math.radians(angle)) for angle in (CA_C_N_DEGREES, C_N_CA_DEGREES))


@dataclass(frozen=True)
class RefinedStructure:
    """What refinement gives.

    Attributes:
        atoms: Atom14 positions, angstrom.
        moved_angstrom: Root mean square displacement of CA atoms.
    """

    atoms: Float[Tensor, "token 14 3"]
    moved_angstrom: float


def refine(
    restype: Int[Tensor, "token"],
    frames: Rigid,
    torsions: Float[Tensor, "token 5 2"],
    *,
    steps: int = STEPS,
    report: Callable[[float], None] = lambda _fraction: None,
) -> RefinedStructure:
    """Move frames and torsions to ideal peptide geometry; deterministic, float32.

    Args:
        restype: Residue types of one unbroken chain.
        frames: Backbone frames, shape (token,), angstrom.
        torsions: (sin, cos) of N-CA-C-O and chi1 to chi4.
        steps: Of Adam.
        report: Called now and then with the fraction done.

    Returns:
        Atoms after the last step.
    """
    builder = AtomBuilder().to(restype.device)
    present = torch.from_numpy(rigid_group_tables().atom14_mask).to(restype.device)[restype]
    with torch.enable_grad():
        update = torch.zeros(len(restype), 6, device=restype.device, requires_grad=True)
        angles = torsions.detach().clone().requires_grad_(True)
        optimiser = torch.optim.Adam([update, angles], lr=LEARNING_RATE, betas=(0.9, 0.98))
        start = Rigid(frames.rotation.detach().float(), frames.translation.detach().float())
        contacts = None
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * min(1.0, 2 * (1 - step / steps))
            atoms = _build(builder, restype, start, update, angles)
            if contacts is None or step % CONTACTS_EVERY == 0:
                report(step / steps)
                contacts = _contacts(atoms.detach(), present, restype)
            energy = (
                _peptide_energy(restype, atoms)
                + _overlap_energy(atoms, *contacts)
                + 0.1 * update[:, 3:].square().sum()
                + 0.2 * update[:, :3].square().sum()
                + 0.05 * (angles - torsions.detach()).square().sum()
            )
            optimiser.zero_grad()
            energy.backward()
            optimiser.step()
        with torch.no_grad():
            atoms = _build(builder, restype, start, update, angles)
            moved = (atoms[:, _CA] - start.translation).square().sum(-1).mean().sqrt().item()
    return RefinedStructure(atoms.detach(), moved)


def _build(
    builder: AtomBuilder,
    restype: Int[Tensor, "token"],
    start: Rigid,
    update: Float[Tensor, "token 6"],
    angles: Float[Tensor, "token 5 2"],
) -> Float[Tensor, "token 14 3"]:
    moved = start.compose(Rigid.from_update(update))
    unit = angles / (angles.square().sum(-1, keepdim=True) + 1e-8).sqrt()
    batched = Rigid(moved.rotation[None], moved.translation[None])
    atoms: Tensor = builder(restype[None], batched, unit[None])[0]
    return atoms


def _peptide_energy(
    restype: Int[Tensor, "token"], atoms: Float[Tensor, "token 14 3"]
) -> Float[Tensor, ""]:
    ca, c, o = atoms[:-1, _CA], atoms[:-1, _C], atoms[:-1, _O]
    next_n, next_ca = atoms[1:, _N], atoms[1:, _CA]
    length = (_norm(next_n - c) - PEPTIDE_BOND_ANGSTROM).square().sum()
    at_c = (_cosine(ca - c, next_n - c) - _TWO_ANGLE[0]).square().sum()
    at_n = (_cosine(c - next_n, next_ca - next_n) - _TWO_ANGLE[1]).square().sum()
    # O lies in the plane of CA, C and the next N, on the other side of C.
    carbonyl = _unit(o - c) + _unit(_unit(ca - c) + _unit(next_n - c))
    along = next_n - c
    cosine_omega = _cosine(
        torch.linalg.cross(c - ca, along), torch.linalg.cross(along, next_ca - next_n)
    )
    # Before proline a cis bond is common and stays; elsewhere the bond is trans (omega 180).
    before_proline = restype[1:] == RESTYPE_INDEX["P"]
    planar = torch.where(before_proline, 1 - cosine_omega.square(), 1 + cosine_omega)
    proline = restype == RESTYPE_INDEX["P"]
    ring = _norm(atoms[proline, _CD_OF_PROLINE] - atoms[proline, _N]) - PROLINE_RING_ANGSTROM
    return (
        100 * length
        + 20 * (at_c + at_n)
        + 5 * carbonyl.square().sum()
        + 2 * planar.sum()
        + 100 * ring.square().sum()
    )


def _contacts(
    atoms: Float[Tensor, "token 14 3"],
    present: Bool[Tensor, "token 14"],
    restype: Int[Tensor, "token"],
) -> tuple[Int[Tensor, "2 pair"], Float[Tensor, "pair"]]:
    """Find atom pairs of different residues that are near, and the least distance each may have."""
    names = rigid_group_tables().atom14_names
    radii = torch.tensor(
        [[VAN_DER_WAALS_RADIUS_ANGSTROM.get(name[:1], 0.0) for name in row] for row in names]
    ).to(atoms.device)[restype]
    flat = atoms.flatten(0, 1)
    where = torch.nonzero(present.flatten()).flatten()
    positions = flat[where]
    near = torch.cdist(positions, positions) < CONTACT_RADIUS_ANGSTROM
    token, column = where // 14, where % 14
    apart = token[:, None] < token[None, :]
    neighbours = token[:, None] + 1 == token[None, :]
    backbone = (column < 4)[:, None] & (column < 4)[None, :]
    pairs = torch.nonzero(near & apart & ~(neighbours & backbone))
    first, second = where[pairs[:, 0]], where[pairs[:, 1]]
    flat_radii = radii.flatten()
    least = flat_radii[first] + flat_radii[second] - OVERLAP_TOLERANCE_ANGSTROM
    sulphur = (flat_radii[first] == 1.80) & (flat_radii[second] == 1.80)
    # Two cysteines may form a bond of 2.05 angstrom.
    return torch.stack([first, second]), torch.where(sulphur, 2.05, least)


def _overlap_energy(
    atoms: Float[Tensor, "token 14 3"],
    pairs: Int[Tensor, "2 pair"],
    least: Float[Tensor, "pair"],
) -> Float[Tensor, ""]:
    flat = atoms.flatten(0, 1)
    distance = _norm(flat[pairs[0]] - flat[pairs[1]])
    return OVERLAP_WEIGHT * (least - distance).clamp_min(0).square().sum()


def _norm(vector: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape"]:
    return (vector.square().sum(-1) + 1e-8).sqrt()


def _unit(vector: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape 3"]:
    return vector / _norm(vector)[..., None]


def _cosine(a: Float[Tensor, "*shape 3"], b: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape"]:
    return (a * b).sum(-1) / (_norm(a) * _norm(b))
