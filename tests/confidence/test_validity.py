"""Each fault is put into a good structure, and must be found where it was put."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.confidence.validity import MOST_NAMED, check_validity

Make = Callable[..., AtomArray]

RING_RESIDUES = ("PRO", "HIS", "PHE", "TYR")


def select(atoms: AtomArray, number: int, *names: str) -> np.ndarray:
    return (atoms.res_id == number) & np.isin(atoms.atom_name, names)


def at(atoms: AtomArray, number: int, name: str) -> np.ndarray:
    return atoms.coord[select(atoms, number, name)][0].astype(float)


def mirror_side_chain(
    atoms: AtomArray, number: int, *, about: tuple[str, str, str], keep: tuple[str, ...]
) -> None:
    """Reflect all but some atoms of a residue in the plane of three."""
    origin, one, other = (at(atoms, number, name) for name in about)
    normal = np.cross(one - origin, other - origin)
    normal /= np.linalg.norm(normal)
    rows = (atoms.res_id == number) & ~np.isin(atoms.atom_name, keep)
    height = (atoms.coord[rows] - origin) @ normal
    atoms.coord[rows] -= (2 * height[:, np.newaxis] * normal).astype(np.float32)


def test_an_ideal_peptide_has_no_fault(make_peptide: Make) -> None:
    found = check_validity(make_peptide(12))
    assert found.residue_count == 12
    assert found.atom_count == 60
    assert found.bonds.count == 12 * 4 + 11
    assert found.bonds.within_tolerance == 1.0
    assert found.bonds.rms_deviation < 1e-3
    assert found.angles.within_tolerance == 1.0
    assert found.angles.rms_deviation < 1.0
    assert found.peptide_bonds.trans == 11
    assert found.clashes == ()
    for empty in (
        found.d_residues,
        found.flat_centres,
        found.chain_breaks,
        found.not_finite,
        found.skipped,
    ):
        assert empty == ()


def test_a_real_structure_is_almost_without_fault(with_water: AtomArray) -> None:
    found = check_validity(with_water)
    assert found.residue_count == 76
    rings = np.isin(with_water.res_name[with_water.atom_name == "CA"], RING_RESIDUES).sum()
    assert found.bonds.count == (found.atom_count - 1) - 76 + rings + 75
    # Refined in 1987, with looser restraints than today's.
    assert found.bonds.within_tolerance > 0.97
    assert found.angles.within_tolerance > 0.97
    assert found.d_residues == found.wrong_side_chain_chirality == ()
    assert found.peptide_bonds.trans == 75
    assert found.clash_score < 5
    assert found.chain_breaks == ()
    assert found.skipped == ("58 HOH",)


def test_a_long_bond_is_found(ubiquitin: AtomArray) -> None:
    before = check_validity(ubiquitin).bonds
    rows = select(ubiquitin, 59, "OH")
    away = at(ubiquitin, 59, "OH") - at(ubiquitin, 59, "CZ")
    ubiquitin.coord[rows] += (0.2 * away / np.linalg.norm(away)).astype(np.float32)
    after = check_validity(ubiquitin).bonds
    assert (after.outliers[0].residue, after.outliers[0].atoms) == ("A:59 TYR", "CZ-OH")
    assert after.outliers[0].value - after.outliers[0].ideal == pytest.approx(0.2, abs=0.05)
    assert after.outlier_count == before.outlier_count + 1 == len(after.outliers)
    assert after.within_tolerance < before.within_tolerance


def test_a_stretched_peptide_bond_is_found(make_peptide: Make) -> None:
    atoms = make_peptide(6)
    atoms.coord[atoms.res_id > 3] += np.float32(0.15)
    found = check_validity(atoms)
    assert (found.bonds.outliers[0].residue, found.bonds.outliers[0].atoms) == ("A:3 ALA", "C-N")
    assert found.chain_breaks == ()


def test_a_bent_angle_is_found(make_peptide: Make) -> None:
    atoms = make_peptide(6)
    rows = select(atoms, 3, "O")
    axis = at(atoms, 3, "O") - at(atoms, 3, "C")
    aside = at(atoms, 3, "CA") - at(atoms, 3, "C")
    aside -= aside @ axis / (axis @ axis) * axis
    turned = np.cos(0.3) * axis + np.sin(0.3) * aside * np.linalg.norm(axis) / np.linalg.norm(aside)
    atoms.coord[rows] = (at(atoms, 3, "C") + turned).astype(np.float32)
    found = check_validity(atoms)
    assert {(one.residue, one.atoms) for one in found.angles.outliers} == {
        ("A:3 ALA", "CA-C-O"),
        ("A:3 ALA", "O-C-N"),
    }
    assert found.bonds.within_tolerance == 1.0


def test_a_d_residue_is_found(ubiquitin: AtomArray) -> None:
    mirror_side_chain(ubiquitin, 30, about=("CA", "N", "C"), keep=("N", "CA", "C", "O"))
    found = check_validity(ubiquitin)
    assert found.d_residues == ("A:30 ILE",)


def test_a_mirror_image_is_d_throughout(ubiquitin: AtomArray) -> None:
    ubiquitin.coord *= np.array([1, 1, -1], dtype=np.float32)
    found = check_validity(ubiquitin)
    glycines = int((ubiquitin.res_name[ubiquitin.atom_name == "CA"] == "GLY").sum())
    assert len(found.d_residues) == 76 - glycines
    names = ubiquitin.res_name[ubiquitin.atom_name == "CA"]
    assert len(found.wrong_side_chain_chirality) == int(np.isin(names, ("ILE", "THR")).sum())
    # Lengths and angles do not tell left from right.
    assert found.bonds.within_tolerance > 0.97


def test_d_peptides_are_told_from_l(make_peptide: Make) -> None:
    assert check_validity(make_peptide(5, handedness=-1.0)).d_residues == ()
    assert len(check_validity(make_peptide(5, handedness=1.0)).d_residues) == 5


@pytest.mark.parametrize(
    ("number", "name", "moved"), [(7, "THR", ("OG1", "CG2")), (3, "ILE", ("CG1", "CG2", "CD1"))]
)
def test_a_wrong_side_chain_centre_is_found(
    number: int, name: str, moved: tuple[str, ...], ubiquitin: AtomArray
) -> None:
    first, second = moved[0], moved[1]
    rows = [np.flatnonzero(select(ubiquitin, number, one))[0] for one in (first, second)]
    ubiquitin.coord[rows] = ubiquitin.coord[rows[::-1]]
    found = check_validity(ubiquitin)
    assert found.wrong_side_chain_chirality == (f"A:{number} {name}",)
    assert found.d_residues == ()


def test_a_flat_centre_is_found(make_peptide: Make) -> None:
    atoms = make_peptide(5)
    rows = select(atoms, 3, "CB")
    normal = np.cross(
        at(atoms, 3, "N") - at(atoms, 3, "CA"), at(atoms, 3, "C") - at(atoms, 3, "CA")
    )
    normal /= np.linalg.norm(normal)
    height = (at(atoms, 3, "CB") - at(atoms, 3, "CA")) @ normal
    atoms.coord[rows] -= (0.8 * height * normal).astype(np.float32)
    assert check_validity(atoms).flat_centres == ("A:3 ALA",)


def test_a_missing_atom_leaves_chirality_unchecked(make_peptide: Make) -> None:
    atoms = make_peptide(5)
    found = check_validity(atoms[~select(atoms, 2, "CB")])
    assert found.chirality_unchecked == ("A:2 ALA",)
    assert check_validity(make_peptide(5, name="GLY")).chirality_unchecked == ()


def test_cis_and_twisted_peptide_bonds_are_told_apart(make_peptide: Make) -> None:
    atoms = make_peptide(8, omega={3: 5.0, 5: 90.0, 6: -175.0})
    found = check_validity(atoms).peptide_bonds
    assert found.cis_other == ("A:3 ALA",)
    assert found.twisted == ("A:5 ALA",)
    assert found.trans == 5
    atoms.res_name[atoms.res_id == 4] = "PRO"
    found = check_validity(atoms).peptide_bonds
    assert (found.cis_proline, found.cis_other) == (("A:3 ALA",), ())


def test_a_clash_is_found(ubiquitin: AtomArray) -> None:
    before = check_validity(ubiquitin)
    rows = select(ubiquitin, 48, "NZ")
    ubiquitin.coord[rows] = ubiquitin.coord[select(ubiquitin, 5, "CG1")] + np.float32(0.3)
    after = check_validity(ubiquitin)
    assert {after.clashes[0].first, after.clashes[0].second} == {"A:5 VAL CG1", "A:48 LYS NZ"}
    assert after.clash_count == len(after.clashes) > before.clash_count
    assert after.clash_score == pytest.approx(1000 * after.clash_count / 602, abs=1e-3)
    assert after.clash_score > before.clash_score


def test_chain_breaks_are_found_and_told_from_gaps(ubiquitin: AtomArray) -> None:
    torn = ubiquitin.copy()
    torn.coord[torn.res_id > 40] += np.float32(10)
    found = check_validity(torn)
    (broken,) = found.chain_breaks
    assert (broken.before, broken.after) == ("A:40 GLN", "A:41 GLN")
    assert broken.numbers_continue
    assert broken.distance_angstrom is not None and broken.distance_angstrom > 10
    # A torn bond is a bad bond: tearing must not improve the figures.
    assert found.bonds.count == check_validity(ubiquitin).bonds.count
    assert (found.bonds.outliers[0].residue, found.bonds.outliers[0].atoms) == ("A:40 GLN", "C-N")

    gapped = check_validity(ubiquitin[(ubiquitin.res_id < 20) | (ubiquitin.res_id > 27)])
    (gap,) = gapped.chain_breaks
    assert (gap.before, gap.after, gap.numbers_continue) == ("A:19 PRO", "A:28 ALA", False)
    assert not any(one.atoms == "C-N" and one.value > 2 for one in gapped.bonds.outliers)


def test_two_chains_are_not_a_break(ubiquitin: AtomArray) -> None:
    second = ubiquitin.copy()
    second.chain_id[:] = "B"
    second.coord += np.float32(50)
    found = check_validity(ubiquitin + second)
    assert found.residue_count == 152
    assert found.chain_breaks == ()
    assert found.peptide_bonds.trans == 150


def test_a_modified_residue_joins_its_neighbours(ubiquitin: AtomArray) -> None:
    changed = ubiquitin.copy()
    changed.res_name[changed.res_id == 1] = "MSE"
    changed.res_name[changed.res_id == 30] = "MSE"
    changed.hetero[np.isin(changed.res_id, (1, 30))] = True
    found = check_validity(changed)
    assert found.residue_count == 74
    assert found.skipped == ("2 MSE",)
    assert found.chain_breaks == ()
    assert found.peptide_bonds.trans == 75


def test_coordinates_that_are_no_numbers_are_named(ubiquitin: AtomArray) -> None:
    ubiquitin.coord[select(ubiquitin, 10, "CB", "CA")] = np.nan
    found = check_validity(ubiquitin)
    assert found.not_finite == ("A:10 GLY",)
    json.dumps(found.to_dict(), allow_nan=False)
    ubiquitin.coord[select(ubiquitin, 20, "C")] = np.inf
    found = check_validity(ubiquitin)
    assert found.not_finite == ("A:10 GLY", "A:20 SER")
    assert [one.before for one in found.chain_breaks] == ["A:20 SER"]
    assert found.chain_breaks[0].distance_angstrom is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_atoms_on_one_point_are_reported_not_fatal(ubiquitin: AtomArray) -> None:
    ubiquitin.coord[:] = 0.0
    found = check_validity(ubiquitin)
    assert found.bonds.within_tolerance == 0.0
    assert found.clash_count > 100_000
    assert len(found.clashes) == len(found.bonds.outliers) == MOST_NAMED
    assert len(found.flat_centres) > 60
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_structure_without_protein_gives_an_empty_report(with_water: AtomArray) -> None:
    found = check_validity(with_water[with_water.hetero])
    assert (found.residue_count, found.bonds.count, found.clash_score) == (0, 0, 0.0)
    assert found.skipped == ("58 HOH",)


def test_hydrogens_are_ignored(ubiquitin: AtomArray) -> None:
    extra = ubiquitin[:1].copy()
    extra.atom_name[:], extra.element[:] = "H", "H"
    extra.coord += np.float32(0.1)
    found = check_validity(extra + ubiquitin)
    assert found.atom_count == 602
    assert found.to_dict() == check_validity(ubiquitin).to_dict()
