"""One fold in a process of its own, which tells its peak memory and its seconds.

echo '{"family": "mini", "tokens": [100]}' | python -m itda.cost.measure
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from itda.cost.allocator import settle_allocator
from itda.errors import InputError, ItdaError
from itda.job.model import Job
from itda.language import Message
from itda.machine import usable_cores
from itda.models.demand import Load

if TYPE_CHECKING:
    from itda.models.family import Family, Model
    from itda.structure.prediction import Prediction

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
EXHAUSTED_WORDS = (
    "out of memory",
    "can't allocate",
    "cannot allocate",
    "allocation still failed",  # OpenBLAS
    "can't start new thread",
    "memoryerror",
    "failed to map",
    "bad_alloc",
)
REPEATED_SECONDS = 2.0
"""A fold is repeated until so long was measured."""

_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is folded.

    Attributes:
        family: Its name.
        tokens: Residues of each job of the batch.
        samples: Structures of each.
        recycles: Passes beyond the first; None for the family's.
        frugal: As `Load` has it.
        weights: A weights file; None for the family's own.
        device: Where.
        repeats: At most; the first counts only where it is long.
        address_limit: Bytes of address space that the process may take.
    """

    family: str
    tokens: tuple[int, ...]
    samples: int = 1
    recycles: int | None = None
    frugal: bool = False
    weights: str | None = None
    device: str = "cpu"
    repeats: int = 5
    address_limit: int | None = None

    @property
    def load(self) -> Load:
        """The same as the predictor is asked about it."""
        return Load(
            tokens=self.tokens,
            chains=1,
            samples=self.samples,
            recycles=self.recycles,
            frugal=self.frugal,
        )

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a case."""
        data = json.loads(text)
        return cls(**{**data, "tokens": tuple(data["tokens"])})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was measured.

    Attributes:
        seconds: Of the fold when the process is warm.
        start_seconds: Until the weights were loaded, but for the start of Python.
        bytes: Peak of the process, or of the device's memory where that is not the CPU.
        loading_bytes: Peak until the weights were loaded.
        address_bytes: Most address space beyond the peak of memory.
        threads: That computed.
    """

    seconds: float
    start_seconds: float
    bytes: int
    loading_bytes: int
    address_bytes: int
    threads: int


class ExhaustedError(Exception):
    """The process that measured ran out of memory."""


