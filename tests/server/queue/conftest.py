"""A queue on each database, which is made once and emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import metadata

from .lab import Lab


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('queue') / 'itda.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    # As many as the threads of a test want.
    database = Database(url, connections=16)
    migrate.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def database(made: Database) -> Database:
    with made.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return made


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database, lease_seconds=60.0, most_crashes=3)
