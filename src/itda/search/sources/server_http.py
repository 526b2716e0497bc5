"""Requests to a search server: what it answers, and whose fault it is when it does not."""

from __future__ import annotations

import base64
import contextlib
import json
import netrc
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itda.errors import DataError, InputError
from itda.language import Message
from itda.network import LIMITED, PASSING, BrokenError, NetworkError, is_loopback, retry_after

if TYPE_CHECKING:
    from itda.http_client import Reply

_ANSWER_BYTES = 1 << 20
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.I | re.S)


class ServerError(DataError):
    """A search server refused, failed, or answered what cannot be used."""


class WrongRequestError(ServerError):
    """A search server says that a request is wrong: a ticket it does not know, a bad sequence."""


class BusyError(Exception):
    """The server cannot serve now; asking again later may help.

    Args:
        reason: What it said, or what happened.
        retry_after_seconds: How long it wants to be left alone; None where it did not say.
        reached: Whether it answered as a server of this protocol does.
    """

    def __init__(
        self, reason: str, *, retry_after_seconds: float | None = None, reached: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached


@dataclass(frozen=True)
class Answer:
    """A JSON object that a server sent.

    Attributes:
        content: Its fields.
        retry_after_seconds: When to ask again, where the server says so.
    """

    content: Mapping[str, Any]
    retry_after_seconds: float | None = None


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is, and who asks.

    Attributes:
        url: Without name and password, and without a slash at the end.
        authorization: The header that says who asks; empty for nobody.
    """

    url: str
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read an address such as `https://api.colabfold.com` or `http://:TOKEN@host:8765`.

        Name and password, where they are not in the address, are taken from the host's own entry
        in `~/.netrc` (or `$NETRC`), as curl takes them.

        Raises:
            InputError: It is no http or https address.
        """
        hint = Message("give the whole address, such as https://api.colabfold.com")
        try:
            parts = urllib.parse.urlsplit(text.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(
                Message("server {text!r} is no address: {error}", text=text, error=error), hint=hint
            ) from error
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise InputError(
                Message("server {text!r} is no http address", text=_without_secret(text)), hint=hint
            )
        shown = f"[{host}]" if ":" in host else host
        url = f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        login = (
            (urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password or ""))
            if parts.username or parts.password
            else _login_from_netrc(host)
        )
        if login is None:
            return cls(url)
        return cls(url, "Basic " + base64.b64encode(":".join(login).encode()).decode())

    @property
    def host(self) -> str:
        """The name of the machine."""
        return urllib.parse.urlsplit(self.url).hostname or ""

    @property
    def is_this_machine(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(self.url)


class Connection:
    """Asks one server.

    Args:
        address: Where it is.
        user_agent: Who asks.
        timeout_seconds: How long the server may be silent.
    """

    def __init__(self, address: ServerAddress, *, user_agent: str, timeout_seconds: float) -> None:
        self.address = address
        self._timeout = timeout_seconds
        self._headers = {"User-Agent": user_agent, "Accept": "application/json, */*"}
        if address.authorization:
            self._headers["Authorization"] = address.authorization

    def ask(self, path: str, form: Mapping[str, str] | None = None) -> Answer:
        """Send a form, or ask for a path, and return the JSON object that comes back.

        Raises:
            BusyError: The server does not answer, limits, or is down: later may help.
            ServerError: It refuses.
        """
        with self._open(path, form) as reply:
            body = reply.read(_ANSWER_BYTES + 1)
            wanted = retry_after(reply.headers)
        if len(body) > _ANSWER_BYTES:
            raise ServerError(
                Message(
                    "the server at {url} answered a question with more than a megabyte",
                    url=self.address.url,
                )
            )
        content = _json_object(body)
        if content is None:
            raise BusyError(
                f"answered {_said(body) or 'nothing'!r} where JSON was expected",
                retry_after_seconds=wanted,
                reached=False,
            )
        return Answer(content, wanted)

    def download(self, path: str, target: Path, on_chunk: Callable[[int], None]) -> None:
        """Write what stands at a path into a file.

        Args:
            path: On the server.
            target: The file; half of it stands there where this raises.
            on_chunk: Told the bytes so far; may raise.

        Raises:
            BusyError: The connection broke, or what came is shorter than announced.
            ServerError: The server refuses.
        """
        with self._open(path) as reply, target.open("wb") as file:
            size = 0
            for chunk in reply.chunks():
                file.write(chunk)
                size += len(chunk)
                on_chunk(size)

    @contextlib.contextmanager
    def _open(self, path: str, form: Mapping[str, str] | None = None) -> Iterator[Reply]:
        from itda.http_client import asked

        url, reached = self.address.url, False
        try:
            # No redirection is followed: a sequence goes where the user sent it and nowhere else.
            with asked(
                "GET" if form is None else "POST",
                f"{url}/{path}",
                timeout_seconds=self._timeout,
                headers=self._headers,
                form=form,
            ) as reply:
                if not 200 <= reply.status < 300:
                    raise _explain(reply, url)
                reached = True
                yield reply
        except NetworkError as error:
            raise ServerError(error.problem, hint=error.remedies) from error
        except BrokenError as error:
            raise BusyError(error.reason, reached=reached) from error


def _explain(reply: Reply, url: str) -> Exception:
    """Turn a status of HTTP into the error that it means."""
    body = b""
    with contextlib.suppress(BrokenError):
        body = reply.read(_ANSWER_BYTES)
    content = _json_object(body) or {}
    said = str(
        content.get("error") or content.get("reason") or content.get("status") or _said(body)
    )
    code = Message(
        "HTTP {code}{what}", code=reply.status, what=Message(": {said}", said=said) if said else ""
    )
    if reply.status == LIMITED or reply.status in PASSING:
        return BusyError(f"answered {code}", retry_after_seconds=retry_after(reply.headers))
    if 300 <= reply.status < 400:
        return ServerError(
            Message(
                "the server at {url} sends on to {get}, which was not asked for ({code})",
                url=url,
                get=reply.headers.get("Location", "nowhere"),
                code=code,
            ),
            hint=Message(
                "give that address yourself if you trust it; some servers send blocked "
                "machines elsewhere"
            ),
        )
    if reply.status == 401:
        return ServerError(
            Message("the server at {url} wants to know who asks ({code})", url=url, code=code),
            hint=Message("write the token into the address, http://:TOKEN@host, or into ~/.netrc"),
        )
    if reply.status == 403:
        return ServerError(
            Message("the server at {url} refused this machine ({code})", url=url, code=code),
            hint=Message(
                "it may have blocked your address; ask its keepers, or search on a machine "
                "of your own: {--msa:mmseqs}, or `itda search serve` for a laboratory"
            ),
        )
    if reply.status in (404, 405):
        return WrongRequestError(
            Message(
                "the server at {url} does not speak the protocol of ColabFold ({code})",
                url=url,
                code=code,
            ),
            hint=Message("check the address, and any path after the host name"),
        )
    return WrongRequestError(
        Message("the server at {url} refused the request ({code})", url=url, code=code),
        hint=Message(
            "check that the sequence is one it takes, or search on this machine: {--msa:mmseqs}"
        ),
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _said(body: bytes) -> str:
    """Return the start of what a server wrote: a page's title, or the text itself."""
    title = _TITLE.search(body)
    text = title.group(1) if title else body[:200]
    return " ".join(text.decode("utf-8", "replace").split())[:120]


def _login_from_netrc(host: str) -> tuple[str, str] | None:
    path = Path(os.environ.get("NETRC") or "~/.netrc")
    try:
        path = path.expanduser()
        login = netrc.netrc(path).hosts.get(host)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, netrc.NetrcParseError) as error:
        raise InputError(
            Message("{path}: cannot be read: {error}", path=path, error=error),
            hint=Message("mend or remove it"),
        ) from error
    return (login[0], login[2] or "") if login else None


def _without_secret(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)
