"""An executor whose jobs take milliseconds: each writes one small file of its own, or fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from itda.cluster.work import Done, Failed, Outcome, Report, Stopped, Task, Work

SECONDS = 0.002


class TinyExecutor:
    name = "tiny"
    slots = 1
    device = "cpu"
    device_kind = "cpu"
    memory_bytes = 2**40

    def free_bytes(self) -> int:
        return self.memory_bytes

    def start(self, work: Work, report: Report) -> TinyRunning:
        return TinyRunning(work.tasks, report)

    def close(self) -> None:
        pass


class TinyRunning:
    began = True

    def __init__(self, tasks: Sequence[Task], report: Report) -> None:
        self._left = list(tasks)
        self._ended: list[tuple[str, Outcome]] = []
        self._lock = threading.Lock()
        self._stopped = False
        threading.Thread(target=self._run, args=(tuple(tasks), report), daemon=True).start()

    def _run(self, tasks: Sequence[Task], report: Report) -> None:
        for task in tasks:
            if not self._stopped:
                report(task.key, [{"event": "stage_started", "stage": "predict"}])
                time.sleep(SECONDS)
            outcome = Stopped() if self._stopped else outcome_of(task)
            with self._lock:
                self._left.remove(task)
                self._ended.append((task.key, outcome))
            report(task.key, [])

    def poll(self) -> list[tuple[str, Outcome]]:
        with self._lock:
            ended, self._ended = self._ended, []
        return ended

    @property
    def ended(self) -> bool:
        with self._lock:
            return not self._left and not self._ended

    def stop(self, grace_seconds: float = 0.0) -> None:
        self._stopped = True

    def kill(self) -> None:
        self._stopped = True


def outcome_of(task: Task) -> Outcome:
    name = str(task.document["name"])
    if "fails" in name:
        return Failed(error={"kind": "InputError", "problem": f"{name} fails", "hint": "none"})
    task.output.mkdir(parents=True, exist_ok=True)
    path = task.output / f"{name}.cif"
    path.write_text(f"data_{name}\n")
    return Done(files={"structure": path}, summary={"residues": 20, "mean_plddt": 50.0})
