import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from biotite.structure import AtomArray

import itda
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
    said = capsys.readouterr().err
    assert "no residue in common" in said
    # What is said to work works, alone and together.
    assert "--chain A:A" in said
    assert "--by-number" in said
    for options in (["--by-number"], ["--chain", "A:A"], ["--by-number", "--chain", "A:A"]):
        assert run([*arguments, *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["tm_score"] == found["lddt_all_atom"] == found["coverage"] == 1.0
        assert found["chains"][0]["paired_by"] == "number"


@pytest.mark.parametrize("nameless", ["reference", "model", "both"])
def test_a_chain_without_a_name_can_be_named(
    nameless: str, protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    designed = protein[np.isin(protein.atom_name, ("N", "CA", "C", "O"))].copy()
    designed.res_name[:] = "ALA"
    write_structure(tmp_path / "whole.pdb", protein)
    write_structure(tmp_path / "designed.pdb", designed)
    for name in ("reference", "model") if nameless == "both" else (nameless,):
        path = tmp_path / ("whole.pdb" if name == "reference" else "designed.pdb")
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line[:21] + " " + line[22:] for line in lines) + "\n")
    arguments = ["compare", str(tmp_path / "whole.pdb"), str(tmp_path / "designed.pdb")]
    assert run(arguments) == 1
    said = capsys.readouterr().err
    pair = {"reference": ":A", "model": "A:", "both": ":"}[nameless]
    assert f"--chain {pair}," in said
    assert run([*arguments, "--chain", pair, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tm_score"] == 1.0


def test_a_designed_sequence_numbered_anew_is_paired_by_place(
    protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    designed = protein[np.isin(protein.atom_name, ("N", "CA", "C", "O"))].copy()
    designed.res_name[:] = "GLY"
    designed.res_id += 500
    for atoms, name in ((protein, "whole.pdb"), (designed, "designed.pdb")):
        write_structure(tmp_path / name, atoms)
    arguments = [str(tmp_path / name) for name in ("whole.pdb", "designed.pdb")]
    assert run(["compare", *arguments, "--chain", "A:A", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tm_score"] == 1.0
    assert any("they are paired one after another" in note for note in found["notes"])


def test_designed_chains_are_paired_by_number_and_name(
    protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = protein.copy()
    second.chain_id[:] = "B"
    second.label_asym_id[:] = "B"
    second.coord = second.coord + np.float32(40)
    both = protein + second
    designed = both[np.isin(both.atom_name, ("N", "CA", "C", "O"))].copy()
    designed.res_name[:] = "GLY"
    write_structure(tmp_path / "both.cif", both)
    write_structure(tmp_path / "designed.cif", designed)
    arguments = [str(tmp_path / "both.cif"), str(tmp_path / "designed.cif")]
    assert run(["compare", *arguments, "--by-number", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["reference"], one["model"]) for one in found["chains"]] == [
        ("A", "A"),
        ("B", "B"),
    ]
    assert found["tm_score"] == 1.0


def test_names_of_simulation_programs_are_told(
    example: Path, protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protein.res_name[protein.res_name == "HIS"] = "HIE"
    protein.res_name[protein.res_name == "ASP"] = "ASH"
    write_structure(tmp_path / "amber.pdb", protein)
    assert run(["compare", str(example), str(tmp_path / "amber.pdb"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_aligned"], found["lddt_all_atom"]) == (76, 1.0)
    assert found["chains"][0]["identity"] == 1.0
    assert found["per_residue"][67]["model"] == "A:68 HIE"
    assert {"model: 1 HIE read as HIS", "model: 5 ASH read as ASP"} <= set(found["notes"])


def test_a_part_is_scored_beside_the_whole(
    example: Path, protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_structure(tmp_path / "part.pdb", protein[protein.res_id <= 38])
    arguments = ["compare", str(example), str(tmp_path / "part.pdb")]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "whole reference" in said
    assert "the 38 residues alone that both have" in " ".join(said.split())
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tm_score"], found["gdt_ts"]) == (0.5, 0.5)
    assert set(found["matched_part"].values()) == {1.0}
    assert run(["compare", str(example), str(example)]) == 0
    assert "whole reference" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["moved.cif", "moved.bcif.gz", "moved.pdb"])
def test_the_model_is_written_onto_the_reference(
    name: str, example: Path, protein: AtomArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = protein.copy()
    second.chain_id[:] = "Z"
    second.coord = second.coord + np.float32(30)
    model = protein + second
    model.res_name[model.res_id == 68] = "HIE"
    model.element[model.atom_name == "OH"] = "H"
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    away = model.copy()
    away.coord = (model.coord @ turn + 17.0).astype(np.float32)
    for category in ("label_asym_id", "label_seq_id", "label_entity_id"):
        away.del_annotation(category)
    write_structure(tmp_path / "away.cif", away)
    target = tmp_path / name
    arguments = ["compare", str(example), str(tmp_path / "away.cif"), "--superposed", str(target)]
    assert run([*arguments, "--chain", "A:A"]) == 0
    assert str(target.name) in capsys.readouterr().out.replace("\n", "")
    written = read_structure(target)
    # All chains and atoms are there, hydrogens too, as they were called, where the reference is.
    for category in ("chain_id", "res_id", "res_name", "atom_name"):
        assert written.get_annotation(category).tolist() == model.get_annotation(category).tolist()
    assert np.abs(written.coord - model.coord).max() < 0.01
    before = target.read_bytes()
    assert run(arguments) == 1
    assert "is there already" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert run([*arguments, "--overwrite"]) == 0


def test_an_input_is_never_written_over(
    example: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", str(example), str(model), "--superposed", str(model), "--overwrite"]
    before = model.read_bytes()
    assert run(arguments) == 1
    assert "one of the structures to compare" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_several_models_are_compared_each_on_its_own(
    example: Path,
    model: Path,
    protein: AtomArray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    write_structure(folder / "same.pdb", protein)
    (folder / "broken.pdb").write_text("nothing\n")
    arguments = ["compare", str(example), str(folder), str(model)]
    assert run(arguments) == 2
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    by_name = {Path(row[0]).name: row for row in rows if row}
    assert by_name["same.pdb"][1:6] == ["1.000", "1.000", "1.000", "1.000", "0.00"]
    assert by_name["model.pdb"][6:9] == ["70", "of", "76"]
    assert "broken.pdb" in said.err
    assert run([*arguments, "--json"]) == 2
    listed = json.loads(capsys.readouterr().out)
    assert [Path(one["model"]).name for one in listed] == ["broken.pdb", "same.pdb", "model.pdb"]
    assert ["error" in one for one in listed] == [True, False, False]
    assert run(["compare", str(example), str(folder / "broken.pdb"), str(tmp_path / "no.pdb")]) == 1
    capsys.readouterr()
    assert run(["compare", str(example), str(folder / "s*.pdb"), str(model)]) == 0
    assert "same.pdb" in capsys.readouterr().out


def test_several_models_are_superposed_into_a_folder(
    example: Path,
    model: Path,
    protein: AtomArray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_structure(tmp_path / "same.cif", protein)
    arguments = ["compare", str(example), str(model), str(tmp_path / "same.cif")]
    assert run([*arguments, "--superposed", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.pdb", "same.cif"]


def test_python_has_what_the_command_has(example: Path, model: Path, protein: AtomArray) -> None:
    found = itda.compare(example, str(model))
    assert found.n_aligned == 70
    assert found.tm_score < found.matched_part.tm_score
    assert itda.compare(protein, example).tm_score == 1.0
    assert np.allclose(found.motion.move(protein).coord, protein.coord, atol=1.0)


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
        (["--chain", "A:B:C"], "is not a pair of chains"),
        (["--chain", "A:"], "the model has no protein chain without a name"),
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
