"""A real server on a free port, with a worker that tests drive."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

import itda
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.rest import events
from tests.server.rest.house import House, make_house


class Served:
    """A server that can be stopped and started again on its port."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = uvicorn.Config(
            self.house.app,
            host="127.0.0.1",
            port=self.port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(20)
            assert not self._thread.is_alive()
            self._server = self._thread = None


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[Served]:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.02)
    for name in ("ITDA_URL", "ITDA_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "user"))
    database = Database(f"sqlite:///{tmp_path / 'itda.db'}")
    migrate.upgrade(database)
    served = Served(make_house(database, tmp_path / "home"))
    served.start()
    yield served
    served.stop()
    database.close()


@pytest.fixture
def house(served) -> House:
    return served.house


@pytest.fixture
def client(served, house) -> Iterator[itda.Client]:
    with itda.Client(served.url, house.owner, sleep=lambda _: time.sleep(0.05)) as client:
        yield client
