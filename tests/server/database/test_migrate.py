"""The tables come, go, and are those that the code uses, on both databases."""

from __future__ import annotations

import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from itda.errors import DataError
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import metadata


def tables_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_up_gives_the_tables_of_the_code(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert tables_of(database) == set(metadata.tables)
    assert migrate.current(database) == migrate.newest()


def test_a_table_that_no_migration_makes_is_seen(database):
    with database.write() as connection:
        connection.execute(text("DROP TABLE ledger"))
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata)


def test_down_and_up_again(database):
    migrate.downgrade(database, "base")
    assert tables_of(database) == set()
    assert migrate.current(database) is None
    migrate.upgrade(database)
    assert tables_of(database) == set(metadata.tables)


def test_tables_of_a_newer_release_are_refused(database):
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DataError, match="9999"):
        migrate.upgrade(database)


def test_asking_for_the_newest_version_imports_nothing_again():
    first = migrate.newest()
    before = set(sys.modules)
    assert [migrate.newest() for _ in range(3)] == [first] * 3
    assert set(sys.modules) == before
    assert migrate.newest.cache_info().misses <= 1


def test_asking_for_the_version_again_keeps_nothing(database):
    migrate.upgrade(database)
    asked = [(migrate.current(database), len(database.engine._compiled_cache)) for _ in range(4)]
    assert asked[-1] == asked[0]
