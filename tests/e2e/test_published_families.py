"""The published families through the command line, as a user runs them."""

import json
from pathlib import Path

import gemmi
import pytest

pytest.importorskip("flash_abb")
pytest.importorskip("transformers")

from itda.cli.main import run
from itda.hub.convert import write_converted
from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
from itda.parity import esmfold as parity
from itda.parity.flashabb import HEAVY, LIGHT

NANOBODY = (
    "QVQLVESGGGLVQAGGSLRLSCAASGRTFSSYAMGWFRQAPGKEREFVAAISWSGGSTYYADSVKGRFTISRDNAKNTVYLQMNSLKP"
    "EDTAVYYCAADYFDYWGQGTQVTVSS"
)
PEPTIDE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ITDA_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def records():
    found = json.loads(Path("out/summary.json").read_bytes())["records"]
    return {record["name"]: record["status"] for record in found}


def chains_of(path):
    """Chain ids and sequences as a second parser reads them."""
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    return {
        chain.name: gemmi.one_letter_code([residue.name for residue in chain.get_polymer()])
        for chain in structure[0]
    }


def test_antibodies_among_what_is_none(folder, capsys):
    Path("in.fasta").write_text(
        f">good\n{HEAVY}:{LIGHT}\n>turned\n{LIGHT}:{HEAVY}\n>nanobody\n{NANOBODY}\n"
        f">three\n{HEAVY}:{LIGHT}:{PEPTIDE}\n>whole\n{HEAVY}{'ASTKGPSVFPLAPSSKSTSGG' * 2}:{LIGHT}\n"
    )
    assert run(["fold", "in.fasta", "--model", "flashabb", "--out", "out"]) == 2
    assert records() == {
        "good": "done",
        "turned": "done",
        "nanobody": "refused",
        "three": "refused",
        "whole": "refused",
    }
    said = capsys.readouterr().err
    assert "5.0 Å" in said and "has 3 (A, B, C)" in said and "residues 1 to 121" in said
    assert chains_of("out/good.cif") == {"A": HEAVY, "B": LIGHT}
    assert chains_of("out/turned.cif") == {"A": LIGHT, "B": HEAVY}
    confidence = json.loads(Path("out/good.confidence.json").read_bytes())
    assert confidence["ptm"] is None
    assert confidence["mean_plddt"] > 85
    assert confidence["provenance"]["weights_licence"] == "BSD-3-Clause"
    assert not Path("out/good.pae.npz").exists()
    # The same command again finds all of it.
    assert run(["fold", "in.fasta", "--model", "flashabb", "--out", "again"]) == 2
    first, second = (Path(name, "good.cif").read_bytes() for name in ("out", "again"))
    assert first == second


def test_more_than_one_sample_of_a_deterministic_family_is_refused(folder, capsys):
    Path("in.fasta").write_text(f">ab\n{HEAVY}:{LIGHT}\n")
    assert run(["fold", "in.fasta", "--model", "flashabb", "--samples", "2"]) == 1
    assert "sample" in capsys.readouterr().err


@pytest.fixture
def esmfold_weights(folder):
    state, document = parity.published(parity.SMALL)
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    path = folder / "small.safetensors"
    write_converted(path, converted, family="esmfold", name="small", licence="MIT")
    return str(path)


def test_a_complex_by_esmfold(folder, esmfold_weights):
    Path("in.fasta").write_text(f">pair\n{PEPTIDE}:{PEPTIDE[:9]}\n>one\n{PEPTIDE}\n")
    command = ["fold", "in.fasta", "--model", "esmfold", "--weights", esmfold_weights]
    assert run([*command, "--out", "out"]) == 0
    assert chains_of("out/pair.cif") == {"A": PEPTIDE, "B": PEPTIDE[:9]}
    confidence = json.loads(Path("out/pair.confidence.json").read_bytes())
    assert 0 < confidence["ptm"] < 1
    assert confidence["tokens"]["chain_id"] == ["A"] * 22 + ["B"] * 9
    assert Path("out/pair.pae.npz").exists()


def test_weights_that_are_not_here_are_named_with_what_to_do(folder, capsys):
    Path("in.fasta").write_text(f">one\n{PEPTIDE}\n")
    assert run(["fold", "in.fasta", "--model", "esmfold", "--out", "out"]) == 1
    said = capsys.readouterr().err
    assert "esmfold_v1" in said and "itda weights pull esmfold_v1" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("model", "job", "said"),
    [
        ("esmfold", {"rna": {"sequence": "GGCUAGCC"}}, "esmfold folds protein only"),
        ("mini", {"protein": {"sequence": (PEPTIDE * 1400)[:30_000]}}, "1024 residues"),
        (
            "flashabb",
            {"protein": {"sequence": (PEPTIDE * 1400)[:30_000]}},
            "none of which are like",
        ),
        ("esmfold", {"protein": {"sequence": (PEPTIDE * 1400)[:30_000]}}, "2048 residues"),
    ],
)
def test_refusals_name_the_rule(folder, capsys, model, job, said):
    Path("job.json").write_text(json.dumps({"version": 1, "name": "x", "entities": [job]}))
    assert run(["fold", "job.json", "--model", model, "--out", "out"]) == 1
    shown = capsys.readouterr().err
    assert said in shown and "hint: " in shown
