from __future__ import annotations

import re
from pathlib import Path

import pytest

from itda.job.letters import ALPHABETS
from itda.job.model import Job
from itda.job.read import read_jobs

from .conftest import DOCUMENTATION, Example, documented_examples
from .test_components import OWN

EXAMPLES = documented_examples()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    for name in ("alignments/ubiquitin.a3m", "ubiquitin.npz", "1ubi.cif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "my_ligand.cif").write_text(OWN)
    (tmp_path / "proteins.fasta").write_text(">a\nMKt\n>b\nMKB\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.form != "python"], ids=lambda e: f"{e.form}-line-{e.line}"
)
def test_each_example_is_read_without_a_word(example: Example, folder: Path) -> None:
    path = folder / f"example.{example.form}"
    path.write_text(example.text)
    batch = read_jobs(path)
    assert batch.jobs
    assert batch.rejected == ()
    assert batch.warnings == ()
    for job in batch.jobs:
        assert Job.from_dict(job.to_dict()) == job
        assert len(job.digest()) == 64


def test_the_python_example_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [e for e in EXAMPLES if e.form == "python"]
    exec(example.text, {})
    printed = capsys.readouterr().out
    assert "a ('A',)" in printed
    assert "record 2 'b'" in printed
    assert "lower case read as upper case" in printed


def test_every_form_and_every_molecule_has_an_example() -> None:
    assert {example.form for example in EXAMPLES} == {"fasta", "yaml", "json", "python"}
    text = "".join(example.text for example in EXAMPLES)
    for word in ("protein", "dna", "rna", "ligand", "ion", "contact", "pocket", "distance"):
        assert re.search(rf"\b{word}:", text), word


def test_the_table_of_letters_is_the_one_in_force() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    rows = {
        cells[1].strip(): [cell.replace("`", "").split() for cell in cells[2:5]]
        for line in text.splitlines()
        if len(cells := line.split("|")) == 6
    }
    alphabets = [ALPHABETS[molecule] for molecule in ("protein", "dna", "rna")]
    assert rows["standard"] == [[a.standard] for a in alphabets]
    assert rows["unknown, kept"] == [[a.unknown] for a in alphabets]
    assert rows["of another molecule: refused"] == [sorted(a.foreign) for a in alphabets]
    ambiguous = next(row for label, row in rows.items() if label.startswith("ambiguous"))
    rare = next(row for label, row in rows.items() if label.startswith("rare"))
    for alphabet, common, extra in zip(alphabets, ambiguous, rare, strict=True):
        listed = {letter for letter in common + extra if len(letter) == 1 and letter.isupper()}
        assert listed - {"C", "K"} | set(common) == set(alphabet.ambiguous)
