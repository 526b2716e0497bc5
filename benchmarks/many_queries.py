"""Processor seconds of a search with several queries: MMseqs2 by hand, `itda search run`, a fold.

Targets and queries are drawn from a FASTA file with a fixed seed; queries stand among the targets
and are of different lengths. Everything is run from scratch, in turn, several times: on a machine
with other work on it processor seconds vary by a tenth and more.

    python benchmarks/many_queries.py swissprot.fasta [--targets 50000] [--queries 10] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import provenance, write_record
from itda.search.databases.registry import Databases
from itda.search.mmseqs import find_mmseqs, mmseqs_version

SHORTEST, LONGEST = 60, 900
LETTERS = set("ACDEFGHIKLMNPQRSTVWY")
NAME = "targets"

# The commands of `mmseqs_search_monomer` in colabfold/mmseqs/search.py for a database that is not
# clustered, and the headers of what was found.
BY_HAND = """
createdb queries.fasta query --dbtype 1 --shuffle 0
search query TARGET found temporary --threads THREADS --num-iterations 3 -a -e 0.1 --e-profile 0.1
    --max-seqs 10000 --prefilter-mode 0 -s 8.0
mvdb temporary/latest/profile_1 profile
lndb query_h profile_h
align profile TARGET found aligned -e 10 --max-accept 100000 --alt-ali 10 -a --threads THREADS
filterresult query TARGET aligned filtered --qid 0 --qsc 0.8 --diff 0 --max-seq-id 1.0
    --filter-min-enable 100 --threads THREADS
result2msa query TARGET filtered rows --msa-format-mode 6 --filter-msa 1 --filter-min-enable 1000
    --diff 3000 --qid 0.0,0.2,0.4,0.6,0.8,1.0 --qsc 0 --max-seq-id 0.95 --threads THREADS
convertalis query TARGET filtered headers --format-output target,theader --threads THREADS
""".replace("\n    ", " ")

# What a fold does before the model runs, and nothing else.
GATHER = """
import sys
from pathlib import Path
from itda.engine.ahead import ahead
from itda.engine.gather import gather
from itda.engine.search_options import SearchOptions, choose_searches
from itda.engine.stages import Stages
from itda.store.store import Store
from itda.job.read import read_jobs
from itda.models.registry import get_family
queries, cache, name, threads = sys.argv[1:5]
jobs = read_jobs(queries).jobs
options = SearchOptions(msa="mmseqs", databases=(name,), threads=int(threads))
searches = choose_searches(options, get_family("mini"))
keys, stages = searches.key(), Stages(Store(Path(cache)))
searches = ahead(jobs, searches, keys, stages)
for job in jobs:
    for _ in gather(job, searches, keys, stages):
        pass
"""


def processor_seconds(commands: list[list[str]], folder: Path) -> tuple[float, float]:
    """Run commands one after the other; return processor seconds, children included, and wall."""
    began, spent = time.perf_counter(), 0.0
    for command in commands:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)[:200]} failed with status {process.returncode}")
        spent += usage.ru_utime + usage.ru_stime
    return spent, time.perf_counter() - began


def drawn(fasta: Path, targets: int, queries: int) -> tuple[list[str], list[str]]:
    """Draw sequences, and of those queries whose lengths are spread from 60 to 900."""
    records = [record.split("\n", 1)[1].replace("\n", "") for record in read(fasta)]
    chosen = random.Random(13).sample(records, min(targets, len(records)))
    fitting = [one for one in chosen if set(one) <= LETTERS]
    steps = max(queries - 1, 1)
    lengths = [SHORTEST * (LONGEST / SHORTEST) ** (number / steps) for number in range(queries)]
    return chosen, [min(fitting, key=lambda one: abs(len(one) - length)) for length in lengths]


def read(fasta: Path) -> list[str]:
    """Return the records of a FASTA file, each with its header."""
    return fasta.read_text().removeprefix(">").split("\n>")


def write(path: Path, sequences: list[str]) -> Path:
    """Write a FASTA file."""
    records = (f">s{number}\n{one}\n" for number, one in enumerate(sequences))
    path.write_text("".join(records))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--targets", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="also a run for each query")
    default_output = ROOT / "benchmarks" / "results" / "many_queries.json"
    parser.add_argument("--output", type=Path, default=default_output)
    options = parser.parse_args()
    began = provenance()

    with tempfile.TemporaryDirectory(prefix="itda-many-") as name:
        folder = Path(name)
        os.environ["ITDA_DATABASES"] = str(folder / "databases")
        os.environ["MMSEQS_CALL_DEPTH"] = "1"
        targets, queries = drawn(options.fasta, options.targets, options.queries)
        database = Databases().add_sequences(NAME, write(folder / "targets.fasta", targets))
        (shard,) = database.shards
        fasta = write(folder / "queries.fasta", queries)
        threads = str(options.threads)

        def by_hand() -> list[list[str]]:
            text = BY_HAND.replace("TARGET", str(shard.mmseqs)).replace("THREADS", threads)
            return [[str(find_mmseqs()), *line.split()] for line in text.strip().splitlines()]

        def search_run(source: Path = fasta, out: str = "out") -> list[list[str]]:
            arguments = ["search", "run", str(source), "--db", NAME, "--threads", threads]
            where = ["--out", out, "--cache", "cache"]
            return [[sys.executable, "-m", "itda", *arguments, *where]]

        def gathering() -> list[list[str]]:
            return [[sys.executable, "-c", GATHER, str(fasta), "cache", NAME, threads]]

        def alone() -> list[list[str]]:
            made = [write(folder / f"query_{n}.fasta", [one]) for n, one in enumerate(queries)]
            return [search_run(one, one.stem)[0] for one in made]

        ways: dict[str, Callable[[], list[list[str]]]] = {
            "mmseqs by hand": by_hand,
            "itda search run": search_run,
            "gathering of a fold": gathering,
        }
        if options.alone:
            ways["itda search run, one query a run"] = alone
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(options.repeats):
            for way, commands in ways.items():
                place = folder / "work"
                place.mkdir()
                shutil.copy(fasta, place)
                measured[way].append(processor_seconds(commands(), place))
                shutil.rmtree(place)
                print(f"{way}: {measured[way][-1][0]:.1f} s", flush=True)

    results: dict[str, Any] = {}
    for way, times in measured.items():
        spent = [round(processor, 2) for processor, _ in times]
        results[way] = {
            "processor_seconds_median": statistics.median(spent),
            "processor_seconds": spent,
            "wall_seconds": [round(wall, 2) for _, wall in times],
        }
    hand = results["mmseqs by hand"]["processor_seconds_median"]
    for way, found in results.items():
        found["times_by_hand"] = round(found["processor_seconds_median"] / hand, 2)
        print(f"{way}: {found['processor_seconds_median']} s, {found['times_by_hand']} times")
    write_record(
        options.output,
        "many_queries",
        {
            "mmseqs": mmseqs_version(),
            "threads": options.threads,
            "targets": len(targets),
            "target_residues": sum(map(len, targets)),
            "query_residues": [len(query) for query in queries],
            "results": results,
        },
        began=began,
    )
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
