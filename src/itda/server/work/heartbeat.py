"""A worker's heartbeat: it renews the leases, and brings word of what is lost or cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from itda.server.queue.queue import Queue
from itda.server.queue.records import Beat
from itda.server.work.patience import first_line

LONGEST_BEAT_SECONDS = 5.0
"""A heartbeat also brings word of what is cancelled, which somebody waits for."""

log = logging.getLogger("itda.worker")


class Heartbeat:
    """Beats in a thread of its own, whatever else the worker is about.

    Args:
        queue: Renews leases.
        lease_seconds: How long a lease lasts without a heartbeat.
    """

    def __init__(self, queue: Queue, lease_seconds: float) -> None:
        self._queue = queue
        self._interval = min(lease_seconds / 4, LONGEST_BEAT_SECONDS)
        self._beats: list[Beat] = []
        self._ended = threading.Event()

    def start(self, worker_id: str, held_leases: Callable[[], list[str]]) -> None:
        """Beat until `end`.

        Args:
            worker_id: Whose heart it is.
            held_leases: Gives the leases that are to be renewed.
        """
        arguments = (worker_id, held_leases)
        threading.Thread(target=self._beat, args=arguments, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Beat no more."""
        self._ended.set()

    def take_beats(self) -> list[Beat]:
        """Return what the queue answered since this was last called, oldest first."""
        return [self._beats.pop(0) for _ in range(len(self._beats))]

    def _beat(self, worker_id: str, held_leases: Callable[[], list[str]]) -> None:
        wait = self._interval
        while not self._ended.wait(wait):
            try:
                self._beats.append(self._queue.beat(worker_id, held_leases()))
                wait = self._interval
            except Exception as error:
                log.warning("heartbeat: %s", first_line(error))
                wait = min(self._interval, 2.0)
