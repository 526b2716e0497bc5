"""Whether a run loses a job: equal sequences on a slow store, and its books in any order.

Three records of one sequence, folded by the tests' family in place of a network, on a store that
takes half a second for each read: the first is folded, and the others wait for what it gives. Every
record must come out done. Then the state machine of `tests/engine/test_ledger.py`, with more
examples than in the tests. Exit status 1 where anything is lost.

    python benchmarks/lost_jobs.py [--runs 200] [--delay 0.5] [--examples 2000] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import provenance, write_record
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished
from itda.job.model import Job
from itda.store.store import Store

NAMES = ("first", "second", "third")
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


class SlowStore(Store):
    """Takes its time for each read."""

    delay_seconds = 0.0

    def get(self, key: str) -> dict[str, bytes] | None:
        """Wait, then read."""
        time.sleep(self.delay_seconds)
        return super().get(key)


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.5, metavar="SECONDS")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "lost_jobs.json"
    )
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "engine"))
    began = provenance()
    slow = slow_runs(asked.runs, asked.delay)
    print(
        f"{slow['runs'] - slow['with_a_loss']} of {slow['runs']} runs with nothing lost, "
        f"{slow['folded']} folds"
    )
    steps, counts = explored(asked.examples)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    measured = {
        "slow_store": {"delay_seconds": asked.delay, **slow},
        "state_machine": {"most_steps_of_an_example": steps, **counts},
    }
    write_record(asked.output, "lost_jobs", measured, began=began)
    raise SystemExit(1 if slow["with_a_loss"] else 0)


def slow_runs(runs: int, delay_seconds: float) -> dict[str, Any]:
    """Count the runs in which a record came out neither done nor failed, and the folds of all."""
    from fake_family import FakeFamily, install

    family = FakeFamily(batches=True)
    install(family)
    SlowStore.delay_seconds = delay_seconds
    lost: Counter[str] = Counter()
    with_a_loss = 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            jobs = [Job.from_sequence(name, SEQUENCE) for name in NAMES]
            ended = [
                event.job
                for event in Engine(SlowStore(Path(folder)), "cpu").run(jobs)
                if isinstance(event, JobFinished)
                or (isinstance(event, JobFailed) and type(event.error).__name__ != "LostJobError")
            ]
        missing = [name for name in NAMES if ended.count(name) != 1]
        lost.update(missing)
        with_a_loss += bool(missing)
    return {
        "runs": runs,
        "with_a_loss": with_a_loss,
        "lost": dict(lost),
        "folded": len(family.folded),
    }


def explored(examples: int) -> tuple[int, dict[str, int]]:
    """Let events come in any order.

    Returns:
        The most steps of an example, and how many examples, steps, jobs and ends there were.
    """
    os.environ["ITDA_LEDGER_EXAMPLES"] = str(examples)
    import test_ledger

    test_ledger.explore(test_ledger.Machine)
    return test_ledger.STEPS, dict(test_ledger.Machine.counts)


if __name__ == "__main__":
    main()
