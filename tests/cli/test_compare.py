import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.cli.main import run
from itda.structure.files import read_structure, write_structure


@pytest.fixture(scope="module")
def example() -> Path:
    return Path(str(files("itda"))) / "data" / "examples" / "1ubq.cif"


@pytest.fixture
def protein(example: Path) -> AtomArray:
    atoms = read_structure(example)
    return atoms[~atoms.hetero]


@pytest.fixture
def model(protein: AtomArray, tmp_path: Path) -> Path:
    """Ubiquitin without its last six residues, shaken, as PDB."""
    atoms = protein[protein.res_id <= 70].copy()
    atoms.coord += np.random.default_rng(0).normal(size=atoms.coord.shape).astype(np.float32)
    write_structure(tmp_path / "model.pdb", atoms)
    return tmp_path / "model.pdb"


def test_scores_chains_and_unmatched_residues_are_printed(
    example: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(example), str(model)]) == 0
    said = capsys.readouterr().out
    for word in ("lDDT-CA", "TM-score", "GDT-TS", "RMSD-CA", "70 of 76", "coverage 92.1%"):
        assert word in said
    assert "only in the reference (6)" in said
    assert "A:71 LEU" in said
    assert "58 HOH" in said
    assert "A:5 VAL" not in said


def test_each_residue_is_printed_if_asked(
    example: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(example), str(model), "--residues"]) == 0
    assert "A:5 VAL" in capsys.readouterr().out


def test_json_holds_everything(
    example: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(example), str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"] == str(example)
    assert found["model"] == str(model)
    assert found["n_aligned"] == len(found["per_residue"]) == 70
    assert 0 < found["lddt_all_atom"] <= 1
    assert 0 < found["lddt_ca"] < found["coverage"] < 1
    assert found["reference_only"][0] == "A:71 LEU"
    assert found["reference_only"][-1] == "A:76 GLY"
    assert found["chains"][0]["reference_length"] == 76


def test_chains_can_be_named(
    protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = protein.copy()
    second.chain_id[:] = "B"
    second.label_asym_id[:] = "B"
    second.coord *= np.array([1, 1, -1], dtype=np.float32)
    pair, single = tmp_path / "pair.cif", tmp_path / "single.cif"
    write_structure(pair, protein + second)
    write_structure(single, protein)
    assert run(["compare", str(pair), str(single), "--chain", "B:A", "--json"]) == 0
    mirrored = json.loads(capsys.readouterr().out)
    assert mirrored["chains"][0]["reference"] == "B"
    assert mirrored["tm_score"] < 0.4
    assert run(["compare", str(pair), str(single), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tm_score"] == 1.0


def test_residues_can_be_matched_by_number(
    example: Path, protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = protein[np.isin(protein.atom_name, ("N", "CA", "C", "O"))].copy()
    backbone.res_name[:] = "GLY"
    write_structure(tmp_path / "backbone.cif", backbone)
    arguments = ["compare", str(example), str(tmp_path / "backbone.cif"), "--json"]
    assert run(arguments) == 1
    assert "no residue in common" in capsys.readouterr().err
    assert run([*arguments, "--by-number", "--chain", "A:A"]) == 0
    assert json.loads(capsys.readouterr().out)["tm_score"] == 1.0


@pytest.mark.parametrize("swap", [False, True])
def test_a_missing_file_is_named(
    swap: bool, example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(example), str(tmp_path / "none.pdb")]
    assert run(["compare", *(reversed(paths) if swap else paths)]) == 1
    said = capsys.readouterr().err
    assert "none.pdb: no such file" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--chain", "A"], "'A' is not a pair of chains"),
        (["--chain", "A:"], "is not a pair of chains"),
        (["--chain", "Q:A"], "no protein chain 'Q'"),
        (["--chain", "A:A", "--chain", "A:A"], "twice"),
        (["--reference-model", "2"], "no model 2"),
    ],
)
def test_wrong_options_are_refused_by_name(
    arguments: list[str], problem: str, example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(example), str(example), *arguments]) == 1
    said = capsys.readouterr()
    assert problem in said.err
    assert said.out == ""


def test_choices_made_in_reading_are_told(
    protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_structure(tmp_path / "a.pdb", protein[:60])
    lines = (tmp_path / "a.pdb").read_text().splitlines()
    other = lines[0][:16] + "B" + lines[0][17:54] + "  0.30" + lines[0][60:]
    lines[0] = lines[0][:16] + "A" + lines[0][17:54] + "  0.70" + lines[0][60:]
    (tmp_path / "b.pdb").write_text("\n".join([lines[0], other, *lines[1:], ""]))
    assert run(["compare", str(tmp_path / "a.pdb"), str(tmp_path / "b.pdb"), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("b.pdb: A:1 MET: conformer A" in note for note in notes)
