"""The energy of refinement as one writes it down, with gradients by PyTorch."""

import math

import torch

from itda.chem.geometry import (
    C_N_CA_DEGREES,
    CA_C_N_DEGREES,
    PEPTIDE_BOND_ANGSTROM,
)
from itda.chem.residues import RESTYPE_INDEX
from itda.models.mini.geometry.energy import OVERLAP_WEIGHT, PROLINE_RING_ANGSTROM
from itda.nn.structure.rigid import Rigid

_C, _N, _CA, _O, _CD_OF_PROLINE = 2, 0, 1, 3, 6
_TWO_ANGLE = tuple(math.cos(math.radians(angle)) for angle in (CA_C_N_DEGREES, C_N_CA_DEGREES))


def build(
    builder,
    restype,
    start,
    update,
    angles,
):
    moved = start.compose(Rigid.from_update(update))
    unit = angles / (angles.square().sum(-1, keepdim=True) + 1e-8).sqrt()
    batched = Rigid(moved.rotation[None], moved.translation[None])
    atoms = builder(restype[None], batched, unit[None])[0]
    return atoms


def peptide_energy(restype, atoms):
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


def _norm(vector):
    return (vector.square().sum(-1) + 1e-8).sqrt()


def _unit(vector):
    return vector / _norm(vector)[..., None]


def _cosine(a, b):
    return (a * b).sum(-1) / (_norm(a) * _norm(b))


def overlap_energy(atoms, least_angstrom):
    """Over all pairs of different residues but bonded ones; `least_angstrom` by flat atom."""
    flat = atoms.flatten(0, 1)
    first, second, least = least_angstrom
    distance = _norm(flat[first] - flat[second])
    return OVERLAP_WEIGHT * (least - distance).clamp_min(0).square().sum()
