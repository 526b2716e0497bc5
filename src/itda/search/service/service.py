"""What a search server does with a request, apart from how the request comes in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from itda.errors import DataError, InputError, ItdaError, OutputError
from itda.language import Message
from itda.search.protocol import (
    Kind,
    Status,
    pack_archive,
    parse_mode,
    parse_query,
    ticket_id,
)
from itda.search.service.alignments import AlignmentCache
from itda.search.service.limits import Limits, RateLimiter
from itda.search.service.results import archive_files
from itda.search.service.tickets import Ticket, TicketTable
from itda.search.sources.source import Source

_SWEEP_EVERY_SECONDS = 3600.0
_SAYS_EVERY_SECONDS = 30.0
_STOPS_IN_SECONDS = 20.0
_AFTER_FAULT_SECONDS = 5.0

Log = Callable[[str], None]


class RefusedError(Exception):
    """A request that is not taken.

    Args:
        status: RATELIMIT, MAINTENANCE or ERROR.
        reason: Why, as the client may read it.
        retry_after_seconds: When to ask again; 0 where that would not help.
    """

    def __init__(self, status: Status, reason: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class _StoppedError(Exception):
    """The server stops; the search ends where it is."""


class SearchService:
    """Takes requests, searches in threads of its own, and keeps results and queue on disk.

    Args:
        source: Where alignments come from.
        data: Folder of queue, results and alignments; one server at a time has it.
        limits: What clients may ask.
        workers: Searches at one time.
        log: Told what happens, one line each; sequences never stand in it.

    Raises:
        OutputError: Another server has the folder, or it cannot be written.
    """

    def __init__(
        self,
        source: Source,
        data: Path,
        *,
        limits: Limits | None = None,
        workers: int = 1,
        log: Log = lambda line: None,
    ) -> None:
        self.source = source
        self.limits = limits or Limits()
        self.log = log
        self._lock = _lock_folder(data)
        self.tickets = TicketTable(data / "tickets")
        self.alignments = AlignmentCache(source, data)
        self._rate = RateLimiter(self.limits.rate_per_minute, self.limits.burst)
        self._stop = threading.Event()
        self._began = time.time()
        self._done = 0
        self._failed = 0
        # Daemons: a search inside a library that does not return must not keep the server up.
        self._threads = [
            *(threading.Thread(target=self._work, daemon=True) for _ in range(workers)),
            threading.Thread(target=self._sweep, daemon=True),
        ]
        self._workers = workers

    def start(self) -> None:
        """Begin to work on the queue."""
        if self.tickets.waiting:
            self.log(f"{self.tickets.waiting} tickets wait from before")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the searches; their tickets wait for the next start."""
        self._stop.set()
        until = time.monotonic() + _STOPS_IN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        os.close(self._lock)

    def submit(self, kind: Kind, query: str, mode: str, client: str) -> Ticket:
        """Take a request, or find the ticket of an equal one.

        Args:
            kind: `msa` or `pair`.
            query: The field `q`.
            mode: The field `mode`.
            client: Who asks, for the limit on each.

        Raises:
            RefusedError: The request is wrong, too much, or the databases cannot be used now.
        """
        limits = self.limits
        try:
            parsed = parse_mode(kind, mode)
            queries = parse_query(
                query, max_sequences=limits.max_sequences, max_length=limits.max_length
            )
            if parsed.kind == "pair" and len(queries) < 2:
                raise InputError(Message("q: pairing needs two sequences or more"))
        except InputError as error:
            raise RefusedError(Status.ERROR, error.problem) from error
        try:
            source = self.alignments.digest()
        except DataError as error:
            self.log(f"the databases cannot be used: {error.problem}")
            raise RefusedError(
                Status.MAINTENANCE, "the databases of this server cannot be used now", 300.0
            ) from error
        identity = ticket_id(query, kind, mode)
        known = self.tickets.find(identity, source)
        if known is not None:
            self.tickets.touch(identity)
            return known
        if self.tickets.waiting >= limits.max_queue:
            raise RefusedError(
                Status.RATELIMIT, f"{self.tickets.waiting} tickets wait already", 60.0
            )
        wait = self._rate.take(client)
        if wait:
            raise RefusedError(
                Status.RATELIMIT,
                f"one client may ask {limits.rate_per_minute:g} searches a minute",
                wait,
            )
        ticket = self.tickets.add(
            Ticket(identity, kind, mode, queries, source, submitted=time.time())
        )
        residues = sum(len(sequence) for _, sequence in queries)
        self.log(
            f"{identity}: {kind} {mode} of {len(queries)} sequences, {residues} residues, "
            f"from {client}; {self.tickets.waiting} wait"
        )
        return ticket

    def state(self) -> dict[str, object]:
        """Return the numbers of the queue."""
        return {
            "queued": self.tickets.waiting,
            "running": self.tickets.running,
            "done": self._done,
            "failed": self._failed,
            "workers": self._workers,
            "up_seconds": round(time.time() - self._began),
        }

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                ticket = self.tickets.take(0.5)
                if ticket is not None:
                    self._serve(ticket)
            except OSError as error:
                self.log(f"the queue cannot be written: {error}")
                self._stop.wait(_AFTER_FAULT_SECONDS)

    def _serve(self, ticket: Ticket) -> None:
        began = time.monotonic()
        try:
            files = self._search(ticket)
            # The databases may have changed since the ticket was given out.
            ticket = replace(ticket, source=self.alignments.digest())
            self.tickets.finish(ticket, pack_archive(files))
        except _StoppedError:
            self.tickets.put_back(ticket)
            return
        except Exception as error:
            self._failed += 1
            self._fail(ticket, error)
            return
        self._done += 1
        self.log(f"{ticket.id}: complete after {time.monotonic() - began:.1f} s")

    def _search(self, ticket: Ticket) -> dict[str, str]:
        said = time.monotonic()

        def progress(fraction: float, message: str) -> None:
            nonlocal said
            if self._stop.is_set():
                raise _StoppedError
            if time.monotonic() - said > _SAYS_EVERY_SECONDS:
                said = time.monotonic()
                self.log(f"{ticket.id}: {fraction:.0%} {message}")

        alignments = self.alignments.search([sequence for _, sequence in ticket.queries], progress)
        mode = parse_mode(ticket.kind, ticket.mode)
        names = [name for name, _ in ticket.queries]
        return archive_files(mode, names, alignments, made_by=self.source.title)

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        # What a source says may name folders of this machine, which are no client's business.
        said = "the search failed on the server; its log says why"
        if isinstance(error, InputError):
            said = error.problem
        known = isinstance(error, ItdaError)
        details = str(error) if known else "".join(traceback.format_exception(error))
        self.log(f"{ticket.id}: failed: {details}")
        try:
            self.tickets.fail(ticket, said)
        except OSError as fault:
            self.log(f"{ticket.id}: its state cannot be written: {fault}")

    def _sweep(self) -> None:
        keep = self.limits.keep_days * 86400
        while not self._stop.is_set():
            removed = self.tickets.sweep(keep) + self.alignments.sweep(keep)
            if removed:
                self.log(f"removed {removed} results of {self.limits.keep_days:g} days and more")
            self._stop.wait(_SWEEP_EVERY_SECONDS)


def _lock_folder(data: Path) -> int:
    """Take the folder for this process; the system gives it back when the process dies."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputError(
            Message("{data}: cannot be written: {strerror}", data=data, strerror=error.strerror),
            hint=Message("choose another {--data}"),
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise OutputError(
            Message("{data}: another search server uses it", data=data),
            hint=Message("stop it, or choose another {--data}"),
        ) from error
    return descriptor
