"""Work in processes of this machine: one for each slot, kept between pieces of work.

PyTorch and the weights are loaded once, and a job that takes its process down touches no other.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from itda import errors
from itda.cluster.outcomes import Outcomes, outcome_from_dict
from itda.cluster.work import Lost, Outcome, Report, Stopped, Work
from itda.errors import DependencyError, ItdaError
from itda.language import Message
from itda.machine import usable_cores

COMMAND = (sys.executable, "-m", "itda.cluster.child")
READY_SECONDS = 300.0
LEAVE_SECONDS = 5.0
TAIL_LINES = 60
STOP_WITHIN_SECONDS = 15.0
"""How long work may go on after its grace before its process is killed."""

log = logging.getLogger("itda.cluster")


class Processes:
    """As many pieces of work at a time as there are slots.

    Args:
        slots: How many; None for one, or one for each GPU where there are several.
        device: `auto` for the fastest there is, else `cpu`, `cuda:1` or `mps`.
        memory_bytes: Memory that work may take; None for all that there is.
        threads: Processor cores for each; None shares them out.
        command: What starts a process; options are added as one word.

    Raises:
        CapabilityError: The machine has no such device.
        DependencyError: A package is missing.
    """

    name = "processes"

    def __init__(
        self,
        slots: int | None = None,
        *,
        device: str = "auto",
        memory_bytes: int | None = None,
        threads: int | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._command = tuple(command or COMMAND)
        self._memory_bytes = memory_bytes
        self._threads = threads or max(1, usable_cores() // (slots or 1))
        first = Child(self._command, self._options(device))
        found = first.wait_ready()
        self.device: str = found["device"]
        self.device_kind: str = found["device_kind"]
        self.memory_bytes: int = found["memory_bytes"]
        gpus = [name for name in found["devices"] if name.startswith("cuda")]
        devices = gpus if device == "auto" and len(gpus) > 1 else [self.device]
        self.slots = slots or len(devices)
        self._slots = [_Slot(devices[index % len(devices)]) for index in range(self.slots)]
        self._slots[0].child = first

    def free_bytes(self) -> int:
        """Return the memory that the next work may need; see `Executor`."""
        return max((self._free(slot) for slot in self._slots if slot.free), default=0)

    def start(self, work: Work, report: Report) -> ChildRunning:
        """Give work to a process; see `Executor`."""
        slot = max((slot for slot in self._slots if slot.free), key=self._free)
        if slot.child is None or not slot.child.usable:
            if slot.child is not None:
                slot.child.close()
            slot.child = None
            slot.child = Child(self._command, self._options(slot.device))
        slot.running = ChildRunning(slot.child, work, report)
        return slot.running

    def close(self) -> None:
        """End all processes; see `Executor`."""
        for slot in self._slots:
            if slot.child is not None:
                slot.child.close()
                slot.child = None

    @property
    def processes(self) -> list[int]:
        """The numbers of the processes there are."""
        return [slot.child.process for slot in self._slots if slot.child is not None]

    def _free(self, slot: _Slot) -> int:
        taken = sum(
            other.running.work.need_bytes
            for other in self._slots
            if other.running is not None and not other.free and other.device == slot.device
        )
        return max(0, self.memory_bytes - taken)

    def _options(self, device: str) -> dict[str, Any]:
        return {"device": device, "memory_bytes": self._memory_bytes, "threads": self._threads}


class _Slot:
    def __init__(self, device: str) -> None:
        self.device = device
        self.child: Child | None = None
        self.running: ChildRunning | None = None

    @property
    def free(self) -> bool:
        return self.running is None or self.running.ended


class Child:
    """A process, as its parent sees it.

    Args:
        command: What starts it.
        options: See `itda.cluster.child`.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, command: Sequence[str], options: Mapping[str, Any]) -> None:
        self._popen = subprocess.Popen(
            [*command, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            # Ctrl-C in a terminal goes to its parent alone, which asks it to stop.
            start_new_session=True,
        )
        self.usable = True
        self._ready: dict[str, Any] | None = None
        self._refused: dict[str, str] | None = None
        self._known = threading.Event()
        self._running: ChildRunning | None = None
        self._number = 0
        self._lock = threading.Lock()
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()
        threading.Thread(target=self._read_answers, daemon=True).start()

    @property
    def process(self) -> int:
        """Its number."""
        return self._popen.pid

    @property
    def ready(self) -> bool:
        """Whether it can work."""
        return self._ready is not None

    def wait_ready(self) -> dict[str, Any]:
        """Wait until it can work, and return what it says of the machine.

        Raises:
            ItdaError: It cannot work here.
        """
        self._known.wait(READY_SECONDS)
        if self._ready is not None:
            return self._ready
        self.close()
        if self._refused is not None:
            kind = getattr(errors, self._refused["kind"], ItdaError)
            raise kind(self._refused["problem"], hint=self._refused["hint"])
        raise DependencyError(
            Message("a process that folds cannot be started: {epitaph}", epitaph=self.epitaph()),
            hint=Message("`itda doctor` looks for the cause"),
        )

    def take(self, running: ChildRunning) -> None:
        """Work for somebody, who is told of all that comes."""
        with self._lock:
            self._running = running
            self._number += 1
        self._order(work=running.work.to_dict(), number=self._number)
        if not self.usable:
            self._bury()

    def stop(self, grace_seconds: float) -> None:
        """Ask the work to stop."""
        self._order(stop=grace_seconds, number=self._number)

    def kill(self) -> None:
        """End it now, with the programs that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it leave; end it where it does not."""
        self.usable = False
        with contextlib.suppress(OSError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()
        try:
            self._popen.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()

    def epitaph(self) -> str:
        """Say how it ended and what it last wrote."""
        self._drain.join(LEAVE_SECONDS)
        code = self._popen.poll()
        if self._refused is not None:
            how = self._refused["problem"]
        elif code is None:
            how = "it does not answer"
        elif code < 0:
            name = signal.Signals(-code).name
            how = f"its process was ended by signal {-code} ({name})"
            if -code == signal.SIGKILL:
                how += ", as systems do where memory runs out"
        else:
            how = f"its process ended with status {code}"
        return "\n".join([how, *self._tail])

    def _order(self, **order: Any) -> None:
        assert self._popen.stdin is not None
        # Where it has died, the end of its answers tells.
        with contextlib.suppress(OSError, ValueError), self._lock:
            self._popen.stdin.write(json.dumps(order) + "\n")
            self._popen.stdin.flush()

    def _read_answers(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            try:
                self._answer(json.loads(line))
            except ValueError:
                log.warning("process %d said %r", self.process, line[:200])
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13
            # Programs that it started end with it, while its number is still its own.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOWAIT)
            self.kill()
        self._popen.wait()
        self.usable = False
        self._known.set()
        self._bury()

    def _answer(self, answer: dict[str, Any]) -> None:
        running = self._running
        if "ready" in answer:
            self._ready = answer["ready"]
            self._known.set()
        elif "refused" in answer:
            self._refused = answer["refused"]
        elif running is None:
            return
        elif "told" in answer:
            running.told(answer["told"], answer["events"])
        elif "ended" in answer:
            running.end(answer["ended"], outcome_from_dict(answer["outcome"]))
        else:
            self.usable = self.usable and not answer["idle"]
            with self._lock:
                self._running = None
            running.let_go()

    def _bury(self) -> None:
        """Tell who it works for that it is dead."""
        with self._lock:
            running, self._running = self._running, None
        if running is None:
            return
        epitaph = self.epitaph()
        # What it died of before it could work has nothing to do with the job.
        running.died(Lost(log=epitaph) if self._ready else Stopped(hindrance=epitaph))

    def _read_errors(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self._tail.append(line.rstrip("\n")[:1000])
            log.info("process %d: %s", self._popen.pid, line.rstrip("\n"))


class ChildRunning:
    """Work in a process; see `Running`."""

    def __init__(self, child: Child, work: Work, report: Report) -> None:
        self.work = work
        self._child = child
        self._report = report
        self._outcomes = Outcomes(work)
        self._let_go = False
        self._kill_at: float | None = None
        self._start_by = time.monotonic() + READY_SECONDS
        child.take(self)

    def poll(self) -> list[tuple[str, Outcome]]:
        """Return what ended since; see `Running`."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at and not self._let_go:
            self._kill_at = None
            log.warning("process %d does not stop and is ended", self._child.process)
            # It did nothing wrong but for being in the middle of something long.
            self._outcomes.end_all(Stopped())
            self._child.kill()
        return self._outcomes.take()

    @property
    def began(self) -> bool:
        """Whether the process has started, or should have; see `Running`."""
        return self._child.ready or time.monotonic() >= self._start_by

    @property
    def ended(self) -> bool:
        """Whether all has ended and the process is free; see `Running`."""
        return self._let_go and self._outcomes.taken

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Ask it to stop, and end the process where it does not; see `Running`."""
        self._child.stop(grace_seconds)
        latest = time.monotonic() + grace_seconds + STOP_WITHIN_SECONDS
        self._kill_at = latest if self._kill_at is None else min(self._kill_at, latest)

    def kill(self) -> None:
        """End the process; see `Running`."""
        self._child.kill()

    def told(self, key: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Hand on what happened to a task."""
        self._report(key, events)

    def end(self, key: str, outcome: Outcome) -> None:
        """Note what came of a task."""
        self._outcomes.end(key, outcome)
        self._report(key, [])

    def let_go(self) -> None:
        """Note that the process is free."""
        self._outcomes.close()
        self._let_go = True
        self._report("", [])

    def died(self, outcome: Outcome) -> None:
        """Note that the process is dead."""
        self._outcomes.end_all(outcome)
        self.let_go()
