"""The rigid groups of AlphaFold 2, on which the published families build their atoms.

Each residue has eight groups: the backbone (N, CA, C, CB), two without heavy atoms of their own
(omega, phi), psi with the carbonyl O, and up to four side-chain groups, one a chi angle (AlphaFold
2 SI, table 2). The positions are AlphaFold 2's, from the literature; `mini` has its own, see
`itda.chem.geometry`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.geometry import frame_axes
from itda.chem.residues import ATOM14, CHI_ATOMS, RESTYPE_1_TO_3

GROUP_COUNT = 8
TORSION_COUNT = 7
"""Omega, phi, psi, chi1 to chi4."""

GROUP_PARENTS = (0, 0, 0, 0, 4, 5, 6)
"""Group in whose frame each group after the backbone stands."""

_PHI, _PSI, _CHI1 = 2, 3, 4


@dataclass(frozen=True)
class AtomPlacement:
    """Arrays over the 21 residue types, for building atoms from frames and torsions.

    X is built as glycine, whose backbone every residue has.

    Attributes:
        atom14_mask: True where the residue has that atom.
        atom14_group: Rigid group of each atom.
        atom14_position: Position in its group's frame, angstrom.
        default_rotation: Rotation from a group's frame at torsion zero to its parent's frame.
        default_translation: Translation likewise, angstrom.
        group_parents: Group in whose frame each group after the backbone stands.
    """

    atom14_mask: Bool[np.ndarray, "21 14"]
    atom14_group: Int[np.ndarray, "21 14"]
    atom14_position: Float[np.ndarray, "21 14 3"]
    default_rotation: Float[np.ndarray, "21 group 3 3"]
    default_translation: Float[np.ndarray, "21 group 3"]
    group_parents: tuple[int, ...]


@lru_cache(maxsize=1)
def literature_placement() -> AtomPlacement:
    """Build the arrays once."""
    text = resources.files("itda.chem").joinpath("literature_geometry.json").read_text("utf-8")
    positions: dict[str, dict[str, list[float]]] = json.loads(text)["positions"]
    names = list(RESTYPE_1_TO_3.values())
    mask = np.zeros((len(names), 14), bool)
    group = np.zeros((len(names), 14), np.int64)
    position = np.zeros((len(names), 14, 3), np.float32)
    rotation = np.tile(np.eye(3, dtype=np.float32), (len(names), GROUP_COUNT, 1, 1))
    translation = np.zeros((len(names), GROUP_COUNT, 3), np.float32)
    for row, name in enumerate(names):
        built_as = "GLY" if name == "UNK" else name
        atoms = positions[built_as]
        for column, atom in enumerate(ATOM14[built_as]):
            mask[row, column] = True
            group[row, column] = int(atoms[atom][0])
            position[row, column] = atoms[atom][1:]
        for index, (axis, plane, origin) in _frames(built_as, atoms).items():
            rotation[row, index] = frame_axes(axis, plane)
            translation[row, index] = origin
    return AtomPlacement(mask, group, position, rotation, translation, GROUP_PARENTS)


def _frames(
    name: str, atoms: dict[str, list[float]]
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give the x axis, a vector in the xy plane, and the origin of each group's default frame."""
    place = {atom: np.array(values[1:]) for atom, values in atoms.items()}
    frames = {
        _PHI: (place["N"] - place["CA"], np.array([1.0, 0.0, 0.0]), place["N"]),
        _PSI: (place["C"] - place["CA"], place["CA"] - place["N"], place["C"]),
    }
    for number, chi in enumerate(CHI_ATOMS[name]):
        first, second, third, _ = (place.get(atom) for atom in chi)
        assert third is not None
        if number == 0:
            assert first is not None and second is not None
            frames[_CHI1] = (third - second, first - second, third)
        else:
            # The parent's x axis ends in its origin, where the second atom is.
            frames[_CHI1 + number] = (third, np.array([-1.0, 0.0, 0.0]), third)
    return frames
