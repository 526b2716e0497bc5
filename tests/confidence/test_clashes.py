import numpy as np
from biotite.structure import AtomArray

from itda.confidence.clashes import Clash, find_clashes
from itda.structure.residues import Residues


def named(residues: Residues) -> tuple[Clash, ...]:
    found = find_clashes(residues)
    assert found.count == len(found.worst)
    return found.worst


def atoms_at(rows: list[tuple[int, str, str, tuple[float, float, float]]]) -> Residues:
    atoms = AtomArray(len(rows))
    atoms.chain_id[:] = "A"
    atoms.res_id = np.array([row[0] for row in rows])
    atoms.res_name = np.array([row[1] for row in rows])
    atoms.atom_name = np.array([row[2] for row in rows])
    atoms.element = np.array([row[2][0] for row in rows])
    atoms.coord = np.array([row[3] for row in rows], dtype=np.float32)
    return Residues.from_atoms(atoms)


def pair(first: str, second: str, distance: float, name: str = "GLY") -> Residues:
    return atoms_at([(1, name, first, (0.0, 0, 0)), (5, name, second, (distance, 0, 0))])


def test_overlap_is_judged_by_the_radii() -> None:
    # Carbon and carbon: 3.4 angstrom, less 0.4.
    assert named(pair("CA", "CA", 3.05)) == ()
    (clash,) = named(pair("CA", "CA", 2.95))
    assert (clash.first, clash.second) == ("A:1 GLY CA", "A:5 GLY CA")
    assert clash.distance_angstrom == 2.95
    assert clash.overlap_angstrom == 0.45


def test_a_hydrogen_bond_is_no_clash() -> None:
    assert named(pair("N", "O", 2.7)) == ()
    assert named(pair("O", "O", 2.5)) == ()
    assert len(named(pair("N", "O", 2.2))) == 1
    assert len(named(pair("C", "O", 2.7))) == 1


def test_a_disulfide_bond_is_no_clash_and_a_collision_is() -> None:
    assert named(pair("SG", "SG", 2.04, name="CYS")) == ()
    assert len(named(pair("SG", "SG", 2.8, name="CYS"))) == 1
    assert len(named(pair("SG", "SG", 1.0, name="CYS"))) == 1
    assert len(named(pair("SG", "SG", 2.04, name="MET"))) == 1


def test_bonded_neighbours_are_left_out(ubiquitin: AtomArray) -> None:
    whole = named(Residues.from_atoms(ubiquitin))
    torn = ubiquitin.copy()
    torn.chain_id[torn.res_id > 40] = "B"
    assert len(whole) <= 2
    first = named(Residues.from_atoms(torn))[0]
    assert (first.first, first.second) == ("A:40 GLN C", "B:41 GLN N")


def test_a_closed_ring_is_bonded() -> None:
    ring = [
        (number, "GLY", atom, (3.0 * np.cos(angle), 3.0 * np.sin(angle), 0.0))
        for number in range(1, 5)
        for atom, angle in (
            ("N", np.radians(90 * number)),
            ("CA", np.radians(90 * number + 30)),
            ("C", np.radians(90 * number + 60)),
        )
    ]
    assert not any("1 GLY" in one.first and "4 GLY" in one.second for one in named(atoms_at(ring)))


def test_the_worst_come_first_and_only_some_are_named(ubiquitin: AtomArray) -> None:
    atoms = ubiquitin.copy()
    noise = np.random.default_rng(0).normal(size=atoms.coord.shape)
    atoms.coord += noise.astype(np.float32)
    found = find_clashes(Residues.from_atoms(atoms), most_named=10_000)
    overlaps = [one.overlap_angstrom for one in found.worst]
    assert found.count == len(overlaps) > 100
    assert overlaps == sorted(overlaps, reverse=True)
    few = find_clashes(Residues.from_atoms(atoms), most_named=7)
    assert few.count == found.count
    assert few.worst == found.worst[:7]


def test_no_atom_gives_no_clash(ubiquitin: AtomArray) -> None:
    assert named(Residues.from_atoms(ubiquitin[:0])) == ()
