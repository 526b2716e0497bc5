"""Time the search of the known folds: the first query, twenty of all lengths, two hundred at once.

    python benchmarks/known_folds.py --rival pdb

Queries are sequences of the library's own chains, drawn by a fixed seed and changed at a third of
their residues, so that none is found by being the same. `--rival` names a database of structures
that MMseqs2 searches with the same queries in the same run (`itda db add-structures pdb promod3`).
One thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from itda.bench.record import provenance, write_record
from itda.search.databases.database import Database
from itda.search.databases.known_folds import FILE, known_folds
from itda.search.databases.registry import Databases
from itda.search.templates.find import TemplateSearch, search_many_templates
from itda.search.templates.selection import TemplateLimits

AMINO_ACIDS = list("ARNDCQEGHILKMFPSTWYV")


def queries(count: int, shortest: int, longest: int, seed: int) -> list[str]:
    """Draw chains of rising length, and change a third of their residues."""
    chains = known_folds().chains()
    random = np.random.default_rng(seed)
    drawn = []
    for length in np.linspace(shortest, longest, count):
        near = np.argsort(np.abs(chains.lengths - length), kind="stable")[:50]
        letters = np.array(list(chains.sequence(int(random.choice(near)))))
        changed = random.random(len(letters)) < 1 / 3
        letters[changed] = random.choice(AMINO_ACIDS, changed.sum())
        drawn.append("".join(letters))
    return drawn


def timed(database: Database, asked: list[str]) -> tuple[float, int]:
    """Search, and give the seconds and how many queries have a template."""
    with tempfile.TemporaryDirectory() as work:
        began = time.perf_counter()
        found = [
            one
            for _, one in search_many_templates(
                asked,
                alignments=[None] * len(asked),
                database=database,
                limits=TemplateLimits(),
                work=Path(work),
                threads=1,
            )
        ]
        seconds = time.perf_counter() - began
    return seconds, sum(isinstance(one, TemplateSearch) and bool(one.templates) for one in found)


def first_and_second() -> dict[str, Any]:
    """Search twice in a process of its own; what is made ready once is in the first."""
    code = (
        "import json, resource\n"
        "from benchmarks_known_folds import known_folds, queries, timed\n"
        "asked = queries(1, 250, 250, 5)\n"
        "first, second = (timed(known_folds(), asked)[0] for _ in range(2))\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(json.dumps({'first_s': first, 'second_s': second, 'peak_mb': peak / 1e3}))\n"
    ).replace("benchmarks_known_folds", Path(__file__).stem)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    """Measure and write `benchmarks/results/known_folds.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival", help="A database of structures with MMseqs2's files.")
    parser.add_argument("--many", type=int, default=200)
    given = parser.parse_args()
    library = known_folds()
    databases: dict[str, Database] = {"known-folds": library}
    if given.rival:
        databases["mmseqs"] = Databases().get(given.rival)
    began = provenance()
    report: dict[str, Any] = {
        "library_bytes": FILE.stat().st_size,
        "fresh_process": first_and_second(),
    }
    asked = queries(20, 60, 600, 7)
    for name, database in databases.items():
        timed(database, asked[:1])
        each = [timed(database, [query]) for query in asked]
        report[name] = {
            "residues": [len(query) for query in asked],
            "seconds": [round(seconds, 3) for seconds, _ in each],
            "median_s": round(median(seconds for seconds, _ in each), 3),
            "with_templates": sum(found for _, found in each),
        }
    many = queries(given.many, 60, 400, 9)
    for name, database in databases.items():
        seconds, found = timed(database, many)
        report[name] |= {
            "many": len(many),
            "many_s": round(seconds, 1),
            "many_s_a_query": round(seconds / len(many), 3),
            "many_with_templates": found,
        }
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    out = Path(__file__).parent / "results" / "known_folds.json"
    write_record(out, "known_folds", report, began=began)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
