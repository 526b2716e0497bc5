"""Work on a Ray cluster: each piece a task, placed by the memory and the device that it needs.

Files go with the task and come back with its outcome, so that nodes need no folder in common; only
finished stages are found again on another node where their folder is shared. Ray itself tries
nothing again: whoever gave the work does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from itda.cluster.outcomes import Outcomes
from itda.cluster.ray_task import Mailbox, Parcel, pack, perform, unpack
from itda.cluster.work import Lost, Outcome, Report, Stopped, Work
from itda.errors import DependencyError
from itda.language import Message

LOCAL = "local"
PUMP_SECONDS = 0.1
STOP_WITHIN_SECONDS = 20.0
LOCAL_STORE_BYTES = 2**28
LOCAL_TRIES = 5
"""Ray gives a node of this machine 30 seconds to start, which a busy machine may not have."""

log = logging.getLogger("itda.cluster")


class RayExecutor:
    """Gives work to a Ray cluster.

    Args:
        address: `local` starts a cluster on this machine that ends with this process; else
            `HOST:PORT`, `ray://HOST:PORT` or `auto`, as `ray.init` takes it.
        home: Folder of a local cluster's token.
        slots: Pieces of work at a time; None for one on each GPU, or on as many cores as there are
            where the cluster has none.
        cores: Processor cores of each.
        setup: Called in each process before its first work.

    Raises:
        DependencyError: Ray is not installed.
        OSError: The cluster cannot be reached.
    """

    name = "ray"

    def __init__(
        self,
        address: str = LOCAL,
        *,
        home: Path,
        slots: int | None = None,
        cores: int = 1,
        setup: Callable[[], None] | None = None,
    ) -> None:
        self._address = address
        self._home = home
        self._asked_slots = slots
        self._cores = cores
        self._setup = setup
        self._runs: dict[str, RayRunning] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._mailbox: Any = None
        self._task: Any = None
        self._connect()
        resources = self._ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        self.device_kind = "gpu" if gpus else "cpu"
        self.device = f"{gpus} GPUs" if gpus else f"{cpus} cores"
        self.slots = slots or gpus or max(1, cpus // cores)
        self.memory_bytes = self._largest_node_bytes()
        threading.Thread(target=self._pump, name="ray-pump", daemon=True).start()

    def free_bytes(self) -> int:
        """Return the memory of the largest node: Ray lets work wait until there is room."""
        return self.memory_bytes

    def start(self, work: Work, report: Report) -> RayRunning:
        """Give work to the cluster; see `Executor`."""
        if self._mailbox is None:
            self._connect()
        number = uuid.uuid4().hex
        on_gpu = self.device_kind == "gpu" and work.device_kind == "gpu"
        task = self._task.options(
            num_cpus=self._cores,
            num_gpus=1 if on_gpu else 0,
            memory=min(work.need_bytes, self.memory_bytes) or None,
            name=f"itda-{work.tasks[0].family}",
        )
        options = {"device": "auto" if on_gpu else "cpu", "threads": self._cores}
        try:
            reference = task.remote(number, pack(work), self._mailbox, options, self._setup)
        except self._ray.exceptions.RayError as error:
            raise OSError(f"Ray: {error}") from error
        running = RayRunning(self, number, work, report, reference)
        with self._lock:
            self._runs[number] = running
        return running

    def close(self) -> None:
        """End what is under way, and a cluster of one's own; see `Executor`."""
        self._closed.set()
        for running in list(self._runs.values()):
            running.kill()
            running.outcomes.end_all(Lost(log="the executor was closed"))
        if self._mailbox is not None:
            with contextlib.suppress(Exception):
                self._ray.kill(self._mailbox)
        self._ray.shutdown()

    def ask_to_stop(self, running: RayRunning, grace_seconds: float) -> None:
        """Tell work to stop, or not to begin."""
        mailbox = self._mailbox
        if mailbox is None:  # the cluster is gone, and `_pump` ends what was under way
            return
        with contextlib.suppress(self._ray.exceptions.RayError, OSError, RuntimeError):
            if running.began:
                mailbox.stop.remote(running.number, grace_seconds)
            else:
                self._ray.cancel(running.reference)

    def cancel(self, running: RayRunning) -> None:
        """End the process of some work."""
        with contextlib.suppress(self._ray.exceptions.RayError, OSError, RuntimeError, ValueError):
            self._ray.cancel(running.reference, force=True)

    def _connect(self) -> None:
        try:
            if self._address == LOCAL:
                use_token(self._home)
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
            import ray.exceptions
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
        except ImportError as error:
            raise DependencyError(
                Message("{error} is not installed", error=error.name or error),
                hint=Message("pip install 'itda[cluster]'"),
            ) from error
        self._ray = ray
        options: dict[str, Any] = {"namespace": "itda", "log_to_driver": False}
        if self._address == LOCAL:
            options |= {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": LOCAL_STORE_BYTES,
            }
            if self._asked_slots:
                options["num_cpus"] = self._asked_slots * self._cores
        else:
            options["address"] = self._address
        try:
            with _signals_kept():
                init_patiently(ray, options, tries=LOCAL_TRIES if self._address == LOCAL else 1)
            # Here, where it does not die with a node that is taken away.
            here = NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            mailbox = ray.remote(num_cpus=0)(Mailbox)
            self._mailbox = mailbox.options(scheduling_strategy=here).remote()
            self._task = ray.remote(max_retries=0)(perform)
        except Exception as error:
            self._mailbox = None
            raise OSError(f"the Ray cluster {self._address} cannot be reached: {error}") from error

    def _largest_node_bytes(self) -> int:
        known: list[dict[str, Any]] = self._ray.nodes()  # type: ignore[no-untyped-call]
        nodes = [node["Resources"] for node in known if node["Alive"]]
        return int(max((node.get("memory", 0) for node in nodes), default=0))

    def _pump(self) -> None:
        """Bring what tasks say to who gave them, and see which ended without a word."""
        while not self._closed.wait(PUMP_SECONDS):
            with self._lock:
                runs = dict(self._runs)
            if not runs or self._mailbox is None:
                continue
            try:
                self._deliver(self._ray.get(self._mailbox.take.remote(), timeout=60))
                references = {one.reference: one for one in runs.values()}
                ended, _ = self._ray.wait(
                    list(references), num_returns=len(references), timeout=0, fetch_local=False
                )
                for reference in ended:
                    self._bury(references[reference])
            except Exception as error:
                if self._closed.is_set():
                    return
                log.warning("Ray: %s", error)
                self._mailbox = None  # the next work connects anew
                for running in runs.values():
                    running.died(Stopped(hindrance=f"the Ray cluster is gone: {error}"))
                    self._forget(running)

    def _deliver(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            running = self._runs.get(parcel.number)
            if running is not None:
                running.began = True
                running.receive(parcel)

    def _bury(self, running: RayRunning) -> None:
        """Take the end of a task: after its last words, which its end may have overtaken."""
        exceptions = self._ray.exceptions
        outcome: Outcome = Lost(log="its process ended without a word")
        try:
            self._ray.get(running.reference)
        except exceptions.TaskCancelledError:
            outcome = Stopped()
        except exceptions.NodeDiedError as error:
            outcome = Stopped(hindrance=f"a node of the Ray cluster died: {error}")
        except Exception as error:
            outcome = Lost(log=str(error))
        self._deliver(self._ray.get(self._mailbox.take.remote(), timeout=60))
        running.died(Stopped() if running.cancelled else outcome)
        self._forget(running)

    def _forget(self, running: RayRunning) -> None:
        with self._lock:
            self._runs.pop(running.number, None)


class RayRunning:
    """Work on a cluster; see `Running`."""

    def __init__(
        self, executor: RayExecutor, number: str, work: Work, report: Report, reference: Any
    ) -> None:
        self.number = number
        self.reference = reference
        self.outcomes = Outcomes(work)
        self.began = False
        self.cancelled = False
        self._executor = executor
        self._report = report
        self._tasks = {task.key: task for task in work.tasks}
        self._let_go = False
        self._cancel_at: float | None = None

    def poll(self) -> list[tuple[str, Outcome]]:
        """Return what ended since; see `Running`."""
        if self._cancel_at is not None and time.monotonic() >= self._cancel_at:
            self._cancel_at = None
            self.cancelled = True
            self._executor.cancel(self)
        return self.outcomes.take()

    @property
    def ended(self) -> bool:
        """Whether all has ended and the cluster is free of it; see `Running`."""
        return self._let_go and self.outcomes.taken

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Ask it to stop, and end its process where it does not; see `Running`."""
        self._executor.ask_to_stop(self, grace_seconds)
        latest = time.monotonic() + grace_seconds + STOP_WITHIN_SECONDS
        self._cancel_at = latest if self._cancel_at is None else min(self._cancel_at, latest)

    def kill(self) -> None:
        """End its process; see `Running`."""
        self._executor.cancel(self)

    def receive(self, parcel: Parcel) -> None:
        """Take what the task says."""
        for key, events in parcel.events:
            self._report(key, events)
        for key, outcome, files in parcel.outcomes:
            try:
                outcome = unpack(outcome, files, self._tasks[key].output)
            except OSError as error:
                outcome = Stopped(hindrance=str(error))
            self.outcomes.end(key, outcome)
            self._report(key, [])

    def died(self, outcome: Outcome) -> None:
        """Note that the task has ended."""
        self.outcomes.end_all(outcome)
        self._let_go = True
        self._report("", [])


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this process's handlers: Ray puts one in their place that aborts after SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def init_patiently(ray: Any, options: dict[str, Any], *, tries: int) -> None:
    """Start or reach a cluster, anew where that fails.

    Args:
        ray: The package.
        options: Of `ray.init`.
        tries: How often in all.
    """
    for left in reversed(range(tries)):
        ray.shutdown()
        try:
            ray.init(**options)
        except Exception as error:
            if not left:
                raise
            log.warning("Ray did not start and is started again: %s", error)
        else:
            return


def use_token(home: Path) -> None:
    """Let a cluster of one's own take only who has a token, kept in the server's home.

    What the environment says already stays. Ray reads it once, when it is imported.
    """
    if any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")):
        return
    if "ray" in sys.modules:
        log.warning("Ray was imported before: its cluster takes whoever reaches its ports")
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", home / "ray-token"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    os.environ["RAY_AUTH_MODE"] = "token"
