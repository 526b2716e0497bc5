"""Databases of both kinds: what is asked of one is asked of the other."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from itda.server.database import migrate
from itda.server.database.database import Database

from .postgres import Postgres, find_programs

NEEDED = "ITDA_TEST_POSTGRES"
"""Where it is set, tests fail that find no PostgreSQL; else they are skipped."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = find_programs()
    if programs is None:
        if os.environ.get(NEEDED):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    server = Postgres(programs)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'itda.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with its tables."""
    database = Database(database_url)
    migrate.upgrade(database)
    yield database
    database.close()
