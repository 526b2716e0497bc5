import gzip
from importlib import resources

import pytest

from itda.errors import DataError
from itda.train.build import build_dataset
from itda.train.chain import Chain
from itda.train.leakage import find_leaks, read_fasta, remove_leaks, write_leaks
from itda.train.rejection import Rejection
from itda.train.structures import StructureFilters, read_structures, structure_files

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


def test_leaks_are_found_reported_and_removed(folder, tmp_path, data_folder):
    from itda.train.dataset import ChainDataset

    other = ChainDataset.open(data_folder / "chains")[3]
    items = [*read(folder), other]
    dataset, _ = build_dataset(tmp_path / "set", items, source={"name": "test"})
    fasta = tmp_path / "bench.fasta"
    fasta.write_text(f">ub some words\n{UBIQUITIN[:60].lower()}\n")
    leaks = find_leaks(dataset, read_fasta(fasta), identity=0.3)
    assert {leak.chain for leak in leaks} == {"1ubq_A", "packed_A"}
    assert all(leak.target == "ub" and leak.identity > 0.99 for leak in leaks)
    write_leaks(tmp_path / "leaks.tsv", leaks)
    assert len((tmp_path / "leaks.tsv").read_text().splitlines()) == 3
    kept = remove_leaks(dataset, leaks, tmp_path / "clean", identity=0.3, overwrite=False)
    assert kept.ids == (other.id,)
    assert find_leaks(kept, read_fasta(fasta), identity=0.3) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no sequence"),
        ("MKT\n", "before the first"),
        (">a\nMK\n>a\nMK\n", "stands twice"),
    ],
)
def test_fasta_problems_are_named(tmp_path, text, said):
    path = tmp_path / "x.fasta"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_fasta(path)
