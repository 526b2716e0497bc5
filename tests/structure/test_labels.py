from biotite.structure import AtomArray

from itda.structure.labels import lay_out
from itda.structure.residues import Residues


def test_each_molecule_gets_a_label_chain_of_its_own(mixed: AtomArray) -> None:
    layout = lay_out(Residues.from_atoms(mixed))
    assert layout.asym_ids == ("A", "A", "B", "C", "C", "Zn")
    assert layout.sequence_ids.tolist() == [1, 2, 0, 0, 0, 0]
    assert [(one.kind, one.components) for one in layout.entities] == [
        ("polymer", ("GLY", "MSE")),
        ("non-polymer", ("ATP",)),
        ("water", ("HOH",)),
        ("non-polymer", ("ZN",)),
    ]


def test_copies_share_an_entity(mixed: AtomArray) -> None:
    copy = mixed.copy()
    copy.chain_id[copy.chain_id == "A"] = "B"
    layout = lay_out(Residues.from_atoms(mixed + copy[copy.chain_id == "B"]))
    polymer = layout.entities[0]
    assert polymer.asym_ids == ("A", "B")
    assert len(set(layout.asym_ids)) == 7


def test_labels_that_came_with_a_file_stay(with_water: AtomArray) -> None:
    renamed = with_water.copy()
    renamed.label_asym_id[renamed.label_asym_id == "A"] = "Q"
    layout = lay_out(Residues.from_atoms(renamed))
    assert set(layout.asym_ids) == {"Q", "B"}
    assert layout.entities[0].complete


def test_a_gap_leaves_the_sequence_untold(ubiquitin: AtomArray) -> None:
    layout = lay_out(Residues.from_atoms(ubiquitin[ubiquitin.res_id != 30]))
    assert not layout.entities[0].complete
    assert len(layout.entities[0].components) == 75


def test_an_amino_acid_alone_is_a_ligand(mixed: AtomArray) -> None:
    apart = mixed.copy()
    apart.coord[apart.res_name == "MSE"] += 100
    layout = lay_out(Residues.from_atoms(apart))
    assert layout.sequence_ids.tolist() == [1, 0, 0, 0, 0, 0]
