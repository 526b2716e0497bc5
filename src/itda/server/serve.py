"""`itda serve`: the web server, its workers, and how they end together."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import replace

import uvicorn

from itda.errors import OutputError
from itda.language import Message
from itda.network import bound_socket
from itda.server.app import create_app
from itda.server.errors import ConflictError
from itda.server.services import Services, open_services
from itda.server.settings import ServerSettings
from itda.server.work.supervisor import Supervisor
from itda.storage import locked

GRACE_SECONDS = 10
"""How long open requests may go on once the server is to end."""

log = logging.getLogger("itda.server")


def serve(settings: ServerSettings, *, browser: bool, say: Callable[[str], None] = print) -> None:
    """Serve until SIGINT or SIGTERM; then give back what the workers hold, and return.

    Args:
        settings: What the server is told.
        browser: Whether to open the owner's link in a browser.
        say: Shows a line to who started it.

    Raises:
        ConflictError: Another server has this home or port.
        OutputError: The home cannot be written.
    """
    _make_home(settings)
    with _only_server(settings), _listening(settings) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        services = open_services(settings)
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            _run(services, listener, browser=browser, say=say)
        finally:
            say("ending: what is being folded is given back to the queue")
            supervisor.stop()
            services.database.close()


def address_of(settings: ServerSettings) -> str:
    """Return where a browser finds the server."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _run(
    services: Services,
    listener: socket.socket,
    *,
    browser: bool,
    say: Callable[[str], None],
) -> None:
    address = address_of(services.settings)
    invitation, way_in = "sign in", f"{address}/sign-in"
    if services.settings.alone or not _has_administrator(services):
        # A log keeps what is said here, so there is no link where someone can do without it.
        owner = services.accounts.ensure_owner()
        invitation = "sign in as its owner"
        way_in = f"{address}/auth/link?token={owner.link_token}"

    def ready() -> None:
        say(f"Itda serves at {address}")
        say(f"{invitation}: {way_in}")
        if browser and _has_display():
            threading.Thread(target=webbrowser.open, args=(way_in,), daemon=True).start()

    _Server(_uvicorn_config(services), ready).run(sockets=[listener])


def _has_administrator(services: Services) -> bool:
    return any(
        user.is_admin and user.disabled_at is None and (user.has_password or user.oidc_issuer)
        for user in services.accounts.users.all()
    )


class _Server(uvicorn.Server):
    """Tells when it takes requests, and its streams when it does no longer."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # At the end of the application's lifespan it would be too late: that waits for requests.
        self.config.app.state.ending.set()  # type: ignore[union-attr]
        await super().shutdown(sockets=sockets)


def _uvicorn_config(services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services),
        log_level="warning",
        access_log=False,
        server_header=False,
        # Only what is configured as a proxy may say who asks.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
    )


def _make_home(settings: ServerSettings) -> None:
    for folder in (settings.home, settings.artefact_folder, settings.stage_folder):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(
                Message(
                    "{folder}: cannot be made: {strerror}", folder=folder, strerror=error.strerror
                ),
                hint=Message("set ITDA_HOME to a folder that can be written"),
            ) from error


@contextlib.contextmanager
def _only_server(settings: ServerSettings) -> Iterator[None]:
    """Two servers of one home would each start workers and answer for each other's files."""

    def refuse(process: str) -> None:
        raise ConflictError(
            Message(
                "{home}: another server, process {process}, has it",
                home=settings.home,
                process=process,
            ),
            hint=Message("stop that one, or set ITDA_HOME to another folder"),
        )

    with locked(settings.home / "serve.lock", on_busy=refuse):
        yield


@contextlib.contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    try:
        listener = bound_socket(settings.host, settings.port)
    except OSError as error:
        raise ConflictError(
            Message(
                "port {port} of {host} cannot be had: {strerror}",
                port=settings.port,
                host=settings.host,
                strerror=error.strerror,
            ),
            hint=Message("choose another with {--port}, or {--port:0} for any that is free"),
        ) from error
    with listener:
        yield listener


def _has_display() -> bool:
    return (
        os.name == "nt"
        or os.uname().sysname == "Darwin"
        or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )
