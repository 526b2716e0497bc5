"""The fake family, with jobs that do more by their names.

`kills…` kills its process, `deaf…` sleeps for ever, `held…` waits for the file that its metadata
names as `until` and counts its folds in the file `folds`. As a program it is the process that
`Processes` starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "engine"))

import fake_family
from fake_family import FakeFamily, FakeModel


class SteeredFamily(FakeFamily):
    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> FakeModel:
        self.models.append(SteeredModel(device))
        return self.models[-1]


class SteeredModel(FakeModel):
    def _run(self, job: Any, progress: Callable[[float, str], None] | None) -> None:
        if "program" in job.metadata:  # as a search starts one
            program = subprocess.Popen(["sleep", "600"])
            Path(job.metadata["program"]).write_text(str(program.pid))
        if job.name.startswith("kills"):
            print("about to die", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if job.name.startswith("lonely"):  # dies only with others
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if "folds" in job.metadata:
            with Path(job.metadata["folds"]).open("a") as file:
                file.write(f"{os.getpid()}\n")
        if job.name.startswith("deaf"):
            if progress is not None:
                progress(0.5, "deaf")
            time.sleep(3600)
        if "until" in job.metadata:
            while not Path(job.metadata["until"]).exists():
                time.sleep(0.02)
                if progress is not None:
                    progress(0.5, "waiting")
        super()._run(job, progress)


def install() -> None:
    fake_family.install(SteeredFamily(batches=True))


if __name__ == "__main__":
    install()
    from itda.cluster.child import main

    main()
