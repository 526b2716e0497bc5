"""Files from a web server: resumed where they broke off, tried again, and never in silence.

A download stands in `FILE.partial`. `FILE.partial.json` beside it holds the server's mark of the
version (RFC 9110, 8.8). The next attempt asks for the rest of that version (13.1.5). A server that
has another version, or that cannot send a part, sends the whole, and the file begins anew.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from itda.errors import WeightsError
from itda.hub.folders import cannot_write
from itda.language import Message
from itda.network import (
    LIMITED,
    PASSING,
    PROXY_WANTS_NAME,
    BrokenError,
    NetworkError,
    proxy_wants_name,
    retry_after,
)

if TYPE_CHECKING:
    from itda.http_client import Reply

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5
"""Attempts that bring nothing before a download is given up."""

_LONGEST_WAIT_SECONDS = 60.0
# The end of a file has no rest; some servers give files but answer no questions about them.
_NO_REST, _NO_SUCH_METHOD = 416, (405, 501)


class DownloadError(WeightsError):
    """A file could not be fetched."""


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes:
        name: As the set calls it.
        url: Where it is.
        headers: That are sent to this host, and to no other.
        size: Bytes; None where it is not known beforehand.
        digest: That the server gives: 64 letters of SHA-256, or 40 of a git blob; empty for none.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    size: int | None = None
    digest: str = ""

    @property
    def shown(self) -> str:
        """The address without name and password."""
        parts = urllib.parse.urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True)
class Transferred:
    """How far a download is.

    Attributes:
        file: Name in the set.
        done: Bytes that are here.
        total: Bytes of the file; None where the server does not say.
        note: What happened, such as a broken connection; empty for nothing.
    """

    file: str
    done: int
    total: int | None
    note: str = ""


OnTransfer = Callable[[Transferred], None]


def partial_path(folder: Path, name: str) -> Path:
    """Return the place of an unfinished download."""
    return folder / f"{name}.partial"


def download(
    remote: Remote,
    folder: Path,
    on_transfer: OnTransfer,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Bring a file, or the rest of it.

    Args:
        remote: Which.
        folder: Where `NAME.partial` is, or comes to be.
        on_transfer: Told the bytes so far; may raise to stop, and the next call goes on.
        wait: Between attempts, seconds.

    Returns:
        `NAME.partial`, whole as far as the server said; its digest is not looked at.

    Raises:
        DownloadError: The server refuses, or the connection broke again and again.
        OutputError: The disk is full or cannot be written.
    """
    partial = partial_path(folder, remote.name)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    failures = 0
    while True:
        before = _size(partial)
        try:
            _attempt(remote, partial, on_transfer)
            return partial
        except BrokenError as error:
            here = _size(partial)
            failures = 1 if here > before else failures + 1
            if failures >= ATTEMPTS:
                raise DownloadError(
                    Message(
                        "{remote}: {shown} {reason}; {here:,} bytes are here after "
                        "{failures} attempts that brought nothing more",
                        remote=remote.name,
                        shown=remote.shown,
                        reason=error.reason,
                        here=here,
                        failures=failures,
                    ),
                    hint=Message("the same command goes on from there; or {--mirror:URL}"),
                ) from error
            note = f"the server {error.reason}; trying again"
            on_transfer(Transferred(remote.name, here, remote.size, note))
            seconds = error.wait_seconds if error.wait_seconds is not None else 2.0**failures
            wait(min(seconds, _LONGEST_WAIT_SECONDS))


def ask_size(remote: Remote) -> int | None:
    """Ask a server how long a file is; None where it does not say.

    Raises:
        DownloadError: The server refuses, or is not there.
    """
    try:
        with _open("HEAD", remote, allowed=_NO_SUCH_METHOD) as reply:
            told = reply.status not in _NO_SUCH_METHOD
            return _number(reply.headers.get("Content-Length")) if told else None
    except BrokenError as error:
        raise DownloadError(
            Message(
                "{remote}: {shown} {reason}",
                remote=remote.name,
                shown=remote.shown,
                reason=error.reason,
            ),
            hint=Message(
                "check the network and proxy, and give the same command again; or {--mirror:URL}"
            ),
        ) from error


