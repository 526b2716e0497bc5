"""ESMFold at full size with random weights beside `transformers`: numbers, seconds, memory.

Both sides have the same random weights (the language model's in half precision, as published) and
run in processes of their own, in turn, on one thread: `reference`, and `auto`, which is what a user
gets. `float32` is ours with the language model in float32, for the comparison of numbers. Seconds
are processor seconds of one fold with one recycle; memory is the peak of the whole process, loading
included.

    python benchmarks/esmfold.py --lengths 64 128 256 --repeats 3

It takes 19 GB of memory, 9 GB of disk, and about half an hour.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import write_record

RECYCLES = 1
SIDES = ("reference", "float32", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, nargs="+", default=[3])
    parser.add_argument("--folder", type=Path, help="where the weights go; kept if given")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        serve(arguments.side, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder)
        values = measure(arguments.lengths, arguments.repeats, folder)
        write_record(ROOT / "benchmarks/results/esmfold.json", "esmfold", values)


def prepare(folder: Path) -> None:
    """Write our converted weights, unless they are there."""
    from itda.hub.convert import write_converted
    from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
    from itda.parity import esmfold as parity

    if (folder / "esmfold.safetensors").is_file():
        return
    state, document = parity.published(parity.FULL)
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    write_converted(folder / "esmfold.safetensors", converted, family="esmfold", name="random")


def measure(lengths: list[int], repeats: list[int], folder: Path) -> dict[str, Any]:
    counts = repeats * len(lengths) if len(repeats) == 1 else repeats
    answers: dict[str, dict[int, list[dict[str, Any]]]] = {
        side: {length: [] for length in lengths} for side in SIDES
    }

    def fold(child: Child, length: int) -> None:
        answers[child.side][length].append(child.fold(length))
        print(length, child.side, answers[child.side][length][-1], file=sys.stderr, flush=True)

    # By itself, since there is no room for three.
    exact = Child("float32", folder)
    for length in lengths:
        fold(exact, length)
    exact.close()
    children = [Child(side, folder) for side in ("reference", "auto")]
    for length, count in zip(lengths, counts, strict=True):
        for _ in range(count):
            for child in children:
                fold(child, length)
    for child in children:
        child.close()
    rows = [
        row(length, {side: answers[side][length] for side in SIDES}, folder) for length in lengths
    ]
    return {"threads": 1, "recycles": RECYCLES, "rows": rows}


def row(length: int, answers: dict[str, list[dict[str, Any]]], folder: Path) -> dict[str, Any]:
    values = {side: np.load(folder / f"{side}-{length}.npz") for side in SIDES}
    seconds = {side: [one["seconds"] for one in answers[side]] for side in SIDES}
    peak = {side: max(one["peak_bytes"] for one in answers[side]) for side in SIDES}
    median = {side: statistics.median(seconds[side]) for side in SIDES}
    return {
        "residues": length,
        "processor_seconds": {
            side: {"median": median[side], "all": seconds[side]} for side in SIDES
        },
        "peak_bytes": peak,
        "reference_over_ours_seconds": {s: median["reference"] / median[s] for s in SIDES[1:]},
        "ours_over_reference_bytes": {s: peak[s] / peak["reference"] for s in SIDES[1:]},
        "largest_difference": {
            side: {name: difference(values, side, name) for name in values["reference"].files}
            for side in SIDES[1:]
        },
    }


def difference(values: dict[str, Any], side: str, name: str) -> float:
    theirs = values["reference"][name].astype(float)
    largest = float(np.abs(values[side][name] - theirs).max())
    return largest / float(np.abs(theirs).max()) if name.startswith(("single", "pair")) else largest


class Child:
    """One side in a process of its own."""

    def __init__(self, side: str, folder: Path) -> None:
        self.side = side
        command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def fold(self, length: int) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{length}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve(side: str, folder: Path) -> None:
    import torch

    from itda.parity import esmfold as parity

    torch.set_num_threads(1)
    values = parity.full_size_side(side, folder / "esmfold.safetensors")
    sequence = parity.UBIQUITIN * 4
    for line in sys.stdin:
        length = int(line)
        case = parity.Case(((sequence[:length],),), recycles=RECYCLES)
        wall, began = time.perf_counter(), time.process_time()
        found = values(case)
        answer = {
            "seconds": time.process_time() - began,
            "wall_seconds": time.perf_counter() - wall,
            "peak_bytes": peak_bytes(),
        }
        kept: dict[str, Any] = {name: tensor.numpy() for name, tensor in found.items()}
        np.savez(folder / f"{side}-{length}.npz", **kept)
        print(json.dumps(answer), flush=True)


def peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this benchmark reads peak memory from /proc, which only Linux has")


if __name__ == "__main__":
    main()
