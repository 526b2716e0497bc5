"""Thresholds of verdicts, chosen from tables of folds."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture
def verdicts(monkeypatch):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("verdicts", ROOT / "benchmarks/verdicts.py")
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up there.
    monkeypatch.setitem(sys.modules, "verdicts", module)
    spec.loader.exec_module(module)
    return module


def table(rows: list[dict], **more: object) -> dict:
    return {"weights_sha256": "0", "side_chains": {"true": 1, "of": 2}, "scores": rows, **more}


def row(chain: object, plddt: float, tm_score: float, method: str = "mini, templates") -> dict:
    return {
        "chain": str(chain), "method": method, "residues": 100, "plddt": plddt / 100,
        "tm_score": tm_score, "lddt_ca": 0.5,
    }  # fmt: skip


def test_what_is_shipped_was_measured() -> None:
    measured = json.loads((RESULTS / "verdicts.json").read_text())
    shipped = json.loads((ROOT / "src/itda/models/mini/verdicts.json").read_text())
    assert shipped == measured["shipped"]


def test_what_was_measured_is_measured_again(verdicts) -> None:
    measured = json.loads((RESULTS / "verdicts.json").read_text())
    found = json.loads((RESULTS / measured["source"]).read_text())
    again = {"weights_sha256": found["weights_sha256"], "score": verdicts.score_name(found)}
    again |= verdicts.choose(verdicts.read_folds(found))
    assert {key: measured["shipped"][key] for key in again} == json.loads(json.dumps(again))


def test_said_and_found_agree_on_the_other_half() -> None:
    for name, one in json.loads((RESULTS / "verdicts.json").read_text())[
        "cross_validation"
    ].items():
        if one["mean_count"] >= 20:
            assert abs(one["said"] - one["found"]) < 0.05, name


def test_bands_are_found(verdicts) -> None:
    rows = [row(n, 30 + n * 0.6, 0.9 if n * 0.6 > 20 else 0.1) for n in range(100)]
    bands = verdicts.choose_bands(verdicts.read_folds(table(rows)))
    assert [band["level"] for band in bands] == ["untrusted", "trusted"]
    assert bands[0]["below_score"] == bands[1]["from_score"] == 50
    assert (bands[1]["right"], bands[1]["of"]) == (66, 66)


def test_few_chains_are_not_enough_for_trust(verdicts) -> None:
    rows = [row(n, 30, 0.1) for n in range(50)] + [row(f"r{n}", 80, 0.9) for n in range(6)]
    assert verdicts.choose_bands(verdicts.read_folds(table(rows)))[-1]["level"] == "plausible"


def test_folds_of_a_chain_are_one_witness(verdicts) -> None:
    rows = [row("a", 80, 0.9), row("a", 81, 0.1), row("b", 80, 0.9)]
    folds = verdicts.read_folds(table([*rows, rows[0]]))
    assert len(folds) == 3
    assert verdicts.count(folds, lambda fold: fold.right) == (2, 2)  # one and a half
    assert verdicts.count(folds[:2], lambda fold: fold.right)[1] == 1


def test_columns_decide_and_names_of_methods_do_without(verdicts) -> None:
    rows = [
        row("a", 80, 0.9, "mini, sequence + profile + templates, any"),
        row("b", 80, 0.9, "mini, sequence only"),
        {**row("c", 80, 0.9, "mini, default"), "templates": 2, "alignment": False},
        row("d", float("nan"), 0.9, "best template copied"),
    ]
    folds = {fold.chain: fold for fold in verdicts.read_folds(table(rows))}
    assert {name: fold.templates for name, fold in folds.items()} == {
        "a": True, "b": False, "c": True,
    }  # fmt: skip
    assert folds["a"].alignment and not folds["c"].alignment


def test_ptm_counts_where_all_have_it(verdicts) -> None:
    rows = [{**row("a", 80, 0.9), "ptm": 0.4}, {**row("b", 80, 0.9), "ptm": 0.6}]
    assert [fold.score for fold in verdicts.read_folds(table(rows))] == [60.0, 70.0]
    del rows[1]["ptm"]
    assert [fold.score for fold in verdicts.read_folds(table(rows))] == [80.0, 80.0]


def test_places_are_compared_with_the_experiment(verdicts) -> None:
    random = np.random.default_rng(0)
    true = random.normal(size=(80, 3)) * 10
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = true @ turn + 5.0
    plddt, lddt = np.full(80, 90.0), np.full(80, 0.9)
    plddt[:5], lddt[:4] = 30.0, 0.1
    pae = np.full((80, 80), 20.0)
    pae[:40, :40] = pae[40:, 40:] = 2.0
    columns = verdicts.columns_of(plddt, pae, lddt, moved, true)
    assert columns["low"]["50"] == [5, 4, 75, 0]
    assert columns["apart"]["10"] == [1, 0]
    moved[40:] += 9.0
    assert verdicts.columns_of(plddt, pae, lddt, moved, true)["apart"]["10"] == [1, 1]


def test_it_reads_what_eval_writes(verdicts) -> None:
    found = json.loads((RESULTS / "eval_test_clusters.json").read_text())
    folds = verdicts.read_folds(found)
    assert len({fold.chain for fold in folds}) == 253 and verdicts.score_name(found) == "plddt"
