"""The tickets of a search server, on disk, so that a restart loses none.

tickets/AB/ID/ticket.json     what was asked, and how far it is
tickets/AB/ID/result.tar.gz   the archive, once it is complete
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from itda.search.protocol import Kind, Status, is_own_id
from itda.storage import write_whole

TICKET = "ticket.json"
ARCHIVE = "result.tar.gz"


@dataclass(frozen=True)
class Ticket:
    """A request and its state.

    Attributes:
        id: See `itda.search.protocol.ticket_id`.
        kind: `msa` or `pair`.
        mode: As it was sent.
        queries: Name and sequence of each record.
        source: Digest of the source's key when it was asked; a result of another one is stale.
        submitted: Seconds since 1970.
        status: PENDING, RUNNING, COMPLETE or ERROR.
        error: Why it failed, as a client may read it.
    """

    id: str
    kind: Kind
    mode: str
    queries: tuple[tuple[str, str], ...]
    source: str
    submitted: float
    status: Status = Status.PENDING
    error: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Ticket:
        """Read what `to_dict` gave."""
        queries = tuple((str(name), str(sequence)) for name, sequence in data["queries"])
        return cls(**{**data, "queries": queries, "status": Status(data["status"])})

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return asdict(self)


class TicketTable:
    """All tickets below a folder, and the queue of those that wait; for several threads.

    Args:
        folder: Where they are; those that a stopped server left waiting or running wait again, the
            oldest first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._running: set[str] = set()
        waiting = [
            ticket for ticket in self._stored() if ticket.status in (Status.PENDING, Status.RUNNING)
        ]
        waiting.sort(key=lambda ticket: ticket.submitted)
        self._queue = deque(ticket.id for ticket in waiting)

    def get(self, identity: str) -> Ticket | None:
        """Return a ticket; None for an id that was never given out."""
        if not is_own_id(identity):
            return None
        try:
            text = (self._place(identity) / TICKET).read_text(encoding="utf-8")
            ticket = Ticket.from_dict(json.loads(text))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if ticket.status is Status.RUNNING and identity not in self._running:
            return replace(ticket, status=Status.PENDING)
        return ticket

    def find(self, identity: str, source: str) -> Ticket | None:
        """Return a ticket that needs no new work: waiting, running, or complete from `source`."""
        ticket = self.get(identity)
        if ticket is None or ticket.status is Status.ERROR:
            return None
        if ticket.status is Status.COMPLETE and (
            ticket.source != source or not self.archive(identity).is_file()
        ):
            return None
        return ticket

    def add(self, ticket: Ticket) -> Ticket:
        """Queue a ticket, or return the one of its id that waits or runs already."""
        with self._changed:
            if ticket.id in self._running or ticket.id in self._queue:
                return self.get(ticket.id) or ticket
            self._place(ticket.id).mkdir(parents=True, exist_ok=True)
            self._write(ticket)
            self._queue.append(ticket.id)
            self._changed.notify()
        return ticket

    def take(self, timeout_seconds: float) -> Ticket | None:
        """Take the ticket that waits longest, now RUNNING; None where none came in time.

        Raises:
            OSError: Its state cannot be written; it waits on.
        """
        with self._changed:
            if not self._queue:
                self._changed.wait(timeout_seconds)
            while self._queue:
                identity = self._queue.popleft()
                ticket = self.get(identity)
                if ticket is not None:
                    ticket = replace(ticket, status=Status.RUNNING)
                    try:
                        self._write(ticket)
                    except OSError:
                        self._queue.append(identity)
                        raise
                    self._running.add(identity)
                    return ticket
        return None

    def finish(self, ticket: Ticket, archive: bytes) -> None:
        """Keep a result; it is on disk before the ticket says so."""
        write_whole(self.archive(ticket.id), archive)
        self._end(replace(ticket, status=Status.COMPLETE, error=""))

    def fail(self, ticket: Ticket, error: str) -> None:
        """Say why there is no result."""
        self._end(replace(ticket, status=Status.ERROR, error=error))

    def put_back(self, ticket: Ticket) -> None:
        """Let a ticket that was stopped be the next one."""
        with self._changed:
            self._running.discard(ticket.id)
            self._queue.appendleft(ticket.id)
            self._write(replace(ticket, status=Status.PENDING))

    def archive(self, identity: str) -> Path:
        """Return where the result of a ticket is kept."""
        return self._place(identity) / ARCHIVE

    def touch(self, identity: str) -> None:
        """Note that a result was asked for, so that it is kept longer."""
        with contextlib.suppress(OSError):
            os.utime(self._place(identity) / TICKET)

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many tickets are worked on."""
        return len(self._running)

    def sweep(self, older_than_seconds: float) -> int:
        """Remove ended tickets that nobody asked for since; return how many."""
        oldest = time.time() - older_than_seconds
        removed = 0
        for ticket in list(self._stored()):
            place = self._place(ticket.id)
            with self._changed:
                if ticket.id in self._running or ticket.id in self._queue:
                    continue
                with contextlib.suppress(OSError):
                    if (place / TICKET).stat().st_mtime < oldest:
                        shutil.rmtree(place)
                        removed += 1
        return removed

    def _end(self, ticket: Ticket) -> None:
        with self._changed:
            self._running.discard(ticket.id)
            self._write(ticket)

    def _stored(self) -> Iterator[Ticket]:
        for path in self._folder.glob(f"*/*/{TICKET}"):
            ticket = self.get(path.parent.name)
            if ticket is not None:
                yield ticket

    def _place(self, identity: str) -> Path:
        return self._folder / identity[:2] / identity

    def _write(self, ticket: Ticket) -> None:
        write_whole(
            self._place(ticket.id) / TICKET,
            json.dumps(ticket.to_dict(), ensure_ascii=False).encode(),
        )
