"""How often: buckets of tokens in memory, one for each address, credential and account."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itda.language import Message
from itda.server.errors import RateError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from itda.server.settings import Limits

MOST_KEYS = 50_000
"""Beyond these, those that were not used for longest are forgotten."""

ADDRESS_FACTOR = 10
"""An address may be that of many users."""

FAILURES_PER_MINUTE = 60
ACCOUNT_FACTOR = 3
"""Tries for one account may come from several addresses, but not from many."""


@dataclass
class _Bucket:
    left: float
    at: float


class Buckets:
    """A limit per minute for each key; a full minute's worth may come at once.

    Args:
        per_minute: How many.
        what: What is counted, for the message.
        timer: Seconds that only grow.
    """

    def __init__(
        self, per_minute: float, what: str, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._what = what
        self._timer = timer
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Count one.

        Raises:
            RateError: There were too many; `retry_after` says how long to wait.
        """
        with self._lock:
            bucket = self._filled(key)
            if bucket.left < 1:
                raise self._error(bucket)
            bucket.left -= 1

    def give_back(self, key: str) -> None:
        """Count one less: what was counted turned out well."""
        with self._lock:
            if key in self._buckets:
                bucket = self._filled(key)
                bucket.left = min(self._per_minute, bucket.left + 1)

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, key: str) -> _Bucket:
        now = self._timer()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._per_minute, now)
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            gained = (now - bucket.at) * self._per_minute / 60
            bucket.left = min(self._per_minute, bucket.left + gained)
            bucket.at = now
        return bucket

    def _error(self, bucket: _Bucket) -> RateError:
        wait = (1 - bucket.left) * 60 / self._per_minute
        return RateError(
            Message(
                "{what}: {per_minute:g} a minute are the most",
                what=self._what,
                per_minute=self._per_minute,
            ),
            hint=Message("wait {wait:.0f} s", wait=wait) if wait >= 1 else Message("wait a moment"),
            retry_after=wait,
        )


class RequestLimits:
    """The limits of one server process.

    Args:
        limits: As the server was told.
        timer: Seconds that only grow.
    """

    def __init__(self, limits: Limits, timer: Callable[[], float] = time.monotonic) -> None:
        requests, sign_ins = limits.requests_per_minute, limits.sign_ins_per_minute
        self._address = Buckets(ADDRESS_FACTOR * requests, "requests of this address", timer)
        self._credential = Buckets(requests, "requests", timer)
        self._failures = Buckets(FAILURES_PER_MINUTE, "tokens that do not work", timer)
        self._sign_ins = Buckets(sign_ins, "tries to sign in that fail", timer)
        self._accounts = Buckets(
            ACCOUNT_FACTOR * sign_ins, "tries for this account that fail", timer
        )

    def address(self, address: str | None) -> None:
        """Count a request of an address."""
        self._address.take(address or "")

    def credential(self, key: str) -> None:
        """Count a request of a token or session."""
        self._credential.take(key)

    def failed(self, address: str | None) -> None:
        """Count a credential that did not work."""
        self._failures.take(address or "")

    def sign_in(self, address: str | None) -> None:
        """Count a try to sign in, by whatever means, as one that fails."""
        self._sign_ins.take(address or "")

    def signed_in(self, address: str | None) -> None:
        """Count it no longer: it succeeded."""
        self._sign_ins.give_back(address or "")

    def account(self, email: str) -> None:
        """Count a try for an account as one that fails."""
        self._accounts.take(_account(email))

    def account_opened(self, email: str) -> None:
        """Count it no longer: it succeeded."""
        self._accounts.give_back(_account(email))


def limits_of(app: FastAPI) -> RequestLimits:
    """Return the limits of an application."""
    kept: RequestLimits = app.state.request_limits
    return kept


def _account(email: str) -> str:
    return email.strip().lower()[:320]
