"""The library of known folds, as a user meets it: the default of every fold."""

import json
from pathlib import Path

import pytest

import itda
from itda.cli.main import run
from itda.search.databases.known_folds import FILE
from itda.structure.pack.chains import PackedChains, write_library

EXAMPLES = Path(itda.__file__).parent / "data" / "examples"
UBIQUITIN = str(EXAMPLES / "ubiquitin.fasta")


@pytest.fixture(autouse=True)
def _library(monkeypatch, tmp_path):
    monkeypatch.delenv("ITDA_KNOWN_FOLDS")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A library of a few chains, which are made ready at once."""
    shipped = PackedChains(FILE)
    path = tmp_path / "small.bin"
    write_library(path, [shipped[place] for place in range(0, 60, 6)], shipped.facts, columns=64)
    monkeypatch.setenv("ITDA_KNOWN_FOLDS", str(path))
    return path


def test_a_fold_rests_on_it_unless_told(capsys) -> None:
    assert run(["fold", UBIQUITIN, "--out", "out", "--max-template-identity", "0.4"]) == 0
    confidence = json.loads(Path("out/ubiquitin.confidence.json").read_text())
    assert confidence["mean_plddt"] > 70
    assert len(confidence["templates"]) >= 4
    for template in confidence["templates"]:
        assert template["source"] == "known-folds"
        assert template["identity"] <= 0.4
        assert template["e_value"] < 1e-3
    inputs = json.loads(Path("out/ubiquitin.confidence.json").read_text())["provenance"]["inputs"]
    assert "known-folds" in inputs["template_source"]
    assert "20,895" in inputs["template_source"]
    capsys.readouterr()
    assert run(["compare", str(EXAMPLES / "1ubq.cif"), "out/ubiquitin.cif", "--json"]) == 0
    # The fold of ubiquitin, by templates that share two fifths of its residues at most.
    assert json.loads(capsys.readouterr().out)["tm_score"] > 0.7


def test_none_says_none(small, capsys) -> None:
    assert run(["fold", UBIQUITIN, "--out", "out", "--templates", "none"]) == 0
    confidence = json.loads(Path("out/ubiquitin.confidence.json").read_text())
    assert not confidence.get("templates")
    assert "template_source" not in confidence["provenance"]["inputs"]


def test_the_variable_switches_it_off(monkeypatch, capsys) -> None:
    monkeypatch.setenv("ITDA_KNOWN_FOLDS", "none")
    assert run(["fold", UBIQUITIN, "--out", "out"]) == 0
    confidence = json.loads(Path("out/ubiquitin.confidence.json").read_text())
    assert "template_source" not in confidence["provenance"]["inputs"]
    assert run(["fold", UBIQUITIN, "--out", "other", "--templates", "known-folds"]) == 1
    assert "ITDA_KNOWN_FOLDS says none" in capsys.readouterr().err


@pytest.mark.parametrize(("day", "status"), [("2017-05-01", 1), ("2018-12-31", 0)])
def test_days_before_its_end_cannot_be_told_apart(small, day, status, capsys) -> None:
    command = ["fold", UBIQUITIN, "--out", "out", "--max-template-date", day]
    assert run(command) == status
    if status:
        err = capsys.readouterr().err
        assert "known-folds does not know when" in err
        assert "2018-12-31" in err


def test_a_damaged_library_is_no_silence(small, capsys) -> None:
    small.write_bytes(small.read_bytes()[:-5])
    assert run(["fold", UBIQUITIN, "--out", "out"]) == 1
    assert "is no library of folds" in capsys.readouterr().err


def test_one_altered_byte_is_no_other_structure(small, capsys) -> None:
    data = bytearray(small.read_bytes())
    data[-1000] ^= 1
    small.write_bytes(data)
    assert run(["fold", UBIQUITIN, "--out", "out"]) == 1
    assert "does not have the SHA-256" in capsys.readouterr().err
    assert run(["db", "list"]) != 0
    assert run(["db", "check", "known-folds"]) == 1


def test_databases_list_check_and_keep_it(small, capsys) -> None:
    assert run(["db", "list"]) == 0
    assert "known-folds" in capsys.readouterr().out
    assert run(["db", "check", "known-folds"]) == 0
    told = capsys.readouterr().out
    assert "10 chains with profiles" in told
    assert "released before 2018-12-31" in told
    data = bytearray(small.read_bytes())
    data[-9] ^= 4
    small.write_bytes(data)
    assert run(["db", "check", "known-folds"]) == 1
    assert run(["db", "remove", "known-folds"]) == 1
    assert "comes with Itda" in capsys.readouterr().err
    Path("x.fasta").write_text(">x\nMKV\n")
    assert run(["db", "add", "known-folds", "x.fasta"]) == 1
    assert run(["data", "templates", "known-folds", "--data", ".", "--out", "t"]) == 1
    assert "comes packed" in capsys.readouterr().err


def test_a_family_without_templates_does_without(small, capsys) -> None:
    assert run(["plan", UBIQUITIN, "--model", "esmfold"]) in (0, 1)
    assert "template" not in capsys.readouterr().err
