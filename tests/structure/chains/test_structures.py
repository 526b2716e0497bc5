import gzip
from importlib import resources

import numpy as np
import pytest

from itda.errors import DataError
from itda.structure.chains.chain import Chain
from itda.structure.chains.rejection import Rejection
from itda.structure.chains.structures import StructureFilters, read_structures, structure_files
from itda.structure.files import read_structure, write_structure

EXAMPLE = resources.files("itda").joinpath("data/examples/1ubq.cif")
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@pytest.fixture
def folder(tmp_path):
    where = tmp_path / "structures"
    (where / "deep").mkdir(parents=True)
    content = EXAMPLE.read_bytes()
    (where / "1ubq.cif").write_bytes(content)
    (where / "deep" / "packed.cif.gz").write_bytes(gzip.compress(content))
    (where / "broken.pdb").write_bytes(b"\x00\x01junk")
    (where / "notes.txt").write_text("not a structure")
    return where


def read(folder, **filters):
    return list(read_structures(structure_files(folder), StructureFilters(**filters)))


def test_all_atoms_of_every_file_and_a_reason_for_each_that_is_broken(folder):
    items = read(folder)
    chains = [item for item in items if isinstance(item, Chain)]
    broken = [item for item in items if isinstance(item, Rejection)]
    assert {chain.id for chain in chains} == {"1ubq_A", "packed_A"}
    for chain in chains:
        assert chain.sequence == UBIQUITIN
        assert chain.atom_mask.sum() == 602
        assert chain.resolution == pytest.approx(1.8)
        assert chain.has_side_chains
    assert [item.kind for item in broken] == ["the file cannot be read"]
    assert "broken.pdb" in broken[0].source


@pytest.mark.parametrize(
    ("filters", "kind"),
    [
        ({"max_resolution_angstrom": 1.5}, "resolution"),
        ({"min_length": 77}, "length"),
        ({"max_length": 75}, "length"),
        ({"released_after": "2000-01-01"}, "release date"),
        ({"released_before": "1980-01-01"}, "release date"),
    ],
)
def test_filters_name_their_rule(folder, filters, kind):
    items = [item for item in read(folder, **filters) if item.id]
    assert [item.kind for item in items] == [kind, kind]


def test_missing_backbones_count_against_completeness(tmp_path):
    lines = EXAMPLE.read_text().splitlines()
    kept = [
        line
        for line in lines
        if not (line.startswith("ATOM") and line.split()[3] == "O" and int(line.split()[8]) < 30)
    ]
    assert len(kept) < len(lines) - 20
    (tmp_path / "cut.cif").write_text("\n".join(kept))
    (item,) = read(tmp_path)
    assert item.kind == "completeness"


def test_a_folder_without_structures_is_refused(tmp_path):
    with pytest.raises(DataError, match="no structure file"):
        structure_files(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        structure_files(tmp_path / "none")


def test_names_of_simulation_programs_are_read(tmp_path, caplog):
    atoms = read_structure(EXAMPLE)
    atoms = atoms[~atoms.hetero]
    for name, other in (("HIS", "HIE"), ("ASP", "ASH"), ("LYS", "LYN")):
        atoms.res_name[atoms.res_name == name] = other
    atoms.atom_name[(atoms.res_name == "ILE") & (atoms.atom_name == "CD1")] = "CD"
    write_structure(tmp_path / "amber.pdb", atoms)
    with caplog.at_level("INFO"):
        (chain,) = read(tmp_path)
    assert chain.sequence == UBIQUITIN
    assert chain.atom_mask.sum() == 602
    assert "5 ASH read as ASP" in caplog.text


def test_residues_are_numbered_by_their_place_in_the_polymer(tmp_path):
    atoms = read_structure(EXAMPLE)
    atoms = atoms[~atoms.hetero & ~np.isin(atoms.label_seq_id, (10, 11, 12))]
    atoms.res_id = np.unique(atoms.res_id, return_inverse=True)[1] + 1
    write_structure(tmp_path / "gap.cif", atoms)
    (chain,) = read(tmp_path)
    assert np.flatnonzero(np.diff(chain.residue_index) == 4).tolist() == [8]
    assert chain.residue_index[-1] == 75