def _attempt(remote: Remote, partial: Path, on_transfer: OnTransfer) -> None:
    have, mark = _size(partial), _read_mark(partial)
    if remote.size is not None and have == remote.size:
        return
    if not mark or (remote.size is not None and have > remote.size):
        have = 0
    headers = {"Range": f"bytes={have}-", "If-Range": mark} if have else {}
    with _open("GET", remote, headers, allowed=(_NO_REST,)) as reply:
        if reply.status == _NO_REST:
            # Nothing comes after what is here: another version, or a server that told no size.
            _remove(partial)
            raise BrokenError("has no such part of the file", 0.0)
        whole = reply.status != 206
        if not whole:
            begin, total = _range(reply.headers)
            if begin != have:
                _remove(partial)
                raise BrokenError("sent another part than was asked for", 0.0)
        else:
            total = _number(reply.headers.get("Content-Length"))
            if have:
                note = f"the server sends the whole again; {have:,} bytes are dropped"
                on_transfer(Transferred(remote.name, 0, total, note))
            have = 0
        if remote.size is not None and total is not None and total != remote.size:
            raise DownloadError(
                Message(
                    "{remote}: {shown} has {total:,} bytes, not {size:,}",
                    remote=remote.name,
                    shown=remote.shown,
                    total=total,
                    size=remote.size,
                ),
                hint=Message(
                    "it is another file; try {--mirror:URL}, or the publisher's own server"
                ),
            )
        _save(reply, partial, remote, have, total or remote.size, on_transfer)


def _save(
    reply: Reply,
    partial: Path,
    remote: Remote,
    done: int,
    total: int | None,
    on_transfer: OnTransfer,
) -> None:
    try:
        _write_mark(partial, reply.headers)
        file: IO[bytes] = partial.open("ab" if done else "wb")
    except OSError as error:
        raise cannot_write(partial.parent, error) from error
    with file:
        on_transfer(Transferred(remote.name, done, total))
        for chunk in reply.chunks():
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                raise cannot_write(partial.parent, error) from error
            done += len(chunk)
            on_transfer(Transferred(remote.name, done, total))
    if total is not None and done < total:
        raise BrokenError(f"sent {done:,} bytes of {total:,}")
    if total is not None and done > total:
        _remove(partial)
        raise BrokenError(f"sent {done:,} bytes, more than {total:,}")


@contextlib.contextmanager
def _open(
    method: str,
    remote: Remote,
    headers: Mapping[str, str] | None = None,
    *,
    allowed: tuple[int, ...],
) -> Iterator[Reply]:
    from itda.http_client import asked

    sent = {**remote.headers, **(headers or {})}
    try:
        with asked(
            method, remote.url, timeout_seconds=TIMEOUT_SECONDS, headers=sent, follow=True
        ) as reply:
            if not 200 <= reply.status < 300 and reply.status not in allowed:
                raise explain(remote, reply.status, reply.headers)
            yield reply
    except NetworkError as error:
        raise DownloadError(
            Message("{remote}: {problem}", remote=remote.name, problem=error.problem),
            hint=error.remedies,
        ) from error


def explain(remote: Remote, status: int, headers: Mapping[str, str]) -> Exception:
    """Turn a status of HTTP into the error that it means, with what would work."""
    start = f"{remote.name}: {remote.shown}"
    if status == LIMITED or status in PASSING:
        return BrokenError(f"answered HTTP {status}", retry_after(headers))
    if status in (401, 403):
        return DownloadError(
            Message(
                "{start} does not give this file to everybody (HTTP {status})",
                start=start,
                status=status,
            ),
            hint=Message(
                "its publisher may want you to agree to terms: do so on its page, then set "
                "HF_TOKEN to your token; or fetch it with a browser and `itda weights import`"
            ),
        )
    if status == PROXY_WANTS_NAME:
        error = proxy_wants_name(start)
        return DownloadError(error.problem, hint=error.remedies)
    if status in (404, 410):
        return DownloadError(
            Message("{start} is not there (HTTP {status})", start=start, status=status),
            hint=Message(
                "check {--mirror}, ITDA_MIRROR and HF_ENDPOINT; a mirror may lack this set"
            ),
        )
    return DownloadError(
        Message("{start} was refused (HTTP {status})", start=start, status=status),
        hint=Message("try {--mirror:URL}, or fetch it with a browser and `itda weights import`"),
    )


def _range(headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Read `Content-Range: bytes 5-9/10`; gives 5 and 10, and -1 for what is no range."""
    span, _, total = headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    begin = _number(span.partition("-")[0])
    return (-1 if begin is None else begin), _number(total)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mark_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _read_mark(partial: Path) -> str:
    try:
        return str(json.loads(_mark_path(partial).read_text(encoding="utf-8"))["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_mark(partial: Path, headers: Mapping[str, str]) -> None:
    etag = headers.get("ETag", "")
    # A weak mark may be shared by files whose bytes differ.
    mark = headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    _mark_path(partial).write_text(json.dumps({"mark": mark}), encoding="utf-8")


def _remove(partial: Path) -> None:
    for path in (partial, _mark_path(partial)):
        path.unlink(missing_ok=True)
