from __future__ import annotations

import re
from pathlib import Path

import pytest

from itda.job.letters import ALPHABETS
from itda.job.model import Job
from itda.job.read import read_jobs

from .conftest import DOCUMENTATION, KOREAN_DOCUMENTATION, Example, documented_examples
from .test_components import OWN

PAGES = {"en": DOCUMENTATION, "ko": KOREAN_DOCUMENTATION}
EXAMPLES = {language: documented_examples(page) for language, page in PAGES.items()}


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
    "example",
    [
        pytest.param(example, id=f"{language}-{example.form}-line-{example.line}")
        for language, examples in EXAMPLES.items()
        for example in examples
        if example.form != "python"
    ],
)
def test_each_example_is_read_without_a_word(example: Example, folder: Path) -> None:
    path = folder / f"example.{example.form}"
    path.write_text(example.text, encoding="utf-8")
    batch = read_jobs(path)
    assert batch.jobs
    assert batch.rejected == ()
    assert batch.warnings == ()
    for job in batch.jobs:
        assert Job.from_dict(job.to_dict()) == job
        assert len(job.digest()) == 64


@pytest.mark.parametrize("language", PAGES)
def test_the_python_example_runs(
    language: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [e for e in EXAMPLES[language] if e.form == "python"]
    exec(example.text, {})
    printed = capsys.readouterr().out
    assert "a ('A',)" in printed
    assert "record 2 'b'" in printed
    assert "lower case read as upper case" in printed


def test_every_form_and_every_molecule_has_an_example() -> None:
    assert {example.form for example in EXAMPLES["en"]} == {"fasta", "yaml", "json", "python"}
    text = "".join(example.text for example in EXAMPLES["en"])
    for word in ("protein", "dna", "rna", "ligand", "ion", "contact", "pocket", "distance"):
        assert re.search(rf"\b{word}:", text), word


def test_both_languages_have_the_same_examples() -> None:
    english, korean = (
        [(one.form, re.sub(r"# .*", "", one.text)) for one in examples]
        for examples in EXAMPLES.values()
    )
    assert english == korean


@pytest.mark.parametrize(
    ("language", "standard", "unknown", "foreign", "ambiguous", "rare"),
    [
        ("en", "standard", "unknown, kept", "of another molecule", "ambiguous", "rare"),
        ("ko", "표준", "모르는 잔기", "다른 분자의 글자", "모호한 글자", "드문 잔기"),
    ],
    ids=PAGES,
)
def test_the_table_of_letters_is_the_one_in_force(
    language: str, standard: str, unknown: str, foreign: str, ambiguous: str, rare: str
) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    table = {
        cells[1].strip(): ["".join(re.findall(r"`([^`]*)`", cell)) for cell in cells[2:5]]
        for line in text.splitlines()
        if len(cells := line.split("|")) == 6
    }

    def letters(label: str) -> list[str]:
        (row,) = [row for name, row in table.items() if name.startswith(label)]
        return [cell.replace(" ", "") for cell in row]

    alphabets = [ALPHABETS[molecule] for molecule in ("protein", "dna", "rna")]
    assert letters(standard) == [a.standard for a in alphabets]
    assert letters(unknown) == [a.unknown for a in alphabets]
    assert letters(foreign) == ["".join(sorted(a.foreign)) for a in alphabets]
    for alphabet, common, extra in zip(alphabets, letters(ambiguous), letters(rare), strict=True):
        assert sorted(common + extra) == sorted(alphabet.ambiguous)
