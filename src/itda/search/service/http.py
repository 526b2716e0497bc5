"""The search server's HTTP side, on FastAPI; needs the extra `search`."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import urllib.parse
from http import HTTPStatus

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from itda.errors import DataError, OutputError
from itda.language import Message
from itda.network import bound_socket
from itda.search.protocol import Kind, Status
from itda.search.service.service import RefusedError, SearchService
from itda.search.service.tickets import Ticket
from itda.version import itda_version

_CODES = {
    Status.RATELIMIT: HTTPStatus.TOO_MANY_REQUESTS,
    Status.MAINTENANCE: HTTPStatus.SERVICE_UNAVAILABLE,
    Status.ERROR: HTTPStatus.BAD_REQUEST,
}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# How often a client should ask for a ticket: this server is near, and asking costs it little.
_ASK_AGAIN_SECONDS = 1
_WAITING_CONNECTIONS = 128
_NAME = f"itda/{itda_version()}"
# What is being sent when the server stops is sent for so long.
_GRACE_SECONDS = 5


class SearchServer:
    """Serves a `SearchService`; connections are taken from the start, answered by `serve_forever`.

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

    def __init__(
        self,
        service: SearchService,
        host: str,
        port: int,
        *,
        token: str = "",
        behind_proxy: bool = False,
    ) -> None:
        try:
            self._listener = bound_socket(host, port)
            self._listener.listen(_WAITING_CONNECTIONS)
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
        self._server = uvicorn.Server(
            uvicorn.Config(
                search_app(service, token=token, behind_proxy=behind_proxy),
                # The service says what matters, and of no request what stands in it.
                log_level="error",
                # uvicorn's own would shut down every handler of the process, with their streams.
                log_config=None,
                access_log=False,
                headers=[("Server", _NAME), ("Cache-Control", "no-store")],
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=30,
            )
        )

    @property
    def url(self) -> str:
        """The address that clients take."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve_forever(self) -> None:
        """Answer until `shutdown`, or in the main thread until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._listener])

    def shutdown(self) -> None:
        """Let `serve_forever` return."""
        self._server.should_exit = True

    def server_close(self) -> None:
        """Listen no longer."""
        self._listener.close()


def search_app(service: SearchService, *, token: str = "", behind_proxy: bool = False) -> FastAPI:
    """Return the application of a search server; see `SearchServer`."""

    async def admit(request: Request) -> None:
        if token and not hmac.compare_digest(_token_given(request).encode(), token.encode()):
            asked = {"WWW-Authenticate": 'Basic realm="itda search"'}
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "this server wants a token", asked)

    app = FastAPI(openapi_url=None, dependencies=[Depends(admit)])
    app.add_middleware(_PlainPaths)

    @app.get("/ticket/type/{identity}")
    def kind_of_ticket(identity: str) -> dict[str, object]:
        ticket = service.tickets.get(identity)
        if ticket is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "there is no such ticket")
        return {"type": ticket.kind}

    @app.get("/ticket/{identity:path}")
    def ticket(identity: str) -> Response:
        return _ticket(service.tickets.get(identity), identity)

    @app.get("/result/download/{identity}")
    def archive(identity: str) -> Response:
        found, path = service.tickets.get(identity), service.tickets.archive(identity)
        if found is None or found.status is not Status.COMPLETE:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "Job is not complete")
        if not path.is_file():
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the result is not there any more")
        service.tickets.touch(identity)
        name = f"mmseqs_results_{identity}.tar.gz"
        return FileResponse(path, media_type="application/octet-stream", filename=name)

    @app.get("/queue")
    def queue() -> dict[str, object]:
        return service.state()

    @app.get("/source")
    def source() -> dict[str, object]:
        try:
            digest = service.alignments.digest()
        except DataError as error:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, "the databases of this server cannot be used now"
            ) from error
        return {
            "itda": _NAME,
            "title": service.source.title,
            "digest": digest,
            "max_length": service.limits.max_length,
            "max_sequences": service.limits.max_sequences,
        }

    @app.post("/ticket/msa")
    @app.post("/ticket/pair")
    async def submit(request: Request) -> Response:
        kind: Kind = "msa" if request.url.path.endswith("msa") else "pair"
        form = await _form(request, service.limits.max_request_bytes)
        client = _client(request, behind_proxy)
        made = await run_in_threadpool(
            service.submit, kind, form.get("q", ""), form.get("mode", ""), client
        )
        return _ticket(made, made.id)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    def nothing(request: Request, path: str) -> Response:
        reason = f"there is nothing at /{path[:80]}"
        if request.method == "POST":
            reason = f"/{path[:80]} is not served; ticket/msa and ticket/pair are"
        raise HTTPException(HTTPStatus.NOT_FOUND, reason)

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:
        # What was sent with a request that is refused unread must not pass for the next request.
        headers = {"Connection": "close", **(error.headers or {})}
        content = {"status": Status.ERROR, "error": error.detail}
        return JSONResponse(content, error.status_code, headers)

    @app.exception_handler(RefusedError)
    async def refuse_ticket(request: Request, error: RefusedError) -> Response:
        content = {"status": error.status, "reason": error.reason, "error": error.reason}
        return JSONResponse(content, _CODES[error.status], _again(error.retry_after_seconds))

    @app.exception_handler(OSError)
    async def cannot_keep(request: Request, error: OSError) -> Response:
        service.log(f"a ticket cannot be written: {error}")
        reason = "the server cannot keep tickets now"
        return await refuse_ticket(request, RefusedError(Status.MAINTENANCE, reason, 60.0))

    @app.exception_handler(ClientDisconnect)
    async def forget(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)

    return app


