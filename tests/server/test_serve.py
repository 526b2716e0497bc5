"""`itda serve` begins, refuses to begin, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from itda.errors import InputError, OutputError
from itda.server.errors import ConflictError
from itda.server.serve import _listening, address_of, serve
from itda.server.services import open_services
from itda.server.settings import ServerSettings
from itda.storage import locked
from itda.wire import UBIQUITIN
from tests.patience import PATIENCE_SECONDS


def settings(tmp_path, **told) -> ServerSettings:
    return ServerSettings(home=tmp_path / "home", cluster_url="none", **told)


def quiet(_line: str) -> None:
    pass


def test_answers_do_not_wait_for_acknowledgements(tmp_path):
    """Else each on a connection that is used again takes 40 ms more."""

    async def asked() -> int:
        found = asyncio.get_running_loop().create_future()
        made = functools.partial(asyncio.StreamReaderProtocol, asyncio.StreamReader())

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                own = transport.get_extra_info("socket")
                found.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with _listening(settings(tmp_path, port=0)) as listener:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Accepted, sock=listener)
            client, _ = await loop.create_connection(made, *listener.getsockname())
            answer = await found
            client.close()
            server.close()
        return answer

    assert asyncio.run(asked())


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=str(port)) as refused:
            serve(settings(tmp_path, port=port), browser=False, say=quiet)
    assert "--port" in refused.value.hint


def test_a_home_that_has_a_server(tmp_path):
    one = settings(tmp_path, port=0)
    one.home.mkdir()
    with (
        locked(one.home / "serve.lock", on_busy=quiet),
        pytest.raises(ConflictError, match=f"process {os.getpid()}"),
    ):
        serve(one, browser=False, say=quiet)


def test_a_home_that_cannot_be(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OutputError, match="home"):
        serve(settings(tmp_path, port=0), browser=False, say=quiet)


def test_a_database_that_nobody_knows(tmp_path):
    with pytest.raises(InputError, match="mysql") as refused:
        settings(tmp_path, database_url="mysql://root:secret@db/itda")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ({"port": 8787}, "http://127.0.0.1:8787"),
        ({"port": 80, "host": "::1"}, "http://[::1]:80"),
        ({"port": 80, "host": "0.0.0.0"}, "http://127.0.0.1:80"),
        ({"public_url": "https://itda.example.org/"}, "https://itda.example.org"),
    ],
)
def test_where_it_is(tmp_path, told, address):
    assert address_of(settings(tmp_path, **told)) == address


def test_settings_of_the_environment():
    told = ServerSettings.from_environment(
        {"ITDA_DATABASE": "postgresql://itda@db/itda", "ITDA_CLUSTER": "ray"}, cluster_url="none"
    )
    assert told.database_url == "postgresql+psycopg://itda@db/itda"
    assert told.cluster_url == "none"  # what is said on the command line comes first


@pytest.mark.parametrize(
    ("public_url", "password", "is_link"),
    [(None, True, True), ("https://itda.example.org", False, True),
     ("https://itda.example.org", True, False)],
)  # fmt: skip
def test_no_link_in_the_log_of_a_server_that_has_an_administrator(
    tmp_path, monkeypatch, public_url, password, is_link
):
    one = settings(tmp_path, port=0, public_url=public_url)
    services = open_services(one)
    services.accounts.ensure_owner()
    kim = services.accounts.users.add("kim@example.org", "Kim", is_admin=True)
    if password:
        services.accounts.users.set_password(kim.id, "seventeen herons")
    services.database.close()
    said: list[str] = []

    def run(server: uvicorn.Server, sockets: object) -> None:
        server._ready()  # type: ignore[attr-defined]

    monkeypatch.setattr(uvicorn.Server, "run", run)
    serve(one, browser=False, say=said.append)
    assert any("/auth/link?token=" in line for line in said) == is_link
    assert any("sign in" in line for line in said)


PAGE = {"Accept": "text/html, */*"}


@contextlib.contextmanager
def served(tmp_path) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """Run the command; give its process, and the link of its owner."""
    environment = {**os.environ, "ITDA_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "itda", "serve", "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--cluster", "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        link = re.search(r"(http://\S+)/auth/link\S+", said)
        assert link is not None, said
        yield process, link
    finally:
        process.kill()
        process.communicate()


def csrf_of(browser: httpx.Client) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/").text)
    assert token is not None
    return {"X-CSRF-Token": token.group(1)}


def test_begins_serves_and_ends(tmp_path):
    with served(tmp_path) as (process, link):
        assert (tmp_path / "server").stat().st_mode & 0o077 == 0  # nobody else may look
        with httpx.Client(base_url=link.group(1), follow_redirects=True, headers=PAGE) as browser:
            assert browser.get("/healthz").json() == {"status": "alive"}
            assert browser.get("/readyz").json() == {"status": "ready", "problems": []}
            assert browser.get("/jobs").url.path == "/sign-in"
            assert browser.get(link.group(0)).status_code == 200
            assert browser.get("/jobs").url.path == "/jobs"
            drained = browser.put(
                "/api/v1/admin/drain", json={"draining": True}, headers=csrf_of(browser)
            )
            assert drained.status_code == 200, drained.text
            ready = browser.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["problems"] == ["the queue is being drained"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_stream_of_events_does_not_hold_the_end(tmp_path):
    with (
        served(tmp_path) as (process, link),
        httpx.Client(
            base_url=link.group(1), follow_redirects=True, timeout=PATIENCE_SECONDS
        ) as browser,
    ):
        browser.get(link.group(0), headers=PAGE)
        sent = browser.post(
            "/api/v1/jobs", json={"input": f">x\n{UBIQUITIN}\n"}, headers=csrf_of(browser)
        )
        key = sent.json()["jobs"][0]["id"]
        stream = {"Accept": "text/event-stream"}
        with browser.stream("GET", f"/api/v1/jobs/{key}/events", headers=stream) as answer:
            lines = answer.iter_lines()
            while not next(lines).startswith("data: "):
                pass
            process.send_signal(signal.SIGTERM)
            # One that is cut off has no last piece, which is an error here.
            list(lines)
        _, told = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        assert "Cancel" not in told and "exceeded" not in told
