from importlib import resources

import pytest

from itda.errors import DataError
from itda.structure.chains.build import build_dataset
from itda.structure.chains.dataset import ChainDataset
from itda.structure.chains.structures import StructureFilters, read_structures, structure_files
from itda.train.leakage import find_leaks, read_fasta, remove_leaks, write_leaks

EXAMPLE = resources.files("itda").joinpath("data/examples/1ubq.cif")
SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


def test_leaks_are_found_reported_and_removed(tmp_path, data_folder):
    other = ChainDataset.open(data_folder / "chains")[3]
    ubiquitin = tmp_path / "structures"
    ubiquitin.mkdir()
    for name in ("1ubq.cif", "again.cif"):
        (ubiquitin / name).write_bytes(EXAMPLE.read_bytes())
    items = [*read_structures(structure_files(ubiquitin), StructureFilters()), other]
    dataset, _ = build_dataset(tmp_path / "set", items, source={"name": "test"})
    fasta = tmp_path / "bench.fasta"
    fasta.write_text(f">ub some words\n{SEQUENCE[:60].lower()}\n")
    leaks = find_leaks(dataset, read_fasta(fasta), identity=0.3)
    assert {leak.chain for leak in leaks} == {"1ubq_A", "again_A"}
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
