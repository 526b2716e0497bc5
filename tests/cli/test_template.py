"""`--template`: a structure of the user's own, through the command line."""

import gzip
import json
from pathlib import Path

import gemmi
import pytest
from tests.sequences import relative

import itda
from itda.cli.main import run

EXAMPLE = Path(itda.__file__).parent / "data" / "examples" / "1ubq.cif"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
OTHER = "GDSGKPLISGHWAQCTDRWLDPSTQAFNGWHTEDKRLLNPYWCGFSDVAERTGKPWHHSDN"


@pytest.fixture
def inputs(family, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ubq.fasta").write_text(f">ubq\n{UBIQUITIN}\n")
    Path("two.fasta").write_text(f">ubq\n{UBIQUITIN}\n>other\n{OTHER}\n")
    Path("known:a=b.cif.gz").write_bytes(gzip.compress(EXAMPLE.read_bytes()))
    return tmp_path


def evidence(family, name: str) -> list[str]:
    return [one.name for one in family.evidence_of(name).chains["A"].templates]


@pytest.mark.parametrize(
    "text",
    [str(EXAMPLE), f"{EXAMPLE}:A", f"A={EXAMPLE}:A", "known:a=b.cif.gz", "known:a=b.cif.gz:A"],
)
def test_a_record_is_folded_with_it(inputs, family, text, capsys) -> None:
    assert run(["fold", "ubq.fasta", "--template", text, "--out", "out"]) == 0
    assert len(evidence(family, "ubq")) == 1
    (hit,) = json.loads(Path("out/ubq.templates.json").read_text())["hits"]
    assert hit["used"] and hit["origin"] == "given" and hit["e_value"] is None
    assert hit["identity"] == 1 and hit["coverage"] == 1
    # The same again is found, and another template is another question.
    assert run(["fold", "ubq.fasta", "--template", text, "--out", "out"]) == 0
    assert run(["fold", "ubq.fasta", "--out", "out"]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_plan_says_what_fold_does(inputs, capsys) -> None:
    assert run(["plan", "two.fasta", "--template", str(EXAMPLE)]) == 0
    err = capsys.readouterr().err
    assert "record 1 'ubq': template 1ubq.cif, chain A is for chain A: 76 of 76" in err
    assert "record 2 'other': does not resemble template 1ubq.cif" in err


def test_what_it_does_not_fit_is_refused_with_numbers(inputs, capsys) -> None:
    Path("other.fasta").write_text(f">other\n{OTHER}\n")
    assert run(["fold", "other.fasta", "--template", str(EXAMPLE)]) == 1
    err = capsys.readouterr().err
    assert "chain A with its chain A:" in err and f"--template A={EXAMPLE}" in err
    assert run(["fold", "other.fasta", "--template", f"A={EXAMPLE}"]) == 0
    assert "is it the right chain?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("2ubq.cif", "there is no file '2ubq.cif'", "--templates"),
        (f"{EXAMPLE}:Q", "no protein chain 'Q'", "its protein chains: A"),
        (f"B={EXAMPLE}", "no protein chain 'B'", "its protein chains: A"),
        ("ubq.fasta", "template ubq.fasta", "mmCIF"),
    ],
)
def test_mistakes_are_told(inputs, capsys, text, problem, hint) -> None:
    assert run(["fold", "ubq.fasta", "--template", text]) == 1
    err = capsys.readouterr().err
    assert problem in err and hint in err


def test_python_takes_it_too(inputs, family) -> None:
    itda.fold(UBIQUITIN, name="one", template=EXAMPLE)
    itda.fold(UBIQUITIN, name="two", template=[f"{EXAMPLE}:A", "known:a=b.cif.gz"])
    assert evidence(family, "one") == ["1ubq_A"]
    assert len(evidence(family, "two")) == 2
    with pytest.raises(itda.errors.InputError, match='template="A='):
        try:
            itda.fold(OTHER, template=EXAMPLE)
        except itda.errors.InputError as error:
            raise type(error)(error.hint) from error


def test_a_relative_structure_serves(inputs, family) -> None:
    import numpy as np

    itda.fold(relative(UBIQUITIN, 0.5, np.random.default_rng(2)), name="far", template=EXAMPLE)
    assert evidence(family, "far") == ["1ubq_A"]


def test_every_file_names_it(inputs) -> None:
    assert run(["fold", "ubq.fasta", "--template", str(EXAMPLE), "--out", "out"]) == 0
    told = {
        "chain_ids": ["A"], "origin": "given", "source": "1ubq.cif", "entry": "1ubq", "chain": "A",
        "identity": 1.0, "coverage": 1.0, "pairs": 76, "e_value": None,
        "release_date": "1987-04-16", "year": 1987,
    }  # fmt: skip
    assert json.loads(Path("out/ubq.confidence.json").read_text())["templates"] == [told]
    (record,) = json.loads(Path("out/summary.json").read_text())["records"]
    assert record["templates"] == [told]
    block = gemmi.cif.read("out/ubq.cif").sole_block()
    assert block.find_value("_ma_template_details.template_origin") == "customized"
    assert "1ubq.cif" in block.find_value("_ma_template_customized.details")
    # The page can tell it without a look at the other files.
    assert '"source":"1ubq.cif"' in Path("out/ubq.html").read_text()
