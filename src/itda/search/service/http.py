"""The search server's HTTP side, on the standard library alone."""

from __future__ import annotations

import base64
import binascii
import email.parser
import email.policy
import hmac
import json
import math
import os
import shutil
import socket
import sys
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from itda.errors import DataError, OutputError
from itda.language import Message
from itda.search.protocol import Status
from itda.search.service.service import RefusedError, SearchService
from itda.search.service.tickets import Ticket

_CODES = {
    Status.RATELIMIT: HTTPStatus.TOO_MANY_REQUESTS,
    Status.MAINTENANCE: HTTPStatus.SERVICE_UNAVAILABLE,
    Status.ERROR: HTTPStatus.BAD_REQUEST,
}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# How often a client should ask for a ticket: this server is near, and asking costs it little.
_ASK_AGAIN_SECONDS = 1


class SearchServer(ThreadingHTTPServer):
    """Serves a `SearchService`; `serve_forever` runs it, `shutdown` stops it.

    Args:
        service: What is served.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        token: What a client must give, as bearer token or as the password of basic access; empty
            for no such thing.
        behind_proxy: Whether a proxy stands before the server and adds `X-Forwarded-For`, whose
            last entry is then the client.

    Raises:
        OutputError: The address cannot be listened at.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        service: SearchService,
        host: str,
        port: int,
        *,
        token: str = "",
        behind_proxy: bool = False,
    ) -> None:
        self.service = service
        self.token = token
        self.behind_proxy = behind_proxy
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise OutputError(
                Message(
                    "cannot listen at {host}:{port}: {error}",
                    host=host,
                    port=port,
                    error=getattr(error, "strerror", "") or error,
                ),
                hint=Message(
                    "choose another {--host} or {--port}; another program may have this one"
                ),
            ) from error

    @property
    def url(self) -> str:
        """The address that clients take."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; anything else is said on standard error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SearchServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    sys_version = ""

    @property
    def server_version(self) -> str:  # type: ignore[override]  # a class attribute there
        """What stands in the header `Server`."""
        try:
            return f"itda/{version('itda')}"
        except PackageNotFoundError:
            return "itda"

    def do_GET(self) -> None:
        """Answer a question."""
        path = urllib.parse.urlsplit(self.path).path.strip("/")
        if not self._is_welcome():
            return
        match path.split("/"):
            case ["ticket", identity]:
                self._send_ticket(self.server.service.tickets.get(identity), identity)
            case ["ticket", "type", identity]:
                self._send_kind(identity)
            case ["result", "download", identity]:
                self._send_archive(identity)
            case ["queue"]:
                self._send_json(self.server.service.state())
            case ["source"]:
                self._send_source()
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at /{path[:80]}")

    def do_POST(self) -> None:
        """Take a request."""
        path = urllib.parse.urlsplit(self.path).path.strip("/")
        if not self._is_welcome():
            return
        if path not in ("ticket/msa", "ticket/pair"):
            self._refuse(
                HTTPStatus.NOT_FOUND, f"/{path[:80]} is not served; ticket/msa and ticket/pair are"
            )
            return
        form = self._read_form()
        if form is None:
            return
        try:
            ticket = self.server.service.submit(
                "msa" if path == "ticket/msa" else "pair",
                form.get("q", ""),
                form.get("mode", ""),
                self._client(),
            )
        except RefusedError as refusal:
            self._send_json(
                {
                    "status": refusal.status,
                    "reason": refusal.reason,
                    "error": refusal.reason,
                },
                _CODES[refusal.status],
                retry_after_seconds=refusal.retry_after_seconds,
            )
            return
        except OSError as error:
            self.server.service.log(f"a ticket cannot be written: {error}")
            self._send_json(
                {"status": Status.MAINTENANCE, "reason": "the server cannot keep tickets now"},
                HTTPStatus.SERVICE_UNAVAILABLE,
                retry_after_seconds=60,
            )
            return
        self._send_ticket(ticket, ticket.id)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of each request; the service says what matters."""

    def _is_welcome(self) -> bool:
        token = self.server.token
        if not token or hmac.compare_digest(self._token_given().encode(), token.encode()):
            return True
        self._send_json(
            {"status": Status.ERROR, "error": "this server wants a token"},
            HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": 'Basic realm="itda search"'},
        )
        return False

    def _token_given(self) -> str:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        if scheme.lower() == "basic":
            try:
                login = base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
            return login.partition(":")[2]
        return ""

    def _client(self) -> str:
        forwarded = self.headers.get("X-Forwarded-For", "") if self.server.behind_proxy else ""
        return forwarded.rpartition(",")[2].strip()[:64] or str(self.client_address[0])

    def _read_form(self) -> dict[str, str] | None:
        """Return the form that was sent; None where that was refused."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()
        limit = self.server.service.limits.max_request_bytes
        if not length.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "say Content-Length")
        elif int(length) > limit:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{int(length):,} bytes in one request; {limit:,} is the most",
            )
        elif kind not in _FORMS:
            self._refuse(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {' or '.join(_FORMS)}, not {kind}"
            )
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return self._parse_form(kind, body)
            self.close_connection = True
        return None

    def _parse_form(self, kind: str, body: bytes) -> dict[str, str] | None:
        try:
            if kind == _FORMS[0]:
                pairs = urllib.parse.parse_qsl(
                    body.decode(), keep_blank_values=True, max_num_fields=100
                )
                return dict(pairs)
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parser = email.parser.BytesParser(policy=email.policy.HTTP)
            form = {}
            for part in parser.parsebytes(head + body).iter_parts():
                name = part.get_param("name", header="content-disposition")
                content = part.get_payload(decode=True)
                if isinstance(name, str) and isinstance(content, bytes):
                    form[name] = content.decode()
            return form
        except (ValueError, TypeError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"the form cannot be read: {error}")
            return None

    def _send_ticket(self, ticket: Ticket | None, identity: str) -> None:
        if ticket is None:
            self._send_json({"id": identity[:128], "status": Status.UNKNOWN})
            return
        answer: dict[str, object] = {"id": ticket.id, "status": ticket.status}
        if ticket.error:
            answer["error"] = ticket.error
        waits = ticket.status in (Status.PENDING, Status.RUNNING)
        self._send_json(answer, retry_after_seconds=_ASK_AGAIN_SECONDS if waits else 0)

    def _send_kind(self, identity: str) -> None:
        ticket = self.server.service.tickets.get(identity)
        if ticket is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "there is no such ticket")
        else:
            self._send_json({"type": ticket.kind})

    def _send_source(self) -> None:
        service = self.server.service
        try:
            digest = service.alignments.digest()
        except DataError:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "the databases of this server cannot be used now"
            )
            return
        self._send_json(
            {
                "itda": self.server_version,
                "title": service.source.title,
                "digest": digest,
                "max_length": service.limits.max_length,
                "max_sequences": service.limits.max_sequences,
            }
        )

    def _send_archive(self, identity: str) -> None:
        tickets = self.server.service.tickets
        ticket = tickets.get(identity)
        if ticket is None or ticket.status is not Status.COMPLETE:
            self._refuse(HTTPStatus.BAD_REQUEST, "Job is not complete")
            return
        try:
            file = tickets.archive(identity).open("rb")
        except OSError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the result is not there any more")
            return
        with file:
            tickets.touch(identity)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header(
                "Content-Disposition", f'attachment; filename="mmseqs_results_{identity}.tar.gz"'
            )
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile)

    def _refuse(self, code: HTTPStatus, reason: str) -> None:
        # What was sent with a request that is refused unread must not pass for the next request.
        self.close_connection = True
        self._send_json({"status": Status.ERROR, "error": reason}, code)

    def _send_json(
        self,
        content: dict[str, Any],
        code: HTTPStatus = HTTPStatus.OK,
        *,
        retry_after_seconds: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if retry_after_seconds:
            self.send_header("Retry-After", str(math.ceil(retry_after_seconds)))
        if code is HTTPStatus.UNAUTHORIZED or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
