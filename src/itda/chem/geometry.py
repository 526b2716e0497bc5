"""Rigid groups of the standard residues: which atom moves with which torsion, and where it sits.

Each residue has five rigid groups: the backbone (N, CA, C, CB), the carbonyl O, which turns about
CA-C, and up to four side-chain groups, one a chi angle (AlphaFold 2 SI, table 2 and algorithm 24).
The frame of the backbone has CA at the origin, C on +x and N in the upper half of the xy plane. The
frame of a torsion a-b-c-d has c at the origin, the axis b->c along +x, and d in the upper half of
the xy plane; at a torsion of zero a lies in that half plane too.

Positions are medians over experimental chains, derived by `scripts/derive_ideal_geometry.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.residues import ATOM14, ATOM37_INDEX, CHI_ATOMS, CHI_PERIOD_PI, RESTYPE_1_TO_3

GROUP_COUNT = 6
"""Backbone, carbonyl oxygen, chi1 to chi4."""

TORSION_COUNT = GROUP_COUNT - 1
"""N-CA-C-O, chi1 to chi4: the torsions that place all heavy atoms on a backbone frame."""

PEPTIDE_BOND_ANGSTROM = 1.329
"""C-N length of a trans peptide bond (Engh and Huber 1991)."""

CA_C_N_DEGREES = 116.2
C_N_CA_DEGREES = 121.7
"""Angles at the peptide bond (Engh and Huber 1991)."""

_BACKBONE_ATOMS = ("N", "CA", "C", "CB")


def torsion_atoms(residue_name: str, group: int) -> tuple[str, str, str, str] | None:
    """Give the four atoms of the torsion that turns a group, or None without such a group."""
    if group == 1:
        return ("N", "CA", "C", "O")
    chis = CHI_ATOMS[residue_name]
    return chis[group - 2] if 2 <= group < 2 + len(chis) else None


def group_axes(residue_name: str, group: int) -> tuple[str, str, str] | None:
    """Give the atoms (origin, on the x axis, in the plane) that define a group's frame."""
    if group == 0:
        return ("CA", "C", "N")
    atoms = torsion_atoms(residue_name, group)
    return None if atoms is None else (atoms[2], atoms[1], atoms[3])


def group_of_atom(residue_name: str, atom_name: str) -> int:
    """Give the rigid group that an atom belongs to.

    >>> group_of_atom("LEU", "CD2")
    3
    """
    if atom_name in _BACKBONE_ATOMS:
        return 0
    if atom_name == "O":
        return 1
    chis = CHI_ATOMS[residue_name]
    for index, chi in enumerate(chis):
        if atom_name == chi[3]:
            return index + 2
    # A branch turns with the chi that places its sister; CG2 of ILE, VAL and THR sits on CB.
    return 2 if atom_name == "CG2" else len(chis) + 1


@dataclass(frozen=True)
class RigidGroupTables:
    """Arrays over the 21 residue types (20 and X), for building atoms from frames and torsions.

    Attributes:
        atom14_names: Names of each residue's atoms; shape (21, 14), '' where there is none.
        atom14_mask: True where the residue has that atom.
        atom14_group: Rigid group of each atom.
        atom14_position: Position in its group's frame, angstrom.
        atom14_to_atom37: Column of each atom in atom37 order, 0 where masked.
        default_rotation: Rotation from a group's frame at torsion zero to its parent's frame.
        default_translation: Translation likewise, angstrom.
        torsion_mask: True where the residue has that torsion.
        torsion_period_pi: True where a half turn gives the same molecule.
        torsion_atom14: Atoms of each torsion, as atom14 columns.
        group_parents: Group in whose frame each group after the backbone stands.
    """

    atom14_names: tuple[tuple[str, ...], ...]
    atom14_mask: Bool[np.ndarray, "21 14"]
    atom14_group: Int[np.ndarray, "21 14"]
    atom14_position: Float[np.ndarray, "21 14 3"]
    atom14_to_atom37: Int[np.ndarray, "21 14"]
    default_rotation: Float[np.ndarray, "21 6 3 3"]
    default_translation: Float[np.ndarray, "21 6 3"]
    torsion_mask: Bool[np.ndarray, "21 5"]
    torsion_period_pi: Bool[np.ndarray, "21 5"]
    torsion_atom14: Int[np.ndarray, "21 5 4"]
    group_parents: tuple[int, ...] = (0, 0, 2, 3, 4)


