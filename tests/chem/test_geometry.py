import itertools

import biotite.structure.info as info
import numpy as np
import pytest

from itda.chem.geometry import group_of_atom, ideal_positions, rigid_group_tables, torsion_atoms
from itda.chem.residues import (
    ATOM14,
    ATOM37,
    CHI_ATOMS,
    RESTYPE_1_TO_3,
    RESTYPES,
    sequence_to_indices,
)

NAMES = [RESTYPE_1_TO_3[letter] for letter in RESTYPES]


@pytest.mark.parametrize("name", NAMES)
def test_atoms_are_those_of_the_chemical_component_dictionary(name):
    component = info.residue(name)
    heavy = set(component.atom_name[component.element != "H"]) - {"OXT"}
    assert set(ATOM14[name]) == heavy


@pytest.mark.parametrize("name", NAMES)
def test_torsions_run_along_bonds(name):
    component = info.residue(name)
    bonds = {
        frozenset(component.atom_name[[i, j]].tolist()) for i, j, _ in component.bonds.as_array()
    }
    for chi in CHI_ATOMS[name]:
        for a, b in itertools.pairwise(chi):
            assert frozenset((a, b)) in bonds


# The dictionary holds the neutral acid and a localised guanidinium; proteins have carboxylates and
# a delocalised one (Engh and Huber 1991).
CHARGED_BONDS_ANGSTROM = {
    ("ASP", "CG", "OD2"): 1.249,
    ("GLU", "CD", "OE2"): 1.249,
    ("ARG", "NE", "CZ"): 1.329,
    ("ARG", "CZ", "NH1"): 1.326,
    ("ARG", "CZ", "NH2"): 1.326,
}


def place_at_zero(name):
    """All atoms with every torsion at zero, through the tables alone."""
    tables, row = rigid_group_tables(), list(RESTYPE_1_TO_3.values()).index(name)
    frames = {0: (np.eye(3), np.zeros(3))}
    for group in range(1, 6):
        if torsion_atoms(name, group) is None:
            continue
        parent = group - 1 if group > 2 else 0
        rotation, translation = frames[parent]
        frames[group] = (
            rotation @ tables.default_rotation[row, group],
            rotation @ tables.default_translation[row, group] + translation,
        )
    xyz = {}
    for column, atom in enumerate(ATOM14[name]):
        rotation, translation = frames[int(tables.atom14_group[row, column])]
        xyz[atom] = rotation @ tables.atom14_position[row, column] + translation
    return xyz


@pytest.mark.parametrize("name", NAMES)
def test_bond_lengths_agree_with_the_dictionary(name):
    component = info.residue(name)
    built = place_at_zero(name)
    by_name = {atom.atom_name: atom.coord for atom in component}
    checked = 0
    for i, j, _ in component.bonds.as_array():
        a, b = component.atom_name[i], component.atom_name[j]
        if a not in built or b not in built or (name == "PRO" and {a, b} == {"N", "CD"}):
            continue
        length = np.linalg.norm(built[a] - built[b])
        in_dictionary = np.linalg.norm(by_name[a] - by_name[b])
        expected = CHARGED_BONDS_ANGSTROM.get((name, a, b), in_dictionary)
        assert abs(length - expected) < 0.05, (a, b)
        checked += 1
    assert checked >= len(ATOM14[name]) - 1 - (name == "PRO") * 1


@pytest.mark.parametrize("name", [n for n in NAMES if n != "GLY"])
def test_every_residue_is_l(name):
    xyz = {atom: np.array(place) for atom, place in place_at_zero(name).items()}
    triple = np.dot(np.cross(xyz["N"] - xyz["CA"], xyz["C"] - xyz["CA"]), xyz["CB"] - xyz["CA"])
    assert triple > 0


@pytest.mark.parametrize("name", NAMES)
def test_torsion_zero_is_cis(name):
    xyz = place_at_zero(name)
    for group in range(1, 6):
        atoms = torsion_atoms(name, group)
        if atoms is None:
            continue
        a, b, c, d = (xyz[atom] for atom in atoms)
        axis = (c - b) / np.linalg.norm(c - b)
        before = (a - b) - np.dot(a - b, axis) * axis
        after = (d - c) - np.dot(d - c, axis) * axis
        cosine = np.dot(before, after) / np.linalg.norm(before) / np.linalg.norm(after)
        assert cosine > 0.999, atoms


def test_unknown_letters_become_x():
    assert sequence_to_indices("AVX?") == [0, 19, 20, 20]
    assert len(ATOM37) == 37


def test_positions_cover_all_atoms():
    for name in NAMES:
        assert set(ideal_positions()[name]) == set(ATOM14[name])
        assert group_of_atom(name, "CA") == 0
