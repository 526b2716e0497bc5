"""What one client may ask of a search server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a search server takes.

    Attributes:
        max_length: The most residues of a sequence.
        max_sequences: The most sequences of a ticket.
        max_queue: The most tickets that wait.
        rate_per_minute: New tickets of one client a minute; those whose result is there are free.
        burst: How many of them may come at once.
        keep_days: How long a result that nobody asks for is kept.
    """

    max_length: int = 4000
    max_sequences: int = 32
    max_queue: int = 500
    rate_per_minute: float = 30.0
    burst: int = 60
    keep_days: float = 30.0

    @property
    def max_request_bytes(self) -> int:
        """The most that a request may hold: sequences, headers, and what a form adds to them."""
        return 3 * self.max_sequences * (self.max_length + 1000) + 10_000


class RateLimiter:
    """A bucket of tokens for each client (token bucket algorithm).

    Args:
        rate_per_minute: Tokens that come back to a client.
        burst: Tokens that it has at most.
        clock: Seconds since any moment.
    """

    def __init__(
        self, rate_per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = rate_per_minute / 60
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> float:
        """Take a token; return 0, or the seconds until there is one again."""
        with self._lock:
            now = self._clock()
            if len(self._buckets) > 10_000:
                self._forget_full(now)
            tokens = self._tokens(client, now)
            if tokens >= 1:
                self._buckets[client] = (tokens - 1, now)
                return 0.0
            return (1 - tokens) / self._per_second

    def _tokens(self, client: str, now: float) -> float:
        tokens, since = self._buckets.get(client, (float(self._burst), now))
        return min(self._burst, tokens + (now - since) * self._per_second)

    def _forget_full(self, now: float) -> None:
        full = [one for one in self._buckets if self._tokens(one, now) >= self._burst]
        for client in full:
            del self._buckets[client]
