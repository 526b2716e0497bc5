"""Weights of the real family through the command line: whole ones fold, others are refused."""

import json
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

from itda.cli.main import run

SEQUENCE = "MQIFVKTLTGKTITLEVEPS"
SMALL = {
    "single_channels": 32,
    "pair_channels": 16,
    "blocks": 1,
    "single_heads": 2,
    "structure_channels": 32,
    "structure_heads": 2,
    "structure_steps": 1,
    "recycles": 0,
    "confidence_channels": 16,
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Untrained weights of a small network, as a training run would leave them."""
    import torch

    from itda.hub import weights
    from itda.models.mini.config import MiniConfig
    from itda.models.mini.modeling import Mini

    config = MiniConfig(**SMALL)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    card = {
        "family": "mini",
        "name": "small",
        "licence": "CC0-1.0",
        "config": config.model_dump(mode="json"),
    }
    weights.save(path, Mini(config).state_dict(), card=card)
    return path


@pytest.fixture
def weights(trained, tmp_path, monkeypatch) -> Path:
    """A copy to harm, in an empty folder to work in."""
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for path in trained.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "x.fa").write_text(f">protein\n{SEQUENCE}\n")
    return tmp_path / trained.name


def fold(weights: Path, *more: str) -> int:
    return run(["fold", "x.fa", "--weights", str(weights), "--device", "cpu", *more])


def test_whole_weights_fold(weights, capsys) -> None:
    assert fold(weights, "--samples", "2") == 0
    confidence = json.loads(Path("x_itda/protein.confidence.json").read_bytes())
    card = json.loads(weights.with_suffix(".json").read_bytes())
    assert confidence["provenance"]["weights_digest"].endswith(card["sha256"])
    assert confidence["provenance"]["weights_licence"] == "CC0-1.0"
    assert confidence["validity"]["d_residues"] == []
    chain = gemmi.read_structure("x_itda/protein.cif")[0]["A"]
    assert gemmi.one_letter_code([residue.name for residue in chain]) == SEQUENCE
    with np.load("x_itda/protein.pae.npz") as archive:
        assert archive["pae_samples"].shape == (2, 20, 20)


def test_second_run_is_found_again(weights, capsys) -> None:
    assert fold(weights) == 0
    before = Path("x_itda/protein.confidence.json").read_bytes()
    assert fold(weights) == 0
    assert "found again" in capsys.readouterr().err
    assert Path("x_itda/protein.confidence.json").read_bytes() == before


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARM = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "emptied": lambda path: os.truncate(path, 0),
    "one bit altered": flip_a_bit,
    "card gone": lambda path: path.with_suffix(".json").unlink(),
    "card torn": lambda path: os.truncate(path.with_suffix(".json"), 40),
    "card of other sizes": lambda path: path.with_suffix(".json").write_text(
        json.dumps(
            {
                **(card := json.loads(path.with_suffix(".json").read_bytes())),
                "config": {**card["config"], "pair_channels": 32},
            }
        )
    ),
    "card of another family": lambda path: path.with_suffix(".json").write_text(
        path.with_suffix(".json").read_text().replace('"mini"', '"maxi"')
    ),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_harmed_weights_are_refused_and_nothing_is_folded(weights, capsys, harm) -> None:
    harm(weights)
    assert fold(weights) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ") and "small" in shown and "unexpected" not in shown
    assert not list(Path("x_itda").glob("protein.*"))


def test_harmed_weights_are_refused_though_results_are_kept(weights, capsys) -> None:
    assert fold(weights) == 0
    before = Path("x_itda/protein.cif").read_bytes()
    flip_a_bit(weights)
    assert fold(weights, "--overwrite", "--out", "other") == 1
    assert Path("x_itda/protein.cif").read_bytes() == before
    assert not Path("other/protein.cif").exists()
