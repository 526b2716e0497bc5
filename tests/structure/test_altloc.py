import numpy as np
from biotite.structure import AtomArray

from itda.structure.altloc import resolve_altlocs


def make(rows: list[tuple[int, str, str, str, float]]) -> tuple[AtomArray, np.ndarray]:
    atoms = AtomArray(len(rows))
    atoms.chain_id[:] = "A"
    atoms.res_id = np.array([row[0] for row in rows])
    atoms.res_name = np.array([row[1] for row in rows])
    atoms.atom_name = np.array([row[2] for row in rows])
    atoms.set_annotation("occupancy", np.array([row[4] for row in rows]))
    return atoms, np.array([row[3] for row in rows])


def test_without_alternates_all_is_kept() -> None:
    keep, notes = resolve_altlocs(*make([(1, "GLY", "N", "", 1.0), (1, "GLY", "CA", ".", 1.0)]))
    assert keep.all()
    assert notes == ()


def test_the_choice_is_made_once_a_residue() -> None:
    keep, notes = resolve_altlocs(
        *make(
            [
                (1, "SER", "CB", "A", 0.3),
                (1, "SER", "CB", "B", 0.7),
                (1, "SER", "OG", "A", 0.3),
                (1, "SER", "OG", "B", 0.7),
                (2, "SER", "CB", "A", 0.5),
                (2, "SER", "CB", "B", 0.5),
            ]
        )
    )
    assert keep.tolist() == [False, True, False, True, True, False]
    assert len(notes) == 2


def test_more_atoms_do_not_outweigh_a_higher_occupancy() -> None:
    rows = [(1, "LYS", name, "A", 0.4) for name in ("CB", "CG", "CD", "CE")]
    keep, _ = resolve_altlocs(*make([*rows, (1, "LYS", "CB", "B", 0.6)]))
    assert keep.tolist() == [False, True, True, True, True]


def test_two_residue_types_at_one_place_give_one() -> None:
    keep, notes = resolve_altlocs(
        *make(
            [
                (22, "PRO", "CA", "A", 0.4),
                (22, "PRO", "CD", "A", 0.4),
                (22, "SER", "CA", "B", 0.6),
                (22, "SER", "OG", "B", 0.6),
            ]
        )
    )
    assert keep.tolist() == [False, False, True, True]
    assert "A:22 SER" in notes[0]


def test_a_lone_alternate_is_kept_in_silence() -> None:
    keep, notes = resolve_altlocs(*make([(9, "HOH", "O", "A", 0.5)]))
    assert keep.all()
    assert notes == ()