class _PlainPaths:
    """Takes a path with slashes around it, or with the host before it, for the path alone.

    ColabFold writes `//ticket/msa` where its `--host-url` ends with a slash; a server must take an
    address in full (RFC 9112, 3.2.2), which uvicorn hands on as it came.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if not path.startswith("/"):
                path = urllib.parse.urlsplit(path).path
            scope = {**scope, "path": f"/{path.strip('/')}"}
        await self._app(scope, receive, send)


def _token_given(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return login.partition(":")[2]
    return ""


def _client(request: Request, behind_proxy: bool) -> str:
    # Some proxies write a line of their own, others lengthen the one that came.
    lines = request.headers.getlist("X-Forwarded-For") if behind_proxy else []
    forwarded = ",".join(lines).rpartition(",")[2].strip()[:64]
    return forwarded or (request.client.host if request.client else "")


async def _form(request: Request, limit: int) -> dict[str, str]:
    """Return the form that was sent.

    Raises:
        HTTPException: It is too large, or none.
        ClientDisconnect: It broke off.
    """
    length = request.headers.get("Content-Length", "")
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not length.isdigit():
        raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "say Content-Length")
    if int(length) > limit:
        said = f"{int(length):,} bytes in one request; {limit:,} is the most"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
    if kind not in _FORMS:
        said = f"send {' or '.join(_FORMS)}, not {kind or 'nothing'}"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, said)
    async with request.form(max_fields=100, max_part_size=limit) as form:
        try:
            return {
                name: value if isinstance(value, str) else (await value.read()).decode()
                for name, value in form.items()
            }
        except UnicodeDecodeError as error:
            said = f"the form cannot be read: {error}"
            raise HTTPException(HTTPStatus.BAD_REQUEST, said) from error


def _ticket(ticket: Ticket | None, identity: str) -> Response:
    if ticket is None:
        return JSONResponse({"id": identity[:128], "status": Status.UNKNOWN})
    answer: dict[str, object] = {"id": ticket.id, "status": ticket.status}
    if ticket.error:
        answer["error"] = ticket.error
    waits = ticket.status in (Status.PENDING, Status.RUNNING)
    return JSONResponse(answer, headers=_again(_ASK_AGAIN_SECONDS if waits else 0))


def _again(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))} if seconds else {}
