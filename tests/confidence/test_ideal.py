import numpy as np
import pytest

from itda.chem.residues import ATOM14, RESTYPE_3_TO_1
from itda.confidence.ideal import STANDARD_RESIDUES, ideal_angles, ideal_bonds

RINGS = {"PRO": 1, "HIS": 1, "PHE": 1, "TYR": 1, "TRP": 2}


def test_the_twenty_residues_are_there() -> None:
    assert set(RESTYPE_3_TO_1) - {"UNK"} == STANDARD_RESIDUES


@pytest.mark.parametrize("name", sorted(STANDARD_RESIDUES))
def test_bonds_join_all_atoms_and_close_the_rings(name: str) -> None:
    bonds = ideal_bonds(name)
    assert {atom for bond in bonds for atom in bond.atoms} == set(ATOM14[name])
    assert len(bonds) == len(ATOM14[name]) - 1 + RINGS.get(name, 0)
    joined = {"N"}
    for _ in bonds:
        joined |= {atom for bond in bonds if joined & set(bond.atoms) for atom in bond.atoms}
    assert joined == set(ATOM14[name])
    assert all(1.2 < bond.value < 1.9 and 0 < bond.deviation < 0.1 for bond in bonds)


@pytest.mark.parametrize("name", sorted(STANDARD_RESIDUES))
def test_angles_stand_on_bonds(name: str) -> None:
    bonded = {frozenset(bond.atoms) for bond in ideal_bonds(name)}
    for angle in ideal_angles(name):
        first, vertex, last = angle.atoms
        assert {frozenset((first, vertex)), frozenset((vertex, last))} <= bonded
        assert 98 < angle.value < 137
        assert 0.4 < angle.deviation < 4


@pytest.mark.parametrize("name", sorted(STANDARD_RESIDUES))
def test_bonds_agree_with_the_component_dictionary(name: str) -> None:
    from biotite.structure import info

    residue = info.residue(name)
    position = dict(zip(residue.atom_name.tolist(), residue.coord, strict=True))
    expected = {
        frozenset((str(residue.atom_name[one]), str(residue.atom_name[other])))
        for one, other, _ in residue.bonds.as_array()
        if {residue.element[one], residue.element[other]}.isdisjoint({"H"})
    }
    ours = {frozenset(bond.atoms) for bond in ideal_bonds(name)}
    assert ours == {pair for pair in expected if "OXT" not in pair}
    for bond in ideal_bonds(name):
        first, second = (position[atom] for atom in bond.atoms)
        # The dictionary's coordinates come from a force field, and its acids carry a proton.
        tolerance = 0.11 if name in ("ASP", "GLU", "ARG") else 0.06
        assert np.linalg.norm(first - second) == pytest.approx(bond.value, abs=tolerance)
