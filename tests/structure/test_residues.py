import numpy as np
from biotite.structure import AtomArray, get_residue_starts

from itda.structure.components import component
from itda.structure.residues import Residues


def test_residues_are_told_apart_by_insertion_code(ubiquitin: AtomArray) -> None:
    atoms = ubiquitin.copy()
    atoms.ins_code = np.where(atoms.res_id == 2, "A", "")
    atoms.res_id[atoms.res_id == 2] = 1
    residues = Residues.of(atoms)
    assert len(residues) == 76
    assert residues.label(0) == "A:1 MET"
    assert residues.label(1) == "A:1A GLN"
    assert (residues.starts == get_residue_starts(atoms)).all()


def test_rows_and_positions_of_a_name(ubiquitin: AtomArray) -> None:
    residues = Residues.of(ubiquitin)
    carbons = residues.rows("CA")
    assert (ubiquitin.atom_name[carbons] == "CA").all()
    assert (residues.of_atom[carbons] == np.arange(76)).all()
    beta = residues.positions("CB")
    glycine = np.array(residues.names) == "GLY"
    assert np.isnan(beta[glycine]).all()
    assert np.isfinite(beta[~glycine]).all()
    assert (residues.rows("XX") == -1).all()


def test_neighbours_are_linked_within_a_chain_only(ubiquitin: AtomArray) -> None:
    assert Residues.of(ubiquitin).linked_to_next.tolist() == [True] * 75 + [False]
    atoms = ubiquitin.copy()
    atoms.chain_id[atoms.res_id > 40] = "B"
    assert not Residues.of(atoms).linked_to_next[39]


def test_water_and_ligands_are_no_polymer(mixed: AtomArray) -> None:
    residues = Residues.of(mixed)
    assert residues.polymer_mask.tolist() == [True, True, False, False, False, False]
    assert residues.peptide_mask.tolist() == [True, True, False, False, False, False]


def test_components_agree_with_the_dictionary() -> None:
    from biotite.structure import info

    for code in ("ALA", "GLY", "UNK", "A", "DT", "HOH", "TRP"):
        what = component(code)
        assert what.link_type == info.link_type(code)
        assert what.name == info.full_name(code)
    assert component("MSE").one_letter == "M"
    assert component("CRO").one_letter == "X"
    assert component("no such").link_type == ""
    assert (component("A").kind, component("DA").kind) == ("rna", "dna")
