"""Protein, DNA, ligand and ion through the command line and Python: planned, folded, shown."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest

import itda
from itda.errors import CapabilityError, InputError
from itda.job.model import Job
from tests.patience import PATIENCE_SECONDS

from .conftest import COMPLEX, PROTEIN, written
from .family import STEP_SECONDS

TOKENS = len(PROTEIN) + 7 + 31 + 1
ATP_ATOMS = 31


def confidence_of(folder: Path, name: str = "complex") -> dict:
    return json.loads((folder / f"{name}.confidence.json").read_bytes())


def test_files_speak_of_tokens_and_atoms(itda_command, tmp_path) -> None:
    written(tmp_path)
    itda_command("fold", "complex.json", "--model", "allatom", "--parameter", "steps=3")
    out = tmp_path / "complex_itda"
    found = confidence_of(out)
    tokens = found["tokens"]
    assert {len(values) for values in tokens.values()} == {TOKENS} == {len(found["plddt"])}
    assert tokens["chain_id"] == ["A"] * 22 + ["B"] * 7 + ["L"] * 31 + ["M"]
    assert tokens["atom_name"][:29] == [""] * 29
    assert tokens["atom_name"][29:33] == ["PG", "O1G", "O2G", "O3G"] and tokens["name"][-1] == "MG"
    assert [
        (chain["molecule"], chain["residues"], chain["tokens"]) for chain in found["chains"]
    ] == [("protein", 22, 22), ("dna", 7, 7), ("ligand", 1, 31), ("ion", 1, 1)]
    assert all(0 < chain["ptm"] < 1 for chain in found["chains"])
    assert len(found["chain_pairs"]) == 12
    assert all(0 < pair["iptm"] < 1 for pair in found["chain_pairs"])
    assert found["provenance"]["parameters"] == {"steps": 3}

    # The atoms, as a second parser reads them.
    model = gemmi.read_structure(str(out / "complex.cif"))[0]
    assert [chain.name for chain in model] == ["A", "B", "L", "M"]
    assert [residue.name for residue in model["B"]] == ["DG", "DA", "DT", "DT", "DA", "DC", "DA"]
    (adenosine,) = model["L"]
    assert len(adenosine) == ATP_ATOMS
    assert adenosine.het_flag == "H"
    # Confidence of an atom of the ligand is that of its token; a residue has the mean of its atoms.
    assert [round(atom.b_iso, 2) for atom in adenosine] == found["plddt"][29:60]
    first = [atom.b_iso for atom in model["A"][0]]
    assert np.mean(first) == pytest.approx(found["plddt"][0], abs=0.01)
    assert len(found["atom_plddt"]) == sum(1 for _ in model.all())

    with np.load(out / "complex.pae.npz", allow_pickle=False) as arrays:
        for name in ("pae", "pde", "contact_probabilities"):
            assert arrays[name].shape == (TOKENS, TOKENS)
            assert arrays[f"{name}_samples"].shape == (3, TOKENS, TOKENS)
        assert arrays["atom_name"].tolist() == tokens["atom_name"]


def test_the_rule_of_the_family_ranks(itda_command, tmp_path) -> None:
    written(tmp_path)
    itda_command("fold", "complex.json", "--model", "allatom")
    found = confidence_of(tmp_path / "complex_itda")
    assert found["ranked_by"] == "0.8_iptm_0.2_ptm"
    scores = [0.8 * one["iptm"] + 0.2 * one["ptm"] for one in found["ranking"]]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 3
    assert [one["score"] for one in found["ranking"]] == pytest.approx(scores, abs=2e-4)
    page = (tmp_path / "complex_itda" / "complex.html").read_text()
    assert "0.8 ipTM + 0.2 pTM" in page


def test_it_is_planned_in_tokens_and_refused_in_tokens(itda_command, tmp_path) -> None:
    written(tmp_path)
    assert f"{TOKENS} tokens" in itda_command("plan", "complex.json", "--model", "allatom").stdout
    many = [
        *COMPLEX["entities"][:2],
        {"ligand": {"id": [f"L{n}" for n in range(13)], "ccd": "ATP"}},
    ]
    written(tmp_path, "large.json", name="large", entities=many)
    done = itda_command("plan", "large.json", "--model", "allatom", status=1)
    assert "folds up to 400 tokens, and this has 432" in done.stdout + done.stderr
    small = itda_command(
        "fold", "complex.json", "--model", "allatom", "--parameter", "scale=3", status=1
    )
    assert "allatom has no such parameter" in small.stderr


def test_more_samples_compute_those_alone(itda_command, computed, tmp_path) -> None:
    written(tmp_path)
    fold = ("fold", "complex.json", "--model", "allatom", "--overwrite", "--samples")
    itda_command(*fold, 2)
    assert computed() == ["trunk complex 0", "sample complex 0 0", "sample complex 0 1"]
    itda_command(*fold, 5)
    assert computed() == [f"sample complex 0 {number}" for number in (2, 3, 4)]
    itda_command(*fold, 5, "--parameter", "steps=21")
    assert len(computed()) == 6


def test_several_jobs_are_one_run_and_each_is_as_it_is_alone(itda_command, tmp_path) -> None:
    names = ("first", "second")
    for name, samples in zip(names, (2, 2), strict=True):
        written(tmp_path, f"{name}.json", name=name, samples=samples, seeds=[len(name)])
    itda_command("fold", "first.json", "second.json", "--model", "allatom", "--out", "together")
    for name in names:
        itda_command(
            "fold",
            f"{name}.json",
            "--model",
            "allatom",
            "--out",
            f"alone_{name}",
            "--cache",
            "other_cache",
        )
        for file in (f"{name}.cif", f"{name}_sample_1.cif"):
            together, alone = (tmp_path / place / file for place in ("together", f"alone_{name}"))
            assert together.read_bytes() == alone.read_bytes()


def test_killed_and_resumed(environment, itda_command, computed, tmp_path) -> None:
    """What was done stays done, and the files are those of a run that nobody stopped."""
    written(tmp_path)
    command = [sys.executable, "-m", "itda", "fold", "complex.json", "--model", "allatom"]
    process = subprocess.Popen(
        [*command, "--out", "killed"],
        cwd=tmp_path,
        env={**environment, STEP_SECONDS: "0.05"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stages = tmp_path / "cache" / "stages"
    deadline = time.monotonic() + PATIENCE_SECONDS

    def kept() -> list[Path]:
        return list(stages.rglob("prediction.npz")) if stages.exists() else []

    while not [path for path in kept() if "waiting" not in path.parts]:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = computed()
    assert "sample complex 0 0" in before
    itda_command("fold", "complex.json", "--model", "allatom", "--out", "killed", "--overwrite")
    again = computed()
    assert "trunk complex 0" not in again and "sample complex 0 0" not in again
    assert "sample complex 0 2" in again
    itda_command(
        "fold", "complex.json", "--model", "allatom", "--out", "whole", "--cache", "other_cache"
    )
    for path in sorted((tmp_path / "whole").glob("*.cif")):
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes()


def test_python_gives_what_the_command_line_writes(here, itda_command, tmp_path) -> None:
    written(tmp_path)
    itda_command("fold", "complex.json", "--model", "allatom", "--parameter", "steps=4")
    found = itda.fold(Job.from_dict(COMPLEX), model="allatom", parameters={"steps": 4}, cache=False)
    assert found.ranking.name == "0.8_iptm_0.2_ptm"
    best = found.best
    assert best.pde.shape == best.contact_probabilities.shape == (TOKENS, TOKENS)
    assert [chain.molecule for chain in best.chain_confidence()] == [
        "protein", "dna", "ligand", "ion",
    ]  # fmt: skip
    saved = found.save(tmp_path / "python")
    written_there = tmp_path / "complex_itda" / saved["structure"].name
    assert saved["structure"].read_bytes() == written_there.read_bytes()


def test_modified_residues_and_smiles_are_tokens_by_atom(here) -> None:
    job = Job.from_dict(
        {
            "version": 1,
            "name": "odd",
            "entities": [
                {
                    "protein": {
                        "sequence": "GSG",
                        "modifications": [{"position_1based": 2, "ccd": "SEP"}],
                    }
                },
                {"ligand": {"smiles": "CC(=O)O"}},
            ],
        }
    )
    best = itda.fold(job, model="allatom", cache=False).best
    assert len(best.plddt) == 2 + 11 + 4
    assert best.residue_count == 4 and len(best.residue_plddt) == 4


def test_other_families_name_the_one_that_can(here, monkeypatch) -> None:
    with pytest.raises(CapabilityError) as caught:
        itda.fold(Job.from_dict(COMPLEX), cache=False)
    assert 'model="allatom"' in str(caught.value)
    with pytest.raises((CapabilityError, InputError), match="steps"):
        itda.fold(Job.from_dict(COMPLEX), model="allatom", parameters={"steps": 0})
