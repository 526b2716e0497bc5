"""Alignments from a search server that speaks ColabFold's protocol.

The sequence leaves the machine, to the address that the user gave and to no other: redirects are
not followed. The server is asked as its keepers wish: one ticket at a time, at growing intervals
with a random part, no earlier than it says (`Retry-After`), and under Itda's own name.

See `itda.search.protocol` for the protocol and its sources.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from itda.errors import InputError, OutputError
from itda.language import Message
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment, merge
from itda.search.protocol import Kind, Mode, parse_mode, split_blocks
from itda.search.sources.server_http import (
    BusyError,
    Connection,
    ServerAddress,
    ServerError,
)
from itda.search.sources.server_ticket import Exchange, Pace

CONTACT_VARIABLE = "ITDA_CONTACT"
DEFAULT_MODE = "env"

_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()


class ServerSource:
    """A search server, such as ColabFold's own or one that `itda search serve` runs.

    Args:
        url: Its address, with a token where it wants one: `http://:TOKEN@host:8765`.
        mode: `env` for all databases of the server, `all` without the environmental ones.
        contact: Mail address or page for the server's keepers; `$ITDA_CONTACT` where empty.
        pace: How often the server is asked, and how long it may be in trouble.

    Raises:
        InputError: The address or the mode cannot be read.
    """

    def __init__(
        self, url: str, *, mode: str = DEFAULT_MODE, contact: str = "", pace: Pace | None = None
    ) -> None:
        self.address = ServerAddress.parse(url)
        parse_mode("msa", mode)
        self.mode = mode
        self._pace = pace or Pace()
        self._connection = Connection(
            self.address,
            user_agent=_user_agent(contact or os.environ.get(CONTACT_VARIABLE, "")),
            timeout_seconds=self._pace.timeout_seconds,
        )
        self._serves: str | None = None

    @property
    def title(self) -> str:
        """The address, and that the sequence goes there."""
        leaves = "" if self.address.is_this_machine else "; the sequence leaves this machine"
        return f"server {self.address.url} (mode {self.mode}{leaves})"

    def key(self) -> Mapping[str, object]:
        """Address and mode, and the digest of the databases where the server tells it.

        A server of `itda search serve` tells it; ColabFold's does not, so that a change of its
        databases cannot be seen from here.
        """
        key: dict[str, object] = {
            "source": "server",
            "url": self.address.url,
            "mode": self.mode,
        }
        if serves := self._what_it_serves():
            key["serves"] = serves
        return key

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Send the sequence and wait for its alignment; see `Source`.

        The ticket and a finished download stay in `work`: a killed search goes on with them.

        Raises:
            ServerError: The server refused, failed or was away for too long; the message names it.
            OutputError: `work` cannot be written.
        """
        mode = parse_mode("msa", self.mode)
        files = self._fetch([query], mode, self.mode, work, progress)
        parts = []
        for name in mode.files:
            blocks = _blocks(files[name], self.address.url, name)
            parts += [
                self._parse(block, query, name, database=name.removesuffix(".a3m"))
                for block in blocks.get("101", [])
            ]
        if not parts:
            raise self._unusable("holds nothing for the query")
        return merge(parts)

    def pair(
        self, queries: Sequence[str], *, work: Path, progress: Progress, complete: bool = False
    ) -> tuple[Alignment, ...]:
        """Ask for rows paired across the chains of a complex.

        Args:
            queries: The distinct sequences of the complex, two or more.
            work: As for `search`, another folder.
            progress: As for `search`.
            complete: Whether a row must have a partner in every chain, not in two or more.

        Returns:
            One alignment a query, of equal row counts; rows of one number belong together, and one
            that has no residue stands where a chain has no partner.

        Raises:
            InputError: There are fewer than two queries, or two are the same.
            ServerError: See `search`.
        """
        if len(queries) < 2 or len(set(queries)) < len(queries):
            raise InputError(
                Message(
                    "pairing needs two distinct sequences or more, not {count}",
                    count=len(set(queries)),
                ),
                hint=Message("leave the copies of a chain out"),
            )
        text = "paircomplete" if complete else "pairgreedy"
        text += "-env" if parse_mode("msa", self.mode).environment else ""
        mode = parse_mode("pair", text)
        (name,) = mode.files
        files = self._fetch(queries, mode, text, work, progress)
        blocks = _blocks(files[name], self.address.url, name)
        paired = []
        for number, query in enumerate(queries, start=101):
            parts = [
                self._parse(block, query, name, database="pair")
                for block in blocks.get(str(number), [])
            ]
            if not parts:
                raise self._unusable(f"holds nothing for sequence {number - 100}")
            # Rows of one number belong together, so that equal ones must stay.
            paired.append(merge(parts, deduplicate=False))
        if len({len(alignment) for alignment in paired}) > 1:
            counts = ", ".join(str(len(alignment)) for alignment in paired)
            raise self._unusable(f"has unequal numbers of paired rows: {counts}")
        return tuple(paired)

    def _fetch(
        self, queries: Sequence[str], mode: Mode, text: str, work: Path, progress: Progress
    ) -> dict[str, str]:
        kind: Kind = mode.kind
        with _one_at_a_time(self.address.url, progress):
            try:
                work.mkdir(parents=True, exist_ok=True)
                exchange = Exchange(
                    self._connection, self._pace, queries, kind, text, mode.files, work, progress
                )
                return exchange.run()
            except OSError as error:
                raise OutputError(
                    Message(
                        "{work}: cannot be written: {strerror}",
                        work=work,
                        strerror=error.strerror or error,
                    ),
                    hint=Message("free some space, or choose another folder"),
                ) from error

    def _parse(self, block: str, query: str, name: str, *, database: str) -> Alignment:
        # Formats import alignments; imported here so that naming a source costs nothing.
        from itda.search.alignments.formats import parse_alignment

        where = f"{name} from {self.address.url}"
        try:
            alignment = parse_alignment(block, query=query, where=where)
        except InputError as error:
            raise self._unusable(f"cannot be read: {error.problem}") from error
        alignment = replace(alignment, names=("query", *alignment.names[1:]))
        return alignment.with_source(database)

    def _unusable(self, why: str) -> ServerError:
        return ServerError(
            Message("the server at {url} sent a result that {why}", url=self.address.url, why=why),
            hint=Message("tell its keepers, or search on this machine: {--msa:mmseqs}"),
        )

    def _what_it_serves(self) -> str:
        """Return the digest that a server of Itda gives; empty where there is none to be had.

        A server that is away now gives none either: what it found before can still be used where
        it never told a digest.
        """
        if self._serves is None:
            try:
                content = self._connection.ask("source").content
            except (BusyError, ServerError):
                content = {}
            digest = content.get("digest") if "itda" in content else None
            self._serves = digest if isinstance(digest, str) else ""
        return self._serves


def _blocks(text: str, url: str, name: str) -> dict[str, list[str]]:
    from itda.search.protocol import DamagedArchiveError

    try:
        return split_blocks(text)
    except DamagedArchiveError as error:
        raise ServerError(
            Message(
                "the server at {url} sent a {name} that cannot be read: {error}",
                url=url,
                name=name,
                error=error,
            ),
            hint=Message("tell its keepers, or search on this machine: {--msa:mmseqs}"),
        ) from error


def _user_agent(contact: str) -> str:
    try:
        number = version("itda")
    except PackageNotFoundError:
        number = "0"
    said = "".join(letter for letter in contact if letter.isprintable()).strip()
    return f"itda/{number}" + (f" {said}" if said else "")


@contextmanager
def _one_at_a_time(url: str, progress: Progress) -> Iterator[None]:
    with _locks_guard:
        lock = _locks.setdefault(url, threading.Lock())
    while not lock.acquire(timeout=0.2):
        progress(0.0, f"another search asks {url}; waiting for it")
    try:
        yield
    finally:
        lock.release()