def measure(case: Case, *, timeout_seconds: float | None = None) -> Answer:
    """Fold in a fresh process.

    Raises:
        ExhaustedError: It ran out of memory.
        InputError: The family or the machine cannot do it.
        RuntimeError: It failed of a fault of the program's own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "itda.cost.measure"],
        input=case.to_json(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )
    answer = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    if "seconds" in answer:
        return Answer(**answer)
    said = answer.get("error") or done.stderr.strip()[-500:] or f"exit status {done.returncode}"
    if answer.get("exhausted") or done.returncode < 0 or _tells_exhaustion(said):
        raise ExhaustedError(said)
    problem = Message(
        "{family}, {tokens}: cannot be measured: {said}",
        family=case.family,
        tokens=case.tokens,
        said=said,
    )
    raise InputError(problem) if answer.get("expected") else RuntimeError(problem)


def main() -> None:
    """Read a case from standard input and write what was measured, as one line of JSON."""
    case = Case.from_json(sys.stdin.read())
    if case.address_limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (case.address_limit, case.address_limit))
    try:
        answer: Mapping[str, Any] = dataclasses.asdict(_fold(case))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        exhausted = isinstance(error, MemoryError) or _tells_exhaustion(said)
        expected = isinstance(error, ItdaError)
        answer = {"error": said, "exhausted": exhausted, "expected": expected}
    print(json.dumps(answer), flush=True)


def _tells_exhaustion(said: str) -> bool:
    lowered = said.lower()
    return any(words in lowered for words in EXHAUSTED_WORDS)


def _fold(case: Case) -> Answer:
    began = time.perf_counter()
    # As every run does before it loads a model.
    settle_allocator()
    from itda.confidence.validity import check_validity
    from itda.models.registry import get_family

    family = get_family(case.family)
    jobs = [
        synthetic_job(family, tokens, seed=place).replace(samples=case.samples)
        for place, tokens in enumerate(case.tokens)
    ]
    model = family.load(Path(case.weights) if case.weights else None, case.device)
    start_seconds = time.perf_counter() - began
    import torch

    loading = _peak(case.device)
    _forget_peak(case.device)
    seconds: list[float] = []
    for _ in range(max(1, case.repeats)):
        taken, predictions = _timed(lambda: run(model, jobs, case.recycles))
        seconds.append(taken)
        for prediction in predictions:
            check_validity(prediction.atoms)
        if sum(seconds[1:]) > REPEATED_SECONDS or seconds[0] > 2 * REPEATED_SECONDS:
            break
    peak = _peak(case.device)
    address = _status("VmPeak") - _status("VmHWM") if case.device == "cpu" else 0
    return Answer(
        # The first fold of a process also sets things up, which matters where it is short.
        seconds=min(seconds[1:] or seconds),
        start_seconds=start_seconds,
        bytes=peak,
        loading_bytes=loading,
        address_bytes=max(0, address),
        threads=torch.get_num_threads(),
    )


def run(model: Model, jobs: Sequence[Job], recycles: int | None) -> list[Prediction]:
    """Fold all jobs, together where the model can."""
    from itda.models.family import Order, predict_all
    from itda.search.evidence import Evidence

    orders = [
        Order(job=job, seed=0, evidence=Evidence(), samples=tuple(range(job.samples)))
        for job in jobs
    ]
    found = predict_all(model, orders, recycles=recycles)
    return [prediction for of_job in found for prediction in of_job]


def _timed(work: Callable[[], list[Prediction]]) -> tuple[float, list[Prediction]]:
    """Time on the clock; with one core that of the process, which others do not lengthen."""
    import torch

    alone = usable_cores() == 1 and not torch.cuda.is_initialized()
    clock = time.process_time if alone else time.perf_counter
    began = clock()
    found = work()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return clock() - began, found


def synthetic_job(family: Family, tokens: int, *, seed: int) -> Job:
    """Make a job of random sequence that a family takes; antibodies where it takes only those.

    Raises:
        ItdaError: The family takes no job of that size.
    """
    chance = random.Random(f"{seed} {tokens}")
    job = Job.from_sequence(f"random-{seed}-{tokens}", "".join(chance.choices(LETTERS, k=tokens)))
    try:
        family.check(job)
    except ItdaError:
        job = Job.from_sequence(job.name, _antibody(tokens, chance))
        family.check(job)
    return job


def _antibody(tokens: int, chance: random.Random) -> str:
    """Give HEAVY:LIGHT of known domains, with loops (CDR3) as long or beginnings as short."""
    from itda.models.flashabb.domains import germlines

    domains = [germlines()["heavy"][0], germlines()["light"][0]]
    spare = tokens - sum(map(len, domains))
    chains = []
    for domain, more in zip(domains, (spare - spare // 2, spare // 2), strict=True):
        loop = "".join(chance.choices("GSTYNDA", k=max(0, more)))
        cut = len(domain) - 12
        chains.append(domain[max(0, -more) : cut] + loop + domain[cut:])
    return ":".join(chains)


def _peak(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_reserved(device))
    peak = _status("VmHWM")
    if peak:
        return peak
    # In bytes on macOS, in kilobytes elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _forget_peak(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return
    # Not on every system; the peak is then that of the whole process.
    with contextlib.suppress(OSError):
        descriptor = os.open(_FORGET_PEAK, os.O_WRONLY)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)


def _status(name: str) -> int:
    """Give a number of bytes that the system knows of this process; 0 where it does not."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
