"""How long a cold start takes: `itda --help`, `import itda`, and a fold of 76 residues to files.

Each run is a fresh process with an empty store, held to `--threads` threads; the median of `--runs`
is kept beside every single value. The operating system's file cache is left as it is, so the first
run after a reboot takes longer.

    python benchmarks/cold_start.py [--runs 5] [--threads 1] [--output FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
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


def processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(memory_bytes / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "itda": importlib.metadata.version("itda"),
    }


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


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
    record = {
        "benchmark": "cold_start",
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD") or None,
        "uncommitted_changes": bool(git("status", "--porcelain", "--untracked-files=no")),
        "machine": machine(),
        **repeat,
        "residues": 76,
        "import_loads_torch": imports_torch(),
        "results": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for name, result in results.items():
        verdict = "within" if result["within_limit"] else "OVER"
        print(f"{name:<26}{result['median']:>8.3f}   {verdict} the limit of {result['limit']}")
    print(f"import itda loads torch: {'yes' if record['import_loads_torch'] else 'no'}")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
