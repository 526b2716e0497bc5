from pathlib import Path

import pytest

from itda.cli.main import run


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_examples_are_written_and_can_be_compared(capsys) -> None:
    assert run(["examples"]) == 0
    assert "examples/ubiquitin.fasta" in capsys.readouterr().out
    assert run(["examples"]) == 0
    assert run(["compare", "examples/1ubq.cif", "examples/1ubq.cif"]) == 0


def test_a_file_of_ones_own_is_not_replaced(capsys) -> None:
    Path("mine").mkdir()
    Path("mine/ubiquitin.fasta").write_text(">mine\nMKT\n")
    assert run(["examples", "mine"]) == 1
    assert "ubiquitin.fasta exists already and is another" in capsys.readouterr().err
    assert Path("mine/ubiquitin.fasta").read_text().startswith(">mine")
    assert run(["examples", "mine", "--overwrite"]) == 0
    assert Path("mine/ubiquitin.fasta").read_text().startswith(">ubiquitin")
