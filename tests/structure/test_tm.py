"""TM-score and GDT-TS against tmtools and against the TM-score program."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tmtools

from itda.structure.superpose import superpose
from itda.structure.tm import (
    gdt_ts,
    score_superpositions,
    tm_distance_scale,
    tm_score,
    tm_superpose,
)


def models(true: np.ndarray, bent: np.ndarray) -> dict[str, np.ndarray]:
    place = np.arange(len(true))[:, np.newaxis]
    return {
        "bent": bent,
        "mirror": true * [1, 1, -1],
        "stretched": np.round(true * 1.15, 3),
        "wavy": np.round(true + 3 * np.sin(place / [2.0, 3.0, 4.0]), 3),
        "shifted": np.roll(true, 3, axis=0),
    }


# Written by TMscore (2019/08/22) for the models above: TM-score, GDT-TS.
PROGRAM = {
    "bent": (0.5850, 0.6382),
    "mirror": (0.3083, 0.3355),
    "stretched": (0.7764, 0.7533),
    "wavy": (0.4717, 0.5033),
    "shifted": (0.2424, 0.2928),
}


def tmtools_score(model: np.ndarray, true: np.ndarray) -> float:
    letters = "A" * len(true)
    return float(tmtools.tm_align(model, true, letters, letters, [letters, letters]).tm_norm_chain2)


@pytest.mark.parametrize("name", ["bent", "mirror", "stretched", "wavy", "shifted"])
def test_tm_agrees_with_tmtools(name: str, ubiquitin_ca: np.ndarray, bent: np.ndarray) -> None:
    model = models(ubiquitin_ca, bent)[name]
    assert tm_score(model, ubiquitin_ca) == pytest.approx(
        tmtools_score(model, ubiquitin_ca), abs=1e-3
    )


@pytest.mark.parametrize("seed", range(12))
def test_tm_agrees_with_tmtools_at_any_quality(seed: int, ubiquitin_ca: np.ndarray) -> None:
    rng = np.random.default_rng(seed)
    cut = slice(int(rng.integers(0, 20)), int(rng.integers(45, 76)))
    true = ubiquitin_ca[cut]
    model = true + np.cumsum(rng.normal(size=true.shape), axis=0) * rng.uniform(0.1, 2.0)
    assert tm_score(model, true) == pytest.approx(tmtools_score(model, true), abs=3e-3)


@pytest.mark.parametrize("name", list(PROGRAM))
def test_scores_agree_with_the_program(
    name: str, ubiquitin_ca: np.ndarray, bent: np.ndarray
) -> None:
    model = models(ubiquitin_ca, bent)[name]
    tm, gdt = PROGRAM[name]
    assert tm_score(model, ubiquitin_ca) == pytest.approx(tm, abs=1e-3)
    assert gdt_ts(model, ubiquitin_ca) == pytest.approx(gdt, abs=1e-3)


def run_program(folder: Path, model: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Give TM-score and GDT-TS by the program; rows that are NaN are left out."""
    for file, points in (("model.pdb", model), ("true.pdb", true)):
        lines = [
            f"ATOM  {row:5d}  CA  ALA A{row:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
            for row, (x, y, z) in enumerate(points, 1)
            if np.isfinite(x)
        ]
        (folder / file).write_text("\n".join([*lines, "END", ""]))
    command = ["TMscore", "model.pdb", "true.pdb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    tm = re.search(r"TM-score\s+= (\S+)", done.stdout)
    gdt = re.search(r"GDT-TS-score= (\S+)", done.stdout)
    assert tm and gdt
    return float(tm[1]), float(gdt[1])


needs_program = pytest.mark.skipif(
    shutil.which("TMscore") is None, reason="the TMscore program is not installed"
)


@needs_program
def test_the_program_still_says_so(
    tmp_path: Path, ubiquitin_ca: np.ndarray, bent: np.ndarray
) -> None:
    for name, model in models(ubiquitin_ca, bent).items():
        assert run_program(tmp_path, model, ubiquitin_ca) == pytest.approx(PROGRAM[name], abs=1e-4)


def pair(seed: int, ubiquitin_ca: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A reference of any length and a model of any quality, some with residues left out."""
    rng = np.random.default_rng(seed)
    true = ubiquitin_ca[int(rng.integers(0, 30)) :]
    if seed % 3 == 0:
        steps = rng.normal(size=(int(rng.integers(20, 160)), 3))
        true = np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    drift = np.cumsum(rng.normal(size=true.shape), axis=0)
    model = true + drift * rng.uniform(0, 0.8) + rng.normal(size=true.shape) * rng.uniform(0, 2)
    if seed % 2:
        model[rng.random(len(model)) < rng.uniform(0, 0.6)] = np.nan
    return np.round(model, 3), np.round(true, 3)


@needs_program
@pytest.mark.parametrize("seed", range(60))
def test_scores_are_those_of_the_program(
    seed: int, tmp_path: Path, ubiquitin_ca: np.ndarray
) -> None:
    model, true = pair(seed, ubiquitin_ca)
    found, gdt = score_superpositions(model, true)
    assert (found.score, gdt) == pytest.approx(run_program(tmp_path, model, true), abs=1e-3)


def test_one_superposition_of_all_residues_is_not_enough(
    ubiquitin_ca: np.ndarray, bent: np.ndarray
) -> None:
    moved = superpose(bent, ubiquitin_ca).apply(bent)
    squared = np.square(moved - ubiquitin_ca).sum(axis=-1)
    plain = float((1 / (1 + squared / tm_distance_scale(76) ** 2)).mean())
    assert tm_score(bent, ubiquitin_ca) > plain + 0.05


def test_the_superposition_gives_the_score(ubiquitin_ca: np.ndarray, bent: np.ndarray) -> None:
    best = tm_superpose(bent, ubiquitin_ca)
    squared = np.square(best.superposition.apply(bent) - ubiquitin_ca).sum(axis=-1)
    assert float((1 / (1 + squared / tm_distance_scale(76) ** 2)).mean()) == pytest.approx(
        best.score
    )
    assert np.linalg.det(best.superposition.rotation) == pytest.approx(1.0)


def test_perfect_and_moved_models_score_one(ubiquitin_ca: np.ndarray) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    moved = ubiquitin_ca @ (rotation * np.sign(np.linalg.det(rotation))) + 300
    assert tm_score(moved, ubiquitin_ca) == pytest.approx(1.0)
    assert gdt_ts(moved, ubiquitin_ca) == 1.0


def test_a_mirror_image_is_another_fold(ubiquitin_ca: np.ndarray) -> None:
    mirrored = ubiquitin_ca * [1, 1, -1]
    assert tm_score(mirrored, ubiquitin_ca) < 0.4
    assert gdt_ts(mirrored, ubiquitin_ca) < 0.4


def test_residues_that_the_model_lacks_lower_the_scores(ubiquitin_ca: np.ndarray) -> None:
    model = ubiquitin_ca.copy()
    model[38:] = np.nan
    assert tm_score(model, ubiquitin_ca) == pytest.approx(0.5, abs=1e-6)
    assert gdt_ts(model, ubiquitin_ca) == pytest.approx(0.5)
    assert tm_score(model, ubiquitin_ca, length=38) == pytest.approx(1.0)


def test_masked_residues_take_no_part(ubiquitin_ca: np.ndarray) -> None:
    model = ubiquitin_ca.copy()
    model[:10] += np.random.default_rng(0).normal(size=(10, 3)) * 30
    mask = np.arange(76) >= 10
    assert tm_score(model, ubiquitin_ca, mask=mask) == pytest.approx(1.0)
    assert gdt_ts(model, ubiquitin_ca, mask=mask) == 1.0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_few_residues_are_enough(count: int, ubiquitin_ca: np.ndarray) -> None:
    assert tm_score(ubiquitin_ca[:count] + 5, ubiquitin_ca[:count]) == pytest.approx(1.0)
    assert gdt_ts(ubiquitin_ca[:count] + 5, ubiquitin_ca[:count]) == 1.0


def test_gdt_cutoffs_are_counted_apart(ubiquitin_ca: np.ndarray, bent: np.ndarray) -> None:
    by_cutoff = [gdt_ts(bent, ubiquitin_ca, cutoffs_angstrom=[cut]) for cut in (1.0, 2.0, 4.0, 8.0)]
    assert by_cutoff == sorted(by_cutoff)
    assert gdt_ts(bent, ubiquitin_ca) == pytest.approx(np.mean(by_cutoff), abs=0.02)


def test_no_residue_in_common_is_an_error(ubiquitin_ca: np.ndarray) -> None:
    for function in (tm_score, gdt_ts):
        with pytest.raises(ValueError, match="no residue"):
            function(np.full((76, 3), np.nan), ubiquitin_ca)
