"""How long a cold start takes: `itda --help`, `import itda`, and a fold of 76 residues to files.

Each run is a fresh process with an empty store, held to `--threads` threads; the median of `--runs`
is kept beside every single value. The operating system's file cache is left as it is, so the first
run after a reboot takes longer.

    python benchmarks/cold_start.py [--runs 5] [--threads 1] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import write_record

ITDA = str(Path(sys.executable).with_name("itda"))
UBIQUITIN = Path(str(files("itda"))) / "data" / "examples" / "ubiquitin.fasta"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# What the project has promised itself; a benchmark reports against it and does not fail.
LIMITS = {
    "help_seconds": 0.5,
    "import_seconds": 1.0,
    "fold_seconds": 15.0,
    "fold_peak_rss_gigabytes": 1.5,
}


@dataclass(frozen=True)
class Run:
    """One finished process: wall time, and the most memory it held."""

    seconds: float
    peak_rss_bytes: int


def run_fresh(command: list[str], threads: int, home: Path) -> Run:
    """Run a command to its end with a home of its own, so that no earlier result is found."""
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"HOME": str(home), "ITDA_CACHE": str(home / "cache")}
    log = home / "output.txt"
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit)


def measure(command: list[str], *, runs: int, threads: int) -> list[Run]:
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            filled_in = [part.replace("{home}", folder) for part in command]
            results.append(run_fresh(filled_in, threads, home))
    return results


def imports_torch() -> bool:
    done = subprocess.run(
        [sys.executable, "-c", "import itda, sys; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() == "True"


def summary(values: list[float], limit: float) -> dict[str, Any]:
    median = statistics.median(values)
    return {
        "median": round(median, 3),
        "limit": limit,
        "within_limit": median <= limit,
        "values": [round(value, 3) for value in values],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    default_output = ROOT / "benchmarks" / "results" / "cold_start.json"
    parser.add_argument("--output", type=Path, default=default_output)
    options = parser.parse_args()
    repeat = {"runs": options.runs, "threads": options.threads}

    shown = measure([ITDA, "--help"], **repeat)
    imported = measure([sys.executable, "-c", "import itda"], **repeat)
    folded = measure(
        [ITDA, "fold", str(UBIQUITIN), "--out", "{home}/out", "--device", "cpu"], **repeat
    )
    measured = {
        "help_seconds": [run.seconds for run in shown],
        "import_seconds": [run.seconds for run in imported],
        "fold_seconds": [run.seconds for run in folded],
        "fold_peak_rss_gigabytes": [run.peak_rss_bytes / 1e9 for run in folded],
    }
    results = {name: summary(values, LIMITS[name]) for name, values in measured.items()}
    loads_torch = imports_torch()
    write_record(
        options.output,
        "cold_start",
        {**repeat, "residues": 76, "import_loads_torch": loads_torch, "results": results},
    )
    for name, result in results.items():
        verdict = "within" if result["within_limit"] else "OVER"
        print(f"{name:<26}{result['median']:>8.3f}   {verdict} the limit of {result['limit']}")
    print(f"import itda loads torch: {'yes' if loads_torch else 'no'}")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
