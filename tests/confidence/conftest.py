"""Structures whose geometry is known: ubiquitin, and peptides built from ideal bonds and angles."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.confidence.ideal import PEPTIDE_ANGLES, PEPTIDE_BOND, ideal_angles, ideal_bonds
from itda.structure.files import read_structure


def place(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: float
) -> np.ndarray:
    """Put an atom at a distance from c, an angle with b and a torsion with a (degrees)."""
    angle, torsion = np.radians(angle), np.radians(torsion)
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    away = np.cross(normal, along)
    return c + length * (
        -np.cos(angle) * along
        + np.sin(angle) * np.cos(torsion) * away
        + np.sin(angle) * np.sin(torsion) * normal
    )


def ideal_peptide(
    count: int,
    *,
    name: str = "ALA",
    phi: float = -120.0,
    psi: float = 140.0,
    omega: float | dict[int, float] = 180.0,
    handedness: float = -1.0,
) -> AtomArray:
    """Build a chain of one residue type, backbone and CB, from the ideal values.

    Args:
        count: Residues.
        name: Residue type.
        phi: Degrees.
        psi: Degrees.
        omega: Degrees, or degrees before the residues of these 0-based places.
        handedness: -1 gives L residues, +1 D residues.
    """
    bonds = {bond.atoms: bond.value for bond in ideal_bonds(name)}
    angles = {angle.atoms: angle.value for angle in ideal_angles(name)}
    joint = {angle.atoms: angle.value for angle in PEPTIDE_ANGLES}
    rows: list[tuple[int, str, np.ndarray]] = []
    n, ca = np.zeros(3), np.array([bonds["N", "CA"], 0.0, 0.0])
    bend = np.radians(180 - angles["N", "CA", "C"])
    c = ca + bonds["CA", "C"] * np.array([np.cos(bend), np.sin(bend), 0.0])
    for index in range(count):
        turn = omega.get(index + 1, 180.0) if isinstance(omega, dict) else omega
        next_n = place(n, ca, c, PEPTIDE_BOND.value, joint["CA", "C", "N"], psi)
        o = place(n, ca, c, bonds["C", "O"], angles["CA", "C", "O"], psi + 180)
        rows += [(index, "N", n), (index, "CA", ca), (index, "C", c), (index, "O", o)]
        if name != "GLY":
            torsion = handedness * 122.8
            cb = place(c, n, ca, bonds["CA", "CB"], angles["N", "CA", "CB"], torsion)
            rows.append((index, "CB", cb))
        next_ca = place(ca, c, next_n, bonds["N", "CA"], joint["C", "N", "CA"], turn)
        c = place(c, next_n, next_ca, bonds["CA", "C"], angles["N", "CA", "C"], phi)
        n, ca = next_n, next_ca
    atoms = AtomArray(len(rows))
    atoms.chain_id[:], atoms.res_name[:] = "A", name
    atoms.res_id = np.array([row[0] + 1 for row in rows])
    atoms.atom_name = np.array([row[1] for row in rows])
    atoms.element = np.array([row[1][0] for row in rows])
    atoms.coord = np.array([row[2] for row in rows], dtype=np.float32)
    return atoms


@pytest.fixture(scope="session")
def make_peptide() -> Callable[..., AtomArray]:
    return ideal_peptide


@pytest.fixture(scope="session")
def with_water() -> AtomArray:
    return read_structure(str(files("itda")) + "/data/examples/1ubq.cif")


@pytest.fixture
def ubiquitin(with_water: AtomArray) -> AtomArray:
    return with_water[~with_water.hetero].copy()
