"""One ticket of a search server, from the request to the archive, through whatever goes wrong."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itda.language import Message
from itda.progress import Progress
from itda.search.protocol import (
    DamagedArchiveError,
    Kind,
    Status,
    format_query,
    is_foreign_id,
    read_archive,
)
from itda.search.sources.server_http import (
    Answer,
    BusyError,
    Connection,
    ServerError,
    WrongRequestError,
)
from itda.storage import write_whole

TICKET_FILE = "ticket.json"
ARCHIVE_FILE = "result.tar.gz"

_WAITING = (Status.PENDING, Status.RUNNING)
_REFUSALS = {
    Status.RATELIMIT: "limits how much one address may ask",
    Status.MAINTENANCE: "is under maintenance",
    Status.UNKNOWN: "took no ticket",
}
_ELSEWHERE = Message(
    "the same command again goes on from here; or search on this machine: "
    "{--msa:mmseqs}, or `itda search serve` for a laboratory"
)
# ColabFold's client expects this of a sequence; the bar never comes to its end before the result.
_USUAL_SECONDS = 150.0


@dataclass(frozen=True)
class Pace:
    """How often a server is asked, and how long it may be in trouble.

    Attributes:
        first_seconds: Pause after the first answer; ColabFold's client takes 5 to 10 s.
        growth: How much longer each further pause is.
        longest_seconds: The longest pause that is chosen here; the server may ask for more.
        jitter: The random part of a pause, at most, so that clients do not come all at once.
        timeout_seconds: How long the server may be silent on one request.
        reach_seconds: How long a server that never answered is tried.
        outage_seconds: How long one that did may refuse or be away.
        patience_seconds: How long a ticket may take altogether.
        lost_tickets: How often a ticket that the server lost or failed on is sent anew.
        damaged_downloads: How often an archive that came damaged is fetched again.
    """

    first_seconds: float = 5.0
    growth: float = 1.3
    longest_seconds: float = 60.0
    jitter: float = 0.5
    timeout_seconds: float = 30.0
    reach_seconds: float = 60.0
    outage_seconds: float = 3600.0
    patience_seconds: float = 24 * 3600.0
    lost_tickets: int = 2
    damaged_downloads: int = 4

    def pause(self, attempt: int, wanted: float | None) -> float:
        """Return the seconds to wait before the next request.

        Args:
            attempt: How often the same was asked already, from 0.
            wanted: What the server asks for (`Retry-After`), which may also be less.
        """
        pause = min(self.longest_seconds, self.first_seconds * self.growth ** min(attempt, 50))
        if wanted is not None:
            pause = max(wanted, min(pause, 1.0))
        return pause * (1 + self.jitter * random.random())


class Exchange:
    """Gets the archive of a query.

    Args:
        connection: To the server.
        pace: How it is asked.
        queries: The sequences.
        kind: Which ticket.
        mode: The field of that name.
        names: Files that the archive must hold.
        work: Where ticket and archive are kept.
        progress: Told how it goes, at least once a second; may raise.
    """

    def __init__(
        self,
        connection: Connection,
        pace: Pace,
        queries: Sequence[str],
        kind: Kind,
        mode: str,
        names: Sequence[str],
        work: Path,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._url = connection.address.url
        self._pace = pace
        self._form = {"q": format_query(queries), "mode": mode}
        self._kind = kind
        self._names = names
        self._ticket_file = work / TICKET_FILE
        self._archive = work / ARCHIVE_FILE
        self._progress = progress
        self._fraction = 0.0
        self._deadline = time.monotonic() + pace.patience_seconds
        self._reached = False
        self._trouble_since: float | None = None
        self._attempt = 0
        self._lost = 0
        self._submitted: Answer | None = None

    def run(self) -> dict[str, str]:
        """Return the archive's files.

        Raises:
            ServerError: The server refuses, fails, or is away for too long.
        """
        files = self._kept_archive()
        damaged = 0
        while files is None:
            ticket = self._kept_ticket() or self._submit()
            if not self._wait(ticket) or not self._download(ticket):
                continue
            try:
                files = read_archive(self._archive, self._names)
            except DamagedArchiveError as error:
                self._archive.unlink(missing_ok=True)
                damaged += 1
                if damaged > self._pace.damaged_downloads:
                    raise ServerError(
                        Message(
                            "the server at {url} sent a damaged archive {damaged} times: {error}",
                            url=self._url,
                            damaged=damaged,
                            error=error,
                        ),
                        hint=_ELSEWHERE,
                    ) from error
                self._sleep(
                    self._pace.pause(damaged, None),
                    f"the archive from {self._url} came damaged ({error}); fetching it again",
                )
        self._progress(1.0, f"alignment from {self._url}")
        return files

    def _submit(self) -> str:
        self._fraction = 0.0
        host = self._connection.address.host
        while True:
            self._progress(self._fraction, f"sending the sequence to {host}")
            answer = self._ask(f"ticket/{self._kind}", self._form)
            if answer is None:
                continue
            status = self._status(answer)
            if status is Status.ERROR:
                raise ServerError(
                    Message(
                        "the server at {url} refused the sequence: ERROR{answer}",
                        url=self._url,
                        answer=_reason(answer),
                    ),
                    hint=Message(
                        "check that it is a protein that the server takes, or try again later"
                    ),
                )
            if status in _REFUSALS:
                self._hold_back(
                    f"{_REFUSALS[status]} ({status}{_reason(answer)})", answer.retry_after_seconds
                )
                continue
            ticket = answer.content.get("id")
            if not isinstance(ticket, str) or not is_foreign_id(ticket):
                self._hold_back(f"gave no ticket: {ticket!r:.80}", answer.retry_after_seconds)
                continue
            self._well()
            self._keep_ticket(ticket)
            self._submitted = answer
            return ticket

    def _wait(self, ticket: str) -> bool:
        """Wait until the server has the result; False where the ticket is to be sent anew."""
        asked = 0
        began = time.monotonic()
        while True:
            # The answer to the request tells the state as well; asking at once is impolite.
            answer, self._submitted = self._submitted, None
            try:
                answer = answer or self._ask(f"ticket/{ticket}", None)
            except WrongRequestError as error:
                return self._send_anew("does not know its ticket any more", error)
            if answer is None:
                continue
            status = self._status(answer)
            if status is Status.COMPLETE:
                self._well()
                return True
            if status is Status.UNKNOWN:
                return self._send_anew("does not know its ticket any more")
            if status is Status.ERROR:
                return self._send_anew(f"failed on the sequence: ERROR{_reason(answer)}")
            if status not in _WAITING:
                self._hold_back(
                    f"{_REFUSALS[status]} ({status}{_reason(answer)})", answer.retry_after_seconds
                )
                continue
            self._well()
            spent = time.monotonic() - began
            if status is Status.RUNNING:
                self._fraction = 0.1 + 0.8 * (1 - math.exp(-spent / _USUAL_SECONDS))
            self._sleep(
                self._pace.pause(asked, answer.retry_after_seconds),
                f"{self._url}: {'searching' if status is Status.RUNNING else 'in its queue'}",
            )
            asked += 1

    def _download(self, ticket: str) -> bool:
        partial = self._archive.with_suffix(".partial")
        self._fraction = 0.95

        def on_chunk(size: int) -> None:
            self._check_patience()
            self._progress(self._fraction, f"fetching the alignment: {size / 1e6:.1f} MB")

        try:
            self._connection.download(f"result/download/{ticket}", partial, on_chunk)
        except BusyError as error:
            self._take(error)
            return False
        except WrongRequestError as error:
            return self._send_anew("does not have its own result any more", error)
        self._well()
        partial.replace(self._archive)
        return True

    def _ask(self, path: str, form: dict[str, str] | None) -> Answer | None:
        """Ask, and where the server cannot serve now, wait and return None."""
        try:
            answer = self._connection.ask(path, form)
        except BusyError as error:
            self._take(error)
            return None
        self._reached = True
        return answer

    def _take(self, error: BusyError) -> None:
        self._reached = self._reached or error.reached
        self._hold_back(error.reason, error.retry_after_seconds)

    def _hold_back(self, reason: str, wanted: float | None) -> None:
        """Leave the server alone for a while, or give up on it."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        limit = self._pace.outage_seconds if self._reached else self._pace.reach_seconds
        pause = self._pace.pause(self._attempt, wanted)
        lasted = now - self._trouble_since
        if lasted + pause > limit:
            tried = (
                Message(
                    ", {attempt} times in {lasted:.0f} s", attempt=self._attempt + 1, lasted=lasted
                )
                if self._attempt
                else ""
            )
            asks = (
                Message(", and asks to be left alone for {pause:.0f} s", pause=pause)
                if pause > limit
                else ""
            )
            raise ServerError(
                Message(
                    "the server at {url} {reason}{tried}{asks}",
                    url=self._url,
                    reason=reason,
                    tried=tried,
                    asks=asks,
                ),
                hint=_ELSEWHERE
                if self._reached
                else Message("check the address; {elsewhere}", elsewhere=_ELSEWHERE),
            )
        self._attempt += 1
        self._sleep(pause, f"{self._url} {reason}; asking again in {pause:.0f} s")

    def _well(self) -> None:
        self._trouble_since, self._attempt = None, 0

    def _send_anew(self, reason: str, cause: ServerError | None = None) -> bool:
        """Forget the ticket; False as long as it may be sent again."""
        self._ticket_file.unlink(missing_ok=True)
        self._lost += 1
        if self._lost > self._pace.lost_tickets:
            raise ServerError(
                Message(
                    "the server at {url} {reason}, {lost} times",
                    url=self._url,
                    reason=reason,
                    lost=self._lost,
                ),
                hint=_ELSEWHERE,
            ) from cause
        self._sleep(self._pace.pause(self._lost, None), f"{self._url} {reason}; sending it again")
        return False

    def _status(self, answer: Answer) -> Status:
        said = answer.content.get("status")
        try:
            return Status(said)  # type: ignore[arg-type]  # what is no status raises
        except ValueError:
            raise ServerError(
                Message(
                    "the server at {url} answered with a status that the protocol does not "
                    "have: {said!r:.80}",
                    url=self._url,
                    said=said,
                ),
                hint=Message("check the address; {elsewhere}", elsewhere=_ELSEWHERE),
            ) from None

    def _sleep(self, seconds: float, message: str) -> None:
        """Wait in steps short enough that a stop is soon heard."""
        until = time.monotonic() + seconds
        self._check_patience()
        while True:
            self._progress(self._fraction, message)
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))

    def _check_patience(self) -> None:
        if time.monotonic() > self._deadline:
            raise ServerError(
                Message(
                    "the server at {url} did not finish in {patience_seconds:.3g} h",
                    url=self._url,
                    patience_seconds=self._pace.patience_seconds / 3600,
                ),
                hint=_ELSEWHERE,
            )

    def _identity(self) -> dict[str, str]:
        digest = hashlib.sha256(json.dumps(self._form, sort_keys=True).encode()).hexdigest()
        return {"url": self._url, "kind": self._kind, "request": digest}

    def _kept_ticket(self) -> str:
        try:
            kept = json.loads(self._ticket_file.read_text())
            ticket = kept.pop("id")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return ""
        return ticket if kept == self._identity() and is_foreign_id(ticket) else ""

    def _keep_ticket(self, ticket: str) -> None:
        self._archive.unlink(missing_ok=True)
        kept = json.dumps({**self._identity(), "id": ticket})
        write_whole(self._ticket_file, kept.encode())

    def _kept_archive(self) -> dict[str, str] | None:
        """Return the files of an archive that a killed search left, if it is whole and of this."""
        if not self._kept_ticket() or not self._archive.is_file():
            return None
        try:
            return read_archive(self._archive, self._names)
        except DamagedArchiveError:
            self._archive.unlink(missing_ok=True)
            return None


def _reason(answer: Answer) -> str:
    said = answer.content.get("error") or answer.content.get("reason")
    return f", {str(said)[:200]}" if said else ""