@lru_cache(maxsize=1)
def ideal_positions() -> dict[str, dict[str, list[float]]]:
    """Read median atom positions: {residue: {atom: [x, y, z]}}, angstrom in the group's frame."""
    text = resources.files("itda.chem").joinpath("ideal_geometry.json").read_text("utf-8")
    positions: dict[str, dict[str, list[float]]] = json.loads(text)["positions"]
    positions["UNK"] = {atom: positions["ALA"][atom] for atom in ("N", "CA", "C", "O", "CB")}
    return positions


def torsion_frame(
    a: Float[np.ndarray, "3"], b: Float[np.ndarray, "3"], c: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Give the frame (axes in columns, origin) of the torsion about b->c at angle zero."""
    return frame_axes(c - b, a - b), c


def frame_axes(
    on_x: Float[np.ndarray, "3"], in_plane: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3 3"]:
    """Give the axes, in columns, of a frame: one vector on +x, one in the upper half of xy."""
    x = on_x / np.linalg.norm(on_x)
    y = in_plane - np.dot(in_plane, x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


@lru_cache(maxsize=1)
def rigid_group_tables() -> RigidGroupTables:
    """Build the tables once from the ideal positions."""
    names = list(RESTYPE_1_TO_3.values())
    count = len(names)
    mask = np.zeros((count, 14), bool)
    group = np.zeros((count, 14), np.int64)
    position = np.zeros((count, 14, 3), np.float32)
    to_atom37 = np.zeros((count, 14), np.int64)
    rotation = np.tile(np.eye(3, dtype=np.float32), (count, GROUP_COUNT, 1, 1))
    translation = np.zeros((count, GROUP_COUNT, 3), np.float32)
    torsion_mask = np.zeros((count, TORSION_COUNT), bool)
    period_pi = np.zeros((count, TORSION_COUNT), bool)
    torsion_atom14 = np.zeros((count, TORSION_COUNT, 4), np.int64)
    ideal = ideal_positions()
    for row, name in enumerate(names):
        atoms = ATOM14[name]
        for column, atom in enumerate(atoms):
            mask[row, column] = True
            group[row, column] = group_of_atom(name, atom)
            position[row, column] = ideal[name][atom]
            to_atom37[row, column] = ATOM37_INDEX[atom]
        for index in range(1, GROUP_COUNT):
            torsion = torsion_atoms(name, index)
            if torsion is None:
                continue
            torsion_mask[row, index - 1] = True
            period_pi[row, index - 1] = (name, index - 1) in CHI_PERIOD_PI
            torsion_atom14[row, index - 1] = [atoms.index(atom) for atom in torsion]
            parent = index - 1 if index > 2 else 0
            a, b, c = (_in_frame(name, atom, parent) for atom in torsion[:3])
            rotation[row, index], translation[row, index] = torsion_frame(a, b, c)
    return RigidGroupTables(
        tuple(ATOM14[name] + ("",) * (14 - len(ATOM14[name])) for name in names),
        mask,
        group,
        position,
        to_atom37,
        rotation,
        translation,
        torsion_mask,
        period_pi,
        torsion_atom14,
    )


def _in_frame(name: str, atom: str, group: int) -> Float[np.ndarray, "3"]:
    """Give an atom's position in the frame of its own group or of that which it is the axis of."""
    if group_of_atom(name, atom) == group:
        return np.array(ideal_positions()[name][atom], dtype=float)
    torsion = torsion_atoms(name, group)
    assert torsion is not None
    if atom == torsion[2]:
        return np.zeros(3)
    assert atom == torsion[1], (name, atom, group)
    parent = group - 1 if group > 2 else 0
    axis = _in_frame(name, torsion[2], parent) - _in_frame(name, atom, parent)
    return np.array([-np.linalg.norm(axis), 0.0, 0.0])
