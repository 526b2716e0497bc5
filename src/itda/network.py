"""What goes wrong on a network, in words; for whatever asks a server."""

from __future__ import annotations

import email.utils
import re
import socket
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime

from itda.errors import ItdaError
from itda.language import Message

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Hosts of this machine alone, as a server is told to listen at them."""

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")

LIMITED = 429
"""HTTP status of a server that was asked too often."""

PROXY_WANTS_NAME = 407
"""HTTP status of a proxy that does not know who asks."""

PASSING = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524)
"""HTTP statuses after which asking again may help."""


class BrokenError(Exception):
    """A server, or the way to it, failed; asking again may help.

    Args:
        reason: What broke, as the end of a sentence that begins with the server.
        wait_seconds: When to ask again; None where nobody says.
    """

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds


class NetworkError(ItdaError):
    """A server cannot be asked, and asking again will not help: certificate, proxy, address."""


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine, which no proxy is asked for.

    >>> is_loopback("http://127.0.0.1:8000/x"), is_loopback("https://huggingface.co")
    (True, False)
    """
    return _LOOPBACK.fullmatch(urllib.parse.urlsplit(url).hostname or "") is not None


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket at an address, which does not listen yet; port 0 takes a free one.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio lets no answer wait for the acknowledgement of its own start
    # (TCP_NODELAY): 40 ms, on a connection that is used again.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def network_fault(reason: object) -> str:
    """Say what broke, as the end of a sentence that begins with the server.

    >>> network_fault(TimeoutError())
    'did not answer in time'
    """
    if isinstance(reason, TimeoutError):
        return "did not answer in time"
    if isinstance(reason, socket.gaierror):
        return "has a name that no name server knows"
    if isinstance(reason, ConnectionRefusedError):
        return "is not there (connection refused)"
    if isinstance(reason, OSError) and reason.strerror:
        return f"cannot be reached: {reason.strerror}"
    return f"broke the connection: {str(reason) or type(reason).__name__}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`: seconds, or a date (RFC 9110, 10.2.3); nonsense is None."""
    text = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def proxy_wants_name(url: str) -> NetworkError:
    """Return the error of a proxy that wants to know who asks for an address (407)."""
    return NetworkError(
        Message("{start}: the proxy wants to know who asks (HTTP 407)", start=url),
        hint=Message("write name and password into HTTPS_PROXY, http://NAME:PASSWORD@HOST:PORT"),
    )
