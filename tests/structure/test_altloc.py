import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.structure.altloc import resolve_altlocs

Row = tuple[int, str, str, str, float]


def make(rows: list[Row], places: list[float] | None = None) -> tuple[AtomArray, np.ndarray]:
    atoms = AtomArray(len(rows))
    atoms.coord[:] = 0.0
    atoms.coord[:, 0] = places or 0.0
    atoms.chain_id[:] = "A"
    atoms.res_id = np.array([row[0] for row in rows])
    atoms.res_name = np.array([row[1] for row in rows])
    atoms.atom_name = np.array([row[2] for row in rows])
    atoms.set_annotation("occupancy", np.array([row[4] for row in rows]))
    return atoms, np.array([row[3] for row in rows])


def resolve(rows: list[Row], places: list[float] | None = None) -> tuple[list[int], tuple]:
    kept, notes = resolve_altlocs(*make(rows, places))
    return kept.tolist(), notes


def test_without_alternates_all_is_kept() -> None:
    assert resolve([(1, "GLY", "N", "", 1.0), (1, "GLY", "CA", ".", 1.0)]) == ([0, 1], ())


def test_the_choice_is_made_once_a_residue() -> None:
    kept, notes = resolve(
        [
            (1, "SER", "CB", "A", 0.3),
            (1, "SER", "CB", "B", 0.7),
            (1, "SER", "OG", "A", 0.3),
            (1, "SER", "OG", "B", 0.7),
            (2, "SER", "CB", "A", 0.5),
            (2, "SER", "CB", "B", 0.5),
        ]
    )
    assert kept == [1, 3, 4]
    assert len(notes) == 2


def test_more_atoms_do_not_outweigh_a_higher_occupancy() -> None:
    rows: list[Row] = [(1, "LYS", name, "A", 0.4) for name in ("CB", "CG", "CD", "CE")]
    assert resolve([*rows, (1, "LYS", "CB", "B", 0.6)])[0] == [1, 2, 3, 4]


def test_two_residue_types_at_one_place_give_one() -> None:
    kept, notes = resolve(
        [
            (22, "PRO", "CA", "A", 0.4),
            (22, "PRO", "CD", "A", 0.4),
            (22, "SER", "CA", "B", 0.6),
            (22, "SER", "OG", "B", 0.6),
        ]
    )
    assert kept == [2, 3]
    assert "A:22 SER" in notes[0]


def test_a_lone_alternate_is_kept_in_silence() -> None:
    assert resolve([(9, "HOH", "O", "A", 0.5)]) == ([0], ())


@pytest.mark.parametrize(("blank", "kept"), [(0.3, [1, 3, 4]), (0.7, [0, 2, 4]), (0.5, [0, 2, 4])])
def test_atoms_without_a_label_are_a_conformer_where_they_come_again_with_one(
    blank: float, kept: list[int]
) -> None:
    found, notes = resolve(
        [
            (4, "GLN", "CA", "", blank),
            (4, "GLN", "CA", "B", 1 - blank),
            (4, "GLN", "CB", "", blank),
            (4, "GLN", "CB", "B", 1 - blank),
            (4, "GLN", "O", "", 1.0),
        ]
    )
    assert found == kept
    best = "B" if blank < 0.5 else "without a label"
    assert f"A:4 GLN: conformer {best} (occupancy {max(blank, 1 - blank):.2f}) kept" in notes[0]


@pytest.mark.parametrize(("blank", "kept"), [(0.3, [2, 3]), (0.7, [0, 1])])
def test_a_residue_without_a_label_is_a_conformer_beside_another_type(
    blank: float, kept: list[int]
) -> None:
    rows: list[Row] = [(4, "SER", name, "", blank) for name in ("CA", "OG")]
    rows += [(4, "THR", name, "B", 1 - blank) for name in ("CA", "OG1")]
    assert resolve(rows)[0] == kept


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(1.0, 1.0, [0, 2, 1]), (0.2, 0.8, [0, 3, 1])]
)
def test_atoms_that_come_twice_without_a_label_are_conformers(
    first: float, second: float, kept: list[int]
) -> None:
    found, notes = resolve(
        [
            (4, "ARG", "CA", "", 1.0),
            (5, "LYS", "CA", "", 1.0),
            (4, "ARG", "CD", "", first),
            (4, "ARG", "CD", "", second),
        ],
        [0.0, 3.8, 1.5, 1.9],
    )
    assert found == kept
    copy = 1 if first >= second else 2
    assert f"A:4 ARG: conformer without a label (copy {copy})" in notes[0]


def test_conformers_are_put_where_their_residue_is() -> None:
    kept, _ = resolve(
        [
            (1, "SER", "N", "", 1.0),
            (1, "SER", "CA", "A", 0.4),
            (2, "GLY", "N", "", 1.0),
            (1, "SER", "CA", "B", 0.6),
        ]
    )
    assert kept == [0, 3, 2]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_residue_stands_between_its_neighbours(place: int) -> None:
    """Wherever the file has the other conformer: before the chain, within it, behind it."""
    rows: list[Row] = [(number, "GLY", "CA", "", 1.0) for number in (1, 2, 3, 4)]
    rows[1] = (2, "GLY", "CA", "A", 0.4)
    rows.insert(place, (2, "GLY", "CA", "B", 0.6))
    assert [rows[row][0] for row in resolve(rows)[0]] == [1, 2, 3, 4]


def test_what_shares_a_number_far_away_is_no_conformer() -> None:
    """Waters of a large box have one number for many; a chain may come twice."""
    rows: list[Row] = [(1, "ALA", name, "", 1.0) for name in ("N", "CA", "N", "CA", "OXT")]
    assert resolve(rows, [0.0, 1.5, 40.0, 41.5, 43.0]) == ([0, 1, 2, 3, 4], ())
    waters: list[Row] = [(1, "HOH", "O", "", 1.0)] * 3
    assert resolve(waters, [0.0, 2.8, 5.6]) == ([0, 1, 2], ())


def test_a_ligand_with_the_number_of_a_residue_stays() -> None:
    kept, _ = resolve(
        [
            (7, "SER", "CA", "A", 0.4),
            (7, "SER", "CA", "B", 0.6),
            (8, "GLY", "CA", "", 1.0),
            (7, "ZN", "ZN", "", 1.0),
            (7, "HOH", "O", "", 1.0),
        ]
    )
    assert kept == [1, 2, 3, 4]
