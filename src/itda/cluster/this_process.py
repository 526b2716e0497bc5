"""Work in a thread of this process: for tests, notebooks, and machines without room for more.

A job that crashes the process takes all of it down, and one that hangs can only be asked to stop;
`Processes` is for servers.
"""

from __future__ import annotations

import logging
import threading
import traceback

from itda.cluster.machine import device_kind_of, memory_of
from itda.cluster.outcomes import Outcomes
from itda.cluster.perform import Performer
from itda.cluster.work import Lost, Outcome, Report, Work
from itda.engine.stop import Stop

log = logging.getLogger("itda.cluster")


class ThisProcess:
    """One piece of work at a time.

    Args:
        device: `auto` for the fastest there is, else `cpu`, `cuda:1` or `mps`.
        memory_bytes: Memory that work may take; None for all that there is.
        threads: Processor cores to use; None for all.

    Raises:
        CapabilityError: The machine has no such device.
    """

    name = "this process"
    slots = 1

    def __init__(
        self,
        *,
        device: str = "auto",
        memory_bytes: int | None = None,
        threads: int | None = None,
    ) -> None:
        from itda.device import resolve_device

        self.device = resolve_device(device)
        self.device_kind = device_kind_of(self.device)
        self.memory_bytes = memory_of(self.device, memory_bytes)
        self._performer = Performer(device=self.device, memory_bytes=memory_bytes, threads=threads)
        self._one = threading.Lock()

    def start(self, work: Work, report: Report) -> ThreadRunning:
        """Start work in a thread; see `Executor`."""
        return ThreadRunning(self._performer, self._one, work, report)

    def free_bytes(self) -> int:
        """Return the memory that the next work may need; see `Executor`."""
        return self.memory_bytes

    def close(self) -> None:
        """Keep nothing; work that goes on has to be stopped by who started it."""


class ThreadRunning:
    """Work in a thread; see `Running`."""

    def __init__(
        self, performer: Performer, one: threading.Lock, work: Work, report: Report
    ) -> None:
        self._performer = performer
        self._one = one
        self._work = work
        self._report = report
        self._stop = Stop()
        self._outcomes = Outcomes(work)
        self.began = False
        threading.Thread(target=self._run, name="work-in-this-process", daemon=True).start()

    def _run(self) -> None:
        def end(key: str, outcome: Outcome) -> None:
            self._outcomes.end(key, outcome)
            self._report(key, [])

        try:
            with self._one:
                self.began = True
                self._performer.perform(self._work, self._report, end, self._stop)
            self._outcomes.close()
        except BaseException:
            log.exception("work in this process broke")
            self._outcomes.end_all(Lost(log=traceback.format_exc()))
            self._report(self._work.tasks[0].key, [])

    def poll(self) -> list[tuple[str, Outcome]]:
        """Return what ended since; see `Running`."""
        return self._outcomes.take()

    @property
    def ended(self) -> bool:
        """Whether all has ended; see `Running`."""
        return self._outcomes.taken

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Ask it to stop; see `Running`."""
        self._stop.ask(grace_seconds)

    def kill(self) -> None:
        """Stop it as soon as it can be: a thread cannot be killed, and its outcome is `Lost`."""
        self._stop.ask()
        self._outcomes.end_all(Lost(log="it was ended"))
