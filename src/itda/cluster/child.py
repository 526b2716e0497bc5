"""A process that folds what its parent tells it: `python -m itda.cluster.child OPTIONS`.

Both ways go lines of JSON. It is told `{"work": …, "number": N}` and `{"stop": GRACE_SECONDS,
"number": N}`, and says `{"ready": …}` or `{"refused": ERROR}` once, then for each piece of work
`{"told": KEY, "events": …}` and `{"ended": KEY, "outcome": …}`, and at its end `{"idle": SPOILT}`.

It ends with its parent, whose pipe then closes; signals that are sent to all processes of a job are
left to the parent.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from itda.engine.stop import Stop
from itda.errors import ItdaError

DATA_BESIDE_MEMORY = 2**30
"""Data that a process has beside what is predicted: stacks of threads, and pages never touched."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fold until the parent closes the pipe."""
    (text,) = sys.argv[1:] if arguments is None else arguments
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # What libraries print must not come between the lines.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    Child(json.loads(text), sys.stdin, answers).run()


class Child:
    """The process's side of the pipes.

    Args:
        options: `device`, `memory_bytes`, `threads`.
        orders: What the parent says.
        answers: What it is answered.
    """

    def __init__(self, options: dict[str, Any], orders: TextIO, answers: TextIO) -> None:
        self._options = options
        self._orders = orders
        self._answers = answers
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[dict[str, Any], Stop]] = queue.SimpleQueue()

    def run(self) -> None:
        """Get ready, then do work until the parent goes."""
        from itda.cluster.machine import device_kind_of, memory_of
        from itda.device import available_devices, resolve_device

        device, memory = self._options["device"], self._options["memory_bytes"]
        try:
            device = resolve_device(device)
            if memory is not None and device == "cpu":
                most = memory + DATA_BESIDE_MEMORY
                resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            from itda.cluster.perform import Performer

            performer = Performer(
                device=device, memory_bytes=memory, threads=self._options["threads"]
            )
            ready = {
                "device": device,
                "device_kind": device_kind_of(device),
                "devices": list(available_devices()),
                "memory_bytes": memory_of(device, memory),
            }
        except ItdaError as error:
            kind = type(error).__name__
            self._say(refused={"kind": kind, "problem": error.problem, "hint": error.hint})
            return
        self._say(ready=ready)
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

        from itda.cluster.outcomes import outcome_to_dict
        from itda.cluster.work import Work

        while True:
            work, stop = self._work.get()
            performer.perform(
                Work.from_dict(work),
                lambda key, events: self._say(told=key, events=list(events)),
                lambda key, outcome: self._say(ended=key, outcome=outcome_to_dict(outcome)),
                stop,
            )
            self._say(idle=performer.spoilt)

    def _listen(self) -> None:
        number, stop = 0, Stop()
        for line in self._orders:
            order = json.loads(line)
            if "work" in order:
                number, stop = order["number"], Stop()
                self._work.put((order["work"], stop))
            elif order["number"] == number:
                stop.ask(order["stop"])
        _end()

    def _say(self, **answer: Any) -> None:
        try:
            with self._lock:
                self._answers.write(json.dumps(answer) + "\n")
                self._answers.flush()
        except OSError:
            _end()


def _end() -> None:
    """End at once, with the programs that a search has started: nobody is left to be told of it."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
