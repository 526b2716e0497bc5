"""Threads that work on one run, and one stream of what they tell."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from itda.engine.events import Event
from itda.progress import Progress

Item = TypeVar("Item")

POLL_SECONDS = 0.2
"""How soon a thread that waits sees that it is to stop."""
STOP_SECONDS = 3.0
TELL_EVERY_SECONDS = 0.1


class StopWorkError(BaseException):
    """Ends a thread of a crew from inside whatever it does; only a crew raises and catches it."""


class Crew:
    """Starts threads, hands on what they tell, and stops all of them together.

    An error that a thread does not handle stops the others and goes to whoever reads the events.
    """

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def hire(self, name: str, work: Callable[[], None]) -> None:
        """Add a thread, which starts when events are asked for."""

        def run() -> None:
            try:
                work()
            except StopWorkError:
                pass
            except BaseException as error:
                self._errors.append(error)
                self._stopping.set()
            finally:
                self._told.put(None)

        self._threads.append(threading.Thread(target=run, name=f"itda-{name}", daemon=True))

    def events(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Start all threads and yield what they tell until the last has ended.

        The caller's thread stays free to take Ctrl-C. When it stops early, each thread ends at its
        next report of progress.

        Args:
            stop: Asked several times a second; where it says so, threads are stopped and the events
                end with what was told until then.
        """
        for thread in self._threads:
            thread.start()
        working = len(self._threads)
        try:
            while working and not stop():
                try:
                    # With a time limit, so that Ctrl-C is seen on every platform.
                    event = self._told.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                if event is None:
                    working -= 1
                else:
                    yield event
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join(STOP_SECONDS)
        while working and not self._told.empty():
            late = self._told.get()
            if late is not None:
                yield late
        if self._errors:
            raise self._errors[0]

    def tell(self, *events: Event) -> None:
        """Hand on events."""
        self.check()
        for event in events:
            self._told.put(event)

    def tell_all(self, events: Iterable[Event]) -> None:
        """Hand on events as they come; a generator is closed when work stops."""
        try:
            for event in events:
                self.tell(event)
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()

    def check(self) -> None:
        """Raise where work is to stop."""
        if self._stopping.is_set():
            raise StopWorkError

    def progress(self, events: Callable[[float, str], Iterable[Event]]) -> Progress:
        """Return what reports progress as events, not too often; it raises when work is to stop."""
        spoke = 0.0

        def report(fraction: float, message: str) -> None:
            nonlocal spoke
            self.check()
            now = time.monotonic()
            if now - spoke >= TELL_EVERY_SECONDS or fraction >= 1:
                spoke = now
                self.tell(*events(min(max(fraction, 0.0), 1.0), message))

        return report

    def get(self, out_of: queue.SimpleQueue[Item]) -> Item:
        """Take an item from a queue once there is one."""
        while True:
            self.check()
            try:
                return out_of.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
