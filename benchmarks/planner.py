"""What the planner says beside what happens: memory, seconds, and who is let in.

    taskset -c 0 env OMP_NUM_THREADS=1 python benchmarks/planner.py

First this machine is calibrated, as `itda bench calibrate` does it. Then random folds are drawn:
family, sizes, jobs at once, samples, recycles, and a limit of memory. The planner is asked about
each, and each is folded in a fresh process whose peak is measured. A fold is admitted rightly when
its peak is at most the limit. `enforced` draws have their limit set by the system (`ulimit -v`):
there a fold is admitted rightly when it ends, and refused rightly when it runs out of memory.

Seconds are processor seconds on one core, which other programs lengthen little. ESMFold has random
weights at small sizes. What was measured is kept in --folder, so that the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ESMFOLD = {
    "hidden_size": 320,
    "num_hidden_layers": 6,
    "num_attention_heads": 20,
    "intermediate_size": 1280,
    "esmfold_config": {
        "fp16_esm": False,
        "trunk": {
            "num_blocks": 4,
            "sequence_state_dim": 256,
            "pairwise_state_dim": 128,
            "sequence_head_width": 32,
            "pairwise_head_width": 32,
            "chunk_size": None,
            "structure_module": {"sequence_dim": 384, "pairwise_dim": 128, "num_blocks": 8},
        },
    },
}
"""Pair channels, heads and structure module of `esmfold_v1`; fewer blocks and single channels."""

SIZES = {"mini": (24, 700), "flashabb": (190, 300), "esmfold": (24, 320)}
SMALLEST_LIMIT, LARGEST_LIMIT = 0.3e9, 1.5e9
ADDRESS_SPACE = 0.45e9
"""About what a process takes beside its memory, so that enforced limits are near what is needed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=80)
    parser.add_argument("--enforced", type=int, default=24)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where what was measured is kept")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/planner.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        from itda.hub.folders import weights_folder

        os.environ["ITDA_WEIGHTS"] = str(weights_folder())
        os.environ["ITDA_HOME"] = str(folder)
        values = run(folder, arguments.draws, arguments.enforced, arguments.seed)
    from itda.bench.record import write_record

    write_record(arguments.output, "planner", values)
    print(json.dumps({name: value for name, value in values.items() if name != "draws"}, indent=2))


def run(folder: Path, count: int, enforced: int, seed: int) -> dict[str, Any]:
    from itda.cost.calibrate import calibrate
    from itda.cost.calibration import find
    from itda.cost.devices import describe
    from itda.hub.weights import read_card

    weights = {"esmfold": small_esmfold(folder)}
    families = ("mini", "flashabb", "esmfold")
    device = describe("cpu")
    sizes = read_card(weights["esmfold"]).config
    known = [
        find(name, device, sizes if name in weights else None).origin == "measured here"
        for name in families
    ]
    wanted = [name for name, there in zip(families, known, strict=True) if not there]
    fitted = calibrate(
        wanted, "cpu", lambda part, text: say(f"{part:4.0%} {text}"), weights=weights
    )
    notes = folder / "calibrated.json"
    kept = json.loads(notes.read_text()) if notes.exists() else {}
    kept |= {
        one.family: {
            "folds": one.points,
            **{
                name: dataclasses.asdict(getattr(one, name))
                for name in ("bytes_error", "seconds_error", "seconds_left_out")
            },
            "constants": one.constants.to_dict(),
        }
        for one in fitted
    }
    notes.write_text(json.dumps(kept))
    draws = draw(count, enforced, seed)
    rows = judged(measured(draws, weights, folder), weights)
    return {
        "device": device.shown,
        "esmfold": "random weights, small sizes: " + json.dumps(ESMFOLD),
        "calibration": kept,
        **summary(rows),
        "draws": rows,
    }


def small_esmfold(folder: Path) -> Path:
    """Write random weights of small sizes, unless they are there."""
    from itda.hub.convert import write_converted
    from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
    from itda.parity import esmfold as parity

    path = folder / "esmfold-small.safetensors"
    if not path.is_file():
        state, document = parity.published({**parity.SMALL, **ESMFOLD})
        converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
        write_converted(path, converted, family="esmfold", name="random", licence="MIT")
    return path


