import csv
from pathlib import Path

import pytest

from itda.errors import DataError
from itda.structure.chains.build import build_dataset
from itda.structure.chains.dataset import ChainDataset
from itda.structure.chains.rejection import Rejection, summarise_rejections
from tests.chains import make_chain


def test_chains_and_rejections_are_written(tmp_path: Path) -> None:
    first, second = make_chain("1abc_A", 12, 0), make_chain("2abc_A", 9, 1)
    short = Rejection("3abc_A", "3.cif", "2 residues,\nfewer than 20", "short")
    items = [first, short, make_chain("1abc_A", 30, 2), second]
    seen: list[object] = []
    dataset, rejections = build_dataset(
        tmp_path / "set", items, source={"name": "x"}, parameters={"min": 1}, on_item=seen.append
    )
    assert seen == items
    assert dataset.ids == ("1abc_A", "2abc_A")
    assert dataset.lengths.tolist() == [12, 9]
    assert dataset.manifest["parameters"] == {"min": 1}
    assert rejections[0] == short
    assert rejections[1].reason == "another chain of this id came first"
    with (tmp_path / "set" / "rejected.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["id"] for row in rows] == ["3abc_A", "1abc_A"]
    assert rows[0]["reason"] == "2 residues, fewer than 20"
    assert len(ChainDataset.open(tmp_path / "set", verify=True)) == 2


def test_nothing_accepted_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no chain was accepted: too short"):
        build_dataset(tmp_path / "set", [Rejection("a", "b", "too short")], source={})
    assert list(tmp_path.iterdir()) == []


def test_summary_counts_by_rule() -> None:
    rejections = [
        Rejection("a", "", "2 residues", "short"),
        Rejection("b", "", "a model"),
        Rejection("c", "", "3 residues", "short"),
    ]
    assert summarise_rejections(rejections) == {"short": 2, "a model": 1}
    assert list(summarise_rejections(rejections)) == ["short", "a model"]
