"""Many proteins with `mini`: one `itda fold`, against as many, and against one without batches.

    python benchmarks/throughput.py proteins.fasta

Each round runs all three on another eighth of the records in turn, from an empty cache, so that
what else the machine does falls on all alike; then the first two are run on all records. Seconds
are those on the clock, start of Python and reading of weights included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from itda.bench.record import write_record

PARTS = 8
RESULTS = Path(__file__).parent / "results"

Record = tuple[str, str]


def read(path: Path) -> list[Record]:
    records: list[Record] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(">"):
            records.append((line[1:].split()[0], ""))
        elif records:
            records[-1] = (records[-1][0], records[-1][1] + line.strip())
    return records


def fold(records: list[Record], *options: str) -> float:
    """Fold with the command line and return the seconds that passed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fasta = folder / "in.fasta"
        fasta.write_text("".join(f">{title}\n{sequence}\n" for title, sequence in records))
        command = [sys.executable, "-m", "itda", "fold", str(fasta), "--out", str(folder / "out")]
        command += ["--cache", str(folder / "cache"), "--progress", "none", *options]
        began = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "ITDA_CACHE": str(folder)})
        seconds = time.perf_counter() - began
        done = len(list((folder / "out").glob("*.cif")))
        assert done == len(records), f"{done} of {len(records)} folded"
    return seconds


def measure(records: list[Record], rounds: int, separate: int) -> dict[str, Any]:
    """Run the three ways; `separate` records of each round alone."""
    one, unbatched, alone = [], [], []
    measured = 0
    for number in range(rounds):
        part = records[number::PARTS]
        one.append(fold(part) / len(part))
        unbatched.append(fold(part, "--at-once", "1") / len(part))
        step = max(1, len(part) // separate)
        seconds = [fold([record]) for record in part[::step]]
        measured += len(seconds)
        alone.append(statistics.fmean(seconds))
        print(
            f"round {number + 1}: {one[-1]:.3f} s a protein in batches, {unbatched[-1]:.3f} one by "
            f"one, {alone[-1]:.3f} by commands of their own",
            flush=True,
        )
    whole = {"batched": fold(records), "unbatched": fold(records, "--at-once", "1")}
    print(f"all {len(records)}: {whole}", flush=True)
    per = {name: seconds / len(records) for name, seconds in whole.items()}
    separate_seconds = statistics.fmean(alone)
    return {
        "proteins": len(records),
        "residues": sorted(len(sequence) for _, sequence in records),
        "seconds": {
            "one_fold": whole["batched"],
            "one_fold_without_batches": whole["unbatched"],
            "a_protein_alone": separate_seconds,
            "separate_folds": separate_seconds * len(records),
        },
        "separate_measured": measured,
        "rounds": {"batched": one, "unbatched": unbatched, "separate": alone},
        "ratio_to_separate": separate_seconds / per["batched"],
        "ratio_to_unbatched": per["unbatched"] / per["batched"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--separate", type=int, default=8, help="records of a round that run alone")
    parser.add_argument("--out", type=Path, default=RESULTS / "throughput.json")
    options = parser.parse_args()
    values = measure(read(options.fasta), options.rounds, options.separate)
    write_record(options.out, "throughput", values)
    print(
        f"one command: {values['ratio_to_separate']:.1f} times as fast as separate ones, "
        f"{values['ratio_to_unbatched']:.2f} times as fast as without batches"
    )


if __name__ == "__main__":
    main()