def draw(count: int, enforced: int, seed: int) -> list[dict[str, Any]]:
    """Draw folds and limits; nothing that is predicted or measured has a part in it."""
    chance = random.Random(seed)

    def between(least: float, most: float) -> float:
        return float(least * (most / least) ** chance.random())

    draws = []
    for place in range(count):
        family = chance.choice(("mini", "mini", "flashabb", "esmfold"))
        jobs = chance.choice((1, 1, 1, 2, 4, 8)) if family != "esmfold" else 1
        smallest, largest = {"mini": (24, 700), "flashabb": (190, 300), "esmfold": (24, 420)}[
            family
        ]
        if jobs > 1:
            largest = min(largest, 320)
        limit = between(SMALLEST_LIMIT, LARGEST_LIMIT)
        draws.append(
            {
                "family": family,
                "tokens": [round(between(smallest, largest)) for _ in range(jobs)],
                "samples": chance.choice((1, 1, 1, 2)) if family == "mini" else 1,
                "recycles": None if family == "flashabb" else chance.choice((0, 0, 1)),
                "limit_bytes": round(limit),
                "enforced": place < enforced,
            }
        )
    return draws


def measured(
    draws: list[dict[str, Any]], weights: dict[str, Path], folder: Path
) -> list[dict[str, Any]]:
    from itda.cost.measure import Case, ExhaustedError, measure

    notes = folder / "draws.jsonl"
    lines = notes.read_text().splitlines() if notes.exists() else []
    rows = [json.loads(line) for line in lines]
    for place, one in enumerate(draws):
        if place < len(rows):
            assert all(rows[place][key] == value for key, value in one.items()), "other draws"
            continue
        own = weights.get(one["family"])
        case = Case(
            family=one["family"],
            tokens=tuple(one["tokens"]),
            samples=one["samples"],
            recycles=one["recycles"],
            weights=str(own) if own else None,
            repeats=3,
        )
        answer = measure(case)
        peak = max(answer.bytes, answer.loading_bytes)
        row = {
            **one,
            "bytes": peak,
            "seconds": answer.seconds,
        }
        if one["enforced"]:
            # The same limit on memory, with what a process takes of address space beside it.
            limit = round(one["limit_bytes"] + ADDRESS_SPACE)
            row["address_limit_bytes"] = limit
            try:
                measure(dataclasses.replace(case, address_limit=limit, repeats=1))
                row["fitted"] = True
            except ExhaustedError as error:
                row["fitted"] = False
                row["said"] = str(error)[-200:]
        else:
            row["fitted"] = peak <= one["limit_bytes"]
        rows.append(row)
        with notes.open("a") as file:
            file.write(json.dumps(row) + "\n")
        say(f"{place + 1}/{len(draws)} {row}")
    return rows


def judged(rows: list[dict[str, Any]], weights: dict[str, Path]) -> list[dict[str, Any]]:
    """Ask the planner about each draw."""
    from itda.cost.measure import Case
    from itda.cost.predictor import Predictor
    from itda.models.registry import get_family

    found = []
    for row in rows:
        asked = Predictor(
            get_family(row["family"]),
            "cpu",
            limit_bytes=row["limit_bytes"],
            weights=weights.get(row["family"]),
        )
        load = Case(
            family=row["family"],
            tokens=tuple(row["tokens"]),
            samples=row["samples"],
            recycles=row["recycles"],
        ).load
        cost = asked.cost(load)
        admitted = asked.fits(load)
        if row["enforced"]:
            beside = asked.calibration.constants.address_bytes
            admitted = cost.bytes <= row["address_limit_bytes"] - beside
        found.append(
            {
                **row,
                "predicted_bytes": cost.bytes,
                "predicted_seconds": cost.seconds,
                "admitted": admitted,
            }
        )
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "all": shares(rows),
        **{
            f"of {family}": shares([row for row in rows if row["family"] == family])
            for family in ("mini", "flashabb", "esmfold")
        },
        "enforced": shares([row for row in rows if row["enforced"]]),
    }


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    if not rows:
        return {"draws": 0}
    right = [row["admitted"] == row["fitted"] for row in rows]
    found: dict[str, Any] = {
        "draws": len(rows),
        "admitted": sum(row["admitted"] for row in rows),
        "right": sum(right),
        "right_share": sum(right) / len(rows),
        "admitted_wrongly": sum(row["admitted"] and not row["fitted"] for row in rows),
        "refused_wrongly": sum(row["fitted"] and not row["admitted"] for row in rows),
    }
    for what in ("bytes", "seconds"):
        errors = [abs(row[f"predicted_{what}"] / row[what] - 1) for row in rows]
        found[f"{what}_error"] = {
            "median": statistics.median(errors),
            "worst": max(errors),
            "within_15_percent": sum(error <= 0.15 for error in errors) / len(errors),
            "within_25_percent": sum(error <= 0.25 for error in errors) / len(errors),
        }
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
