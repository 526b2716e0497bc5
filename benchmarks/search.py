"""Seconds a query and peak memory of searches in one's own databases.

Queries are chains of the structure database drawn at random with a fixed seed, each searched in a
fresh process without anything kept from an earlier one. Peak memory is that of the process and
all its children together, sampled ten times a second from /proc (shared pages count once for each
process that maps them).

    python benchmarks/search.py --templates pdb [--sequences NAME] [--queries 20] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import write_record
from itda.search.databases.registry import Databases

SHORTEST, LONGEST = 60, 500
_SAMPLE_SECONDS = 0.1

TEMPLATES = """
import json, sys, tempfile
from pathlib import Path
from itda.search.databases.registry import Databases
from itda.search.templates.find import search_templates
from itda.search.templates.selection import TemplateLimits
query, name, threads = sys.argv[1:4]
with tempfile.TemporaryDirectory() as work:
    found = search_templates(query, alignment=None, database=Databases().get(name),
        limits=TemplateLimits(), work=Path(work), threads=int(threads))
print(json.dumps(len(found.templates)))
"""

ALIGNMENT = """
import json, sys, tempfile
from pathlib import Path
from itda.search.databases.registry import Databases
from itda.search.sources.choose import choose_source
query, name, threads, source = sys.argv[1:5]
with tempfile.TemporaryDirectory() as work:
    found = choose_source(source, databases=[Databases().get(name)], threads=int(threads)).search(
        query, work=Path(work), progress=lambda fraction, message: None)
print(json.dumps(len(found)))
"""


@dataclass(frozen=True)
class Search:
    """One query in a fresh process."""

    seconds: float
    peak_rss_bytes: int
    found: int


def run(program: str, *arguments: str) -> Search:
    """Run a program to its end, watching its memory."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(_SAMPLE_SECONDS)
    seconds = time.perf_counter() - began
    assert process.stdout is not None
    said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"a search failed with status {process.returncode}")
    return Search(seconds, peak, json.loads(said))


def tree_bytes(root: int) -> int:
    """Return the resident memory of a process and its children, taken together."""
    total, waiting = 0, [root]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            for line in (process / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
            for task in (process / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended since
            continue
    return total


def summary(searches: list[Search]) -> dict[str, Any]:
    """Give the figures of one kind of search."""
    seconds = [search.seconds for search in searches]
    return {
        "seconds_median": round(statistics.median(seconds), 2),
        "seconds_mean": round(statistics.mean(seconds), 2),
        "seconds_most": round(max(seconds), 2),
        "peak_rss_megabytes": round(max(search.peak_rss_bytes for search in searches) / 1e6),
        "found_mean": round(statistics.mean(search.found for search in searches), 1),
        "seconds": [round(value, 2) for value in seconds],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--templates", required=True, help="a database of structures")
    parser.add_argument("--sequences", help="a database of sequences")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    default_output = ROOT / "benchmarks" / "results" / "search.json"
    parser.add_argument("--output", type=Path, default=default_output)
    options = parser.parse_args()

    chains = Databases().get(options.templates).chains()
    fitting = np.flatnonzero((chains.lengths >= SHORTEST) & (chains.lengths <= LONGEST))
    drawn = np.random.default_rng(0).choice(fitting, options.queries, replace=False)
    queries = [chains.sequence(int(index)) for index in drawn]
    threads = str(options.threads)
    results = {
        "templates": summary([run(TEMPLATES, q, options.templates, threads) for q in queries])
    }
    print(f"templates: {results['templates']}")
    for source in ("mmseqs", "hmmer", "hmmer:phmmer") if options.sequences else ():
        searches = [run(ALIGNMENT, q, options.sequences, threads, source) for q in queries]
        results[f"alignment, {source}"] = summary(searches)
        print(f"{source}: {results[f'alignment, {source}']}")
    databases = {
        name: {"sequences": found.sequences, "residues": found.residues, "digest": found.digest}
        for name in filter(None, (options.templates, options.sequences))
        for found in [Databases().get(name)]
    }
    write_record(
        options.output,
        "search",
        {
            "threads": options.threads,
            "residues": [len(query) for query in queries],
            "databases": databases,
            "results": results,
        },
    )
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
