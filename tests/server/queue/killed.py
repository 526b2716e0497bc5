"""Workers that are killed at random: `python -m tests.server.queue.killed URL LOG SECONDS`.

This process has loaded everything once. For each line that it reads it forks a worker and says its
number; once there is nothing more to read it kills those that are left.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time

from itda.server.database.database import Database
from itda.server.queue.queue import Queue
from itda.server.queue.records import Capacity, Claim, FileRecord, NewWorker


def work(database_url: str, log: int, lease_seconds: float) -> None:
    """Claim and end jobs, and write down each end that the queue took."""
    queue = Queue(Database(database_url), lease_seconds=lease_seconds)
    worker = queue.register(
        NewWorker(
            host="here",
            process=os.getpid(),
            executor="none",
            device_kind="cpu",
            device="cpu",
            memory_bytes=2**40,
        )
    )
    chance = random.Random(os.getpid())
    while True:
        claims = queue.claim(worker, Capacity(jobs=chance.choice((1, 1, 4))))
        if not claims:
            time.sleep(0.05)
        for claim in claims:
            beat = queue.beat(worker, [one.lease_id for one in claims])
            if claim.lease_id in beat.lost:
                continue
            queue.record(claim, [{"event": "stage_started", "stage": "predict"}])
            time.sleep(chance.uniform(0.0, 0.02))
            cancelled = claim.lease_id in beat.cancelled
            taken, what = end(queue, claim, cancelled, chance.random())
            if taken:
                os.write(log, f"{claim.job.id} {what}\n".encode())


def end(queue: Queue, claim: Claim, cancelled: bool, chance: float) -> tuple[bool, str]:
    """End an attempt in one of the ways there are."""
    if cancelled:
        return queue.stopped(claim), "cancelled"
    if chance < 0.05:
        return queue.stopped(claim), "returned"
    if chance < 0.15:
        return queue.fail(claim, {"kind": "InputError", "problem": "no", "hint": ""}), "failed"
    file = FileRecord(kind="structure", name="a.cif", digest=claim.lease_id * 2, bytes=1)
    return queue.finish(claim, [file], {"residues": 1}), "done"


def main() -> None:
    database_url, path, seconds = sys.argv[1:]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    children = []
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(database_url, log, float(seconds))
            finally:
                os._exit(1)
        children.append(child)
        print(child, flush=True)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
