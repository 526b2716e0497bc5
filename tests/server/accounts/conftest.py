from __future__ import annotations

from collections.abc import Iterator

import pytest

from itda.server.accounts.accounts import Accounts
from itda.server.database.database import Database

from .clock import Clock
from .fresh import FreshDatabases


@pytest.fixture(scope="package")
def fresh(tmp_path_factory) -> Iterator[FreshDatabases]:
    made = FreshDatabases(tmp_path_factory.mktemp("fresh"))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, fresh, tmp_path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        made = fresh.sqlite(tmp_path / "itda.db")
        yield made
        made.close()
    else:
        server = request.getfixturevalue("postgres")
        yield fresh.postgresql(None if fresh.has_postgresql else server.new_database())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database, clock) -> Accounts:
    return Accounts(database, clock=clock)
