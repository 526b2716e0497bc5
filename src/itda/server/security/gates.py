"""What is refused before any route sees it: a foreign host name, a flood, a body too large."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from itda.errors import InputError
from itda.language import Message
from itda.network import LOOPBACK_HOSTS
from itda.server.errors import RateError, TooLargeError
from itda.server.security.address import client_address
from itda.server.security.limits import RequestLimits
from itda.server.security.problem import refusal
from itda.server.settings import ServerSettings

PROBES = ("/healthz", "/readyz")
"""Asked by address, and often, by what watches the server."""


class HostGate:
    """Refuses a request whose `Host` is none of the server's names.

    A page of another site can make its own name lead to this machine, and would then be of the same
    origin; the browser still tells the name. An address cannot be misused so.

    Args:
        app: What answers.
        settings: What the server was told.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._names = {*LOOPBACK_HOSTS, settings.host.lower()}
        self._any_address = False
        if settings.public_url:
            self._names.add((urllib.parse.urlsplit(settings.public_url).hostname or "").lower())
        elif not settings.alone:
            self._any_address = True
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            told = Headers(scope=scope).get("host", "")
            if not self._is_own(told):
                error = InputError(
                    Message("Host: {told!r} is no name of this server", told=told[:100]),
                    hint=Message("open it by its own address, or start it with {--public-url}"),
                )
                await refusal(scope, error, HTTPStatus.BAD_REQUEST)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_own(self, told: str) -> bool:
        try:
            name = (urllib.parse.urlsplit(f"//{told}").hostname or "").lower().rstrip(".")
        except ValueError:
            return False
        if name in self._names:
            return True
        return self._any_address and _is_address(name)


class TextGate:
    """Refuses an address with characters that no name or key has, and databases choke on.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not self._is_text(scope):
            error = InputError(Message("the address holds control characters, or is no UTF-8"))
            await refusal(scope, error, HTTPStatus.BAD_REQUEST)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _is_text(scope: Scope) -> bool:
        try:
            query = urllib.parse.unquote_to_bytes(scope.get("query_string", b"")).decode("utf-8")
            scope["path"].encode("utf-8")
        except UnicodeError:
            return False
        told = scope["path"] + query
        return "\0" not in told and "\ufffd" not in scope["path"]


class RateGate:
    """Refuses a flood from one address.

    Args:
        app: What answers.
        limits: How many there may be.
    """

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            try:
                self._limits.address(client_address(HTTPConnection(scope)))
            except RateError as error:
                await refusal(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class BodyGate:
    """Refuses a body that is too large, before it is read or as soon as it is.

    Args:
        app: What answers.
        most_bytes: The largest body.
        exceptions: Other limits of paths that begin so.
    """

    def __init__(
        self, app: ASGIApp, most_bytes: int, exceptions: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._most = most_bytes
        self._exceptions = dict(exceptions or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope["path"])
        told = Headers(scope=scope).get("content-length")
        if told is not None and told.isascii() and told.isdigit() and int(told[:20]) > most:
            await self._refuse(most, scope, receive, send)
            return
        await self._count(most, scope, receive, send)

    async def _count(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0
        exceeded = started = False

        async def receive_counted() -> Part:
            nonlocal seen, exceeded
            if exceeded:
                return {"type": "http.disconnect"}
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    exceeded = True
                    return {"type": "http.disconnect"}
            return message

        async def send_unless_exceeded(message: Part) -> None:
            nonlocal started
            if exceeded and not started:
                return  # whatever the route makes of a body that ends early is not the answer
            started = True
            await send(message)

        try:
            await self._app(scope, receive_counted, send_unless_exceeded)
        except Exception:
            if not exceeded or started:
                raise
        if exceeded and not started:
            await self._refuse(most, scope, receive, send)

    async def _refuse(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        error = TooLargeError(
            Message("the request is larger than {most:,} bytes", most=most),
            hint=Message("send fewer jobs at once, or refer to databases of the server"),
        )
        answer = refusal(scope, error)
        # What is still to come is not read, and so the connection cannot be used again.
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)

    def _limit(self, path: str) -> int:
        return next(
            (most for start, most in self._exceptions.items() if path.startswith(start)), self._most
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
