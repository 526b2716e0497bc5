"""Energies of peptide bonds and overlaps with their gradients on atoms."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.geometry import C_N_CA_DEGREES, CA_C_N_DEGREES, PEPTIDE_BOND_ANGSTROM
from itda.chem.residues import ATOM14, RESTYPE_INDEX
from itda.models.mini.geometry.atoms import AtomPlan
from itda.models.mini.geometry.vectors import across, cross, dot, gaps, inverse_length

PROLINE_RING_ANGSTROM = 1.474
"""N-CD length of proline (Engh and Huber 1991)."""
OVERLAP_WEIGHT = 0.1
"""Low: pushing apart the folds of a weak model costs more lDDT than it mends (docs/log.md)."""

_COSINE_AT_C, _COSINE_AT_N = (
    math.cos(math.radians(angle)) for angle in (CA_C_N_DEGREES, C_N_CA_DEGREES)
)


class PeptideEnergy:
    """Lengths, angles and planes of the bonds between residues, and the ring of proline.

    With cosines of angles, so that no angle is undefined: 100 (length - ideal)^2, 20 (cosine -
    ideal)^2 at C and at N, 5 |u + w|^2 where u points from C to O and w lies between the two other
    bonds of C, 2 (1 + cos omega), or 2 (1 - cos^2 omega) before proline, where a cis bond stays,
    and 100 (length - ideal)^2 for N-CD of proline.

    Args:
        plan: Atoms of the residues.
        restype: Types of the residues.
        linked: Whether each residue is bonded to the next; the last is not.
    """

    def __init__(
        self,
        plan: AtomPlan,
        restype: Int[np.ndarray, "token"],
        linked: Bool[np.ndarray, "token"],
    ) -> None:
        self.tokens = plan.tokens
        self.linked = linked[:-1].astype(np.float32)
        self.before_proline = restype[1:] == RESTYPE_INDEX["P"]
        self.oxygen = plan.levels[0].atoms.start
        proline = (restype == RESTYPE_INDEX["P"])[plan.token]
        self.ring_carbon = np.flatnonzero(proline & (plan.column == ATOM14["PRO"].index("CD")))
        self.ring_nitrogen = plan.token[self.ring_carbon]

    def add(
        self, atoms: Float[np.ndarray, "3 atom"], gradient: Float[np.ndarray, "3 atom"]
    ) -> float:
        """Add the gradient by angstrom to `gradient` and return the energy."""
        tokens, oxygen = self.tokens, self.oxygen
        n, ca, c = (atoms[:, place * tokens : (place + 1) * tokens] for place in range(3))
        o = atoms[:, oxygen : oxygen + tokens - 1]
        ahead = n[:, 1:] - c[:, :-1]
        back = ca[:, :-1] - c[:, :-1]
        onward = ca[:, 1:] - n[:, 1:]
        carbonyl = o - c[:, :-1]
        by_ahead, by_back, by_onward, by_carbonyl = (
            inverse_length(vector) for vector in (ahead, back, onward, carbonyl)
        )
        u_ahead, u_back, u_onward, u_carbonyl = (
            ahead * by_ahead, back * by_back, onward * by_onward, carbonyl * by_carbonyl,
        )  # fmt: skip
        too_long = 1 / by_ahead - np.float32(PEPTIDE_BOND_ANGSTROM)
        at_c = dot(u_back, u_ahead) - np.float32(_COSINE_AT_C)
        along = dot(u_ahead, u_onward)
        at_n = -along - np.float32(_COSINE_AT_N)
        between = u_back + u_ahead
        by_between = inverse_length(between)
        u_between = between * by_between
        aligned = dot(u_carbonyl, u_between)
        first, second = cross(ahead, back), cross(ahead, onward)
        by_first, by_second = inverse_length(first), inverse_length(second)
        u_first, u_second = first * by_first, second * by_second
        omega = dot(u_first, u_second)
        planar = np.where(self.before_proline, 1 - omega * omega, 1 + omega)
        energy = np.sum(
            self.linked
            * (100 * too_long**2 + 20 * (at_c**2 + at_n**2) + 10 * (1 + aligned) + 2 * planar)
        )

        by_omega = np.where(self.before_proline, -4 * omega, np.float32(2)) * self.linked
        to_first = by_omega * by_first * (u_second - omega * u_first)
        to_second = by_omega * by_second * (u_first - omega * u_second)
        pull_c, pull_n = 40 * self.linked * at_c, 40 * self.linked * at_n
        pull_o = 10 * self.linked
        to_between = pull_o * by_between * (u_carbonyl - aligned * u_between)
        to_ahead = (
            (200 * self.linked * too_long) * u_ahead
            + by_ahead * across(pull_c * u_back - pull_n * u_onward + to_between, u_ahead)
            + cross(back, to_first)
            + cross(onward, to_second)
        )
        to_back = by_back * across(pull_c * u_ahead + to_between, u_back) + cross(to_first, ahead)
        to_onward = -by_onward * across(pull_n * u_ahead, u_onward) + cross(to_second, ahead)
        to_carbonyl = (pull_o * by_carbonyl) * (u_between - aligned * u_carbonyl)
        to_n, to_ca, to_c = (
            gradient[:, place * tokens : (place + 1) * tokens] for place in range(3)
        )
        to_n[:, 1:] += to_ahead - to_onward
        to_ca[:, :-1] += to_back
        to_ca[:, 1:] += to_onward
        to_c[:, :-1] -= to_ahead + to_back + to_carbonyl
        gradient[:, oxygen : oxygen + tokens - 1] += to_carbonyl
        return float(energy) + self._add_rings(atoms, gradient)

    def _add_rings(
        self, atoms: Float[np.ndarray, "3 atom"], gradient: Float[np.ndarray, "3 atom"]
    ) -> float:
        if not len(self.ring_carbon):
            return 0.0
        bond = atoms[:, self.ring_carbon] - atoms[:, self.ring_nitrogen]
        by_length = inverse_length(bond)
        too_long = 1 / by_length - np.float32(PROLINE_RING_ANGSTROM)
        pull = (200 * too_long * by_length) * bond
        gradient[:, self.ring_carbon] += pull
        gradient[:, self.ring_nitrogen] -= pull
        return float(100 * np.sum(too_long**2))


def add_overlaps(
    atoms: Float[np.ndarray, "3 atom"],
    pairs: Int[np.ndarray, "2 pair"],
    least_angstrom: Float[np.ndarray, "pair"],
    gradient: Float[np.ndarray, "3 atom"],
) -> float:
    """Add the gradient of atoms that are nearer than they may be, and return the energy."""
    apart = gaps(atoms, pairs)
    squared = dot(apart, apart)
    near = np.flatnonzero(squared < least_angstrom**2)
    if not len(near):
        return 0.0
    apart, pairs = apart.take(near, axis=1), pairs.take(near, axis=1)
    least = least_angstrom.take(near)
    distance = np.sqrt(squared.take(near) + np.float32(1e-8))
    missing = np.maximum(least - distance, 0)
    push = (-2 * OVERLAP_WEIGHT * missing / distance) * apart
    both = np.concatenate([push, -push], axis=1)
    places = pairs.ravel()
    for axis in range(3):
        gradient[axis] += np.bincount(places, both[axis], minlength=gradient.shape[1])
    return float(OVERLAP_WEIGHT * np.sum(missing**2))
