"""What jobs cost on the devices that the workers have."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from itda.cost import calibration
from itda.cost.devices import Device
from itda.cost.memory import Room
from itda.cost.predictor import Predictor
from itda.device import resolve_device
from itda.models.family import Family

BELIEVED_SECONDS = 5.0
"""How long an answer about the workers is believed."""

_MOST_KEPT = 64

_NVIDIA = Path("/dev/nvidiactl")


class Workers(Protocol):
    """Of the queue, what is asked here."""

    def workers(self) -> Any:
        """Return the workers that are registered."""
        ...


@dataclass(frozen=True)
class Where:
    """The device that cost is reckoned for.

    Attributes:
        kind: `cpu` or `gpu`.
        name: As its worker calls it; "" for this machine's own.
        memory_bytes: Of the largest worker; None for what this machine has free.
        known: Whether a worker has it, rather than this machine.
    """

    kind: str
    name: str = ""
    memory_bytes: int | None = None
    known: bool = False


class Costs:
    """One predictor for each family and device, kept.

    Args:
        queue: Knows the workers.
        clock: Seconds that pass.
    """

    def __init__(self, queue: Workers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._lock = threading.Lock()
        self._predictors: dict[tuple[str, Where], Predictor] = {}
        self._where: tuple[float, Where] | None = None

    def where(self) -> Where:
        """Return the best device of the registered workers; this machine's where there is none."""
        now = self._clock()
        if self._where is None or now - self._where[0] > BELIEVED_SECONDS:
            self._where = now, self._best()
        return self._where[1]

    def predictor(self, family: Family) -> Predictor:
        """Return what predicts for a family on that device."""
        where = self.where()
        with self._lock:
            found = self._predictors.get((family.name, where))
            if found is None:
                if len(self._predictors) >= _MOST_KEPT:
                    self._predictors.clear()
                found = self._predictors[family.name, where] = _predictor(family, where)
            return found

    def _best(self) -> Where:
        active = [worker for worker in self._queue.workers() if worker.state == "active"]
        gpus = [worker for worker in active if worker.device_kind == "gpu"]
        chosen = gpus or active
        if not chosen:
            device = own_device()
            return Where("cpu" if device == "cpu" else "gpu")
        best = max(chosen, key=lambda worker: (worker.memory_bytes, worker.device))
        return Where(best.device_kind, best.device, best.memory_bytes, known=True)


def own_device() -> str:
    """Return this machine's fastest device; PyTorch is imported only where there may be one."""
    if not _NVIDIA.exists() and sys.platform != "darwin":
        return "cpu"
    return resolve_device("auto")


def _predictor(family: Family, where: Where) -> Predictor:
    own = own_device()
    if where.kind == "cpu":
        return _Predictor(family, "cpu", where)
    return _Predictor(family, own, where)


class _Predictor(Predictor):
    """Predicts for a device that may be another machine's."""

    def __init__(self, family: Family, device: str, where: Where) -> None:
        super().__init__(family, device)
        self._memory_bytes = where.memory_bytes
        if where.kind == "gpu" and device == "cpu":
            self.described = Device("cuda", where.name, 1, 1, "bfloat16")
            self.calibration = calibration.shipped(family.name, self.described)

    @property
    def room(self) -> Room:
        """Memory of the largest worker; without one, what this machine has free."""
        if self._memory_bytes is None:
            return super().room
        return Room(self._memory_bytes, "the largest worker has")
