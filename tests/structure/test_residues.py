from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray, get_residue_starts

from itda.structure.components import component
from itda.structure.files import read_structure, write_structure
from itda.structure.protein_chains import protein_chains
from itda.structure.residues import Residues


def test_residues_are_told_apart_by_insertion_code(ubiquitin: AtomArray) -> None:
    atoms = ubiquitin.copy()
    atoms.ins_code = np.where(atoms.res_id == 2, "A", "")
    atoms.res_id[atoms.res_id == 2] = 1
    residues = Residues.from_atoms(atoms)
    assert len(residues) == 76
    assert residues.label(0) == "A:1 MET"
    assert residues.label(1) == "A:1A GLN"
    assert (residues.starts == get_residue_starts(atoms)).all()


def test_rows_and_positions_of_a_name(ubiquitin: AtomArray) -> None:
    residues = Residues.from_atoms(ubiquitin)
    carbons = residues.rows("CA")
    assert (ubiquitin.atom_name[carbons] == "CA").all()
    assert (residues.of_atom[carbons] == np.arange(76)).all()
    beta = residues.positions("CB")
    glycine = np.array(residues.names) == "GLY"
    assert np.isnan(beta[glycine]).all()
    assert np.isfinite(beta[~glycine]).all()
    assert (residues.rows("XX") == -1).all()


def test_neighbours_are_linked_within_a_chain_only(ubiquitin: AtomArray) -> None:
    assert Residues.from_atoms(ubiquitin).linked_to_next.tolist() == [True] * 75 + [False]
    atoms = ubiquitin.copy()
    atoms.chain_id[atoms.res_id > 40] = "B"
    assert not Residues.from_atoms(atoms).linked_to_next[39]


def test_water_and_ligands_are_no_polymer(mixed: AtomArray) -> None:
    residues = Residues.from_atoms(mixed)
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


AMBER = {"HIS": "HIE", "ASP": "ASH", "LYS": "LYN", "GLU": "GLH", "ARG": "ARN"}
CHARMM = {"HIS": "HSD"}


def test_types_in_small_letters_are_types_too() -> None:
    """So the dictionary has 2-methyl-L-norleucine, a residue of stapled peptides."""
    assert component("MK8").kind == "peptide"
    assert component("MK8").link_type == "L-PEPTIDE LINKING"


@pytest.mark.parametrize("names", [AMBER, CHARMM])
def test_names_of_simulation_programs_are_understood(
    names: dict[str, str], ubiquitin: AtomArray
) -> None:
    atoms = ubiquitin.copy()
    atoms.res_name = np.array([names.get(name, name) for name in ubiquitin.res_name])
    atoms.atom_name[(atoms.res_name == "ILE") & (atoms.atom_name == "CD1")] = "CD"
    last = atoms.res_id == 76
    atoms.atom_name[last & (atoms.atom_name == "O")] = "OT1"
    atoms.atom_name[last & (atoms.atom_name == "OXT")] = "OT2"
    read, plain = Residues.from_atoms(atoms), Residues.from_atoms(ubiquitin)
    assert protein_chains(read)["A"].sequence == protein_chains(plain)["A"].sequence
    assert read.standard_names == plain.standard_names == plain.names
    assert read.atom_names.tolist() == ubiquitin.atom_name.tolist()
    assert read.names == tuple(atoms.res_name[read.starts].tolist())
    notes = " ".join(read.understood)
    assert f"1 {names['HIS']} read as HIS" in notes
    assert "atom CD of 7 ILE read as CD1" in notes
    assert plain.understood == ()


def test_names_of_simulation_programs_are_written_as_they_came(
    ubiquitin: AtomArray, tmp_path: Path
) -> None:
    ubiquitin.res_name[ubiquitin.res_id == 68] = "HIE"
    write_structure(tmp_path / "out.cif", ubiquitin)
    block = gemmi.cif.read(str(tmp_path / "out.cif")).sole_block()
    comps = {row[0]: row[1] for row in block.find("_chem_comp.", ["id", "type"])}
    assert comps["HIE"].strip("'") == "L-PEPTIDE LINKING"
    (sequence,) = block.find_values("_entity_poly.pdbx_seq_one_letter_code_can")
    assert "STLHLVLR" in sequence.replace("\n", "")
    assert Residues.from_atoms(read_structure(tmp_path / "out.cif")).names[67] == "HIE"


def test_the_code_of_a_ligand_is_not_trusted_in_a_chain(ubiquitin: AtomArray) -> None:
    # CTY is an antibiotic in the dictionary, and here a residue of atoms that tell nothing.
    ubiquitin.res_name[ubiquitin.res_id == 30] = "CTY"
    ubiquitin.atom_name[(ubiquitin.res_id == 30) & (ubiquitin.atom_name == "CG2")] = "XX"
    ubiquitin.hetero[ubiquitin.res_id == 30] = True
    sequence = protein_chains(Residues.from_atoms(ubiquitin))["A"].sequence
    assert (len(sequence), sequence[29]) == (76, "X")


def test_a_ligand_that_shares_a_name_stays_one(ubiquitin: AtomArray) -> None:
    ligand = ubiquitin[:3].copy()
    ligand.res_name[:], ligand.res_id[:], ligand.hetero[:] = "HIE", 300, True
    ligand.atom_name = np.array(["C1", "C2", "N1"])
    ligand.coord = ligand.coord + np.float32(50)
    read = Residues.from_atoms(ubiquitin + ligand)
    assert read.components[-1].kind == "other"
    assert len(protein_chains(read)["A"]) == 76
