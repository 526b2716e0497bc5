"""From one version of the tables to another, up and down."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from itda.errors import DataError
from itda.language import Message
from itda.server.database.database import Database

_SCRIPTS = Path(__file__).parent / "migrations"

# Alembic makes a statement anew each time it is asked, and SQLAlchemy would keep every one.
_VERSION = text("SELECT version_num FROM alembic_version")


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to a version, by default this release's.

    Processes that start at the same time wait for one another.

    Raises:
        DataError: The tables come from a newer release.
    """
    known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4711001)")
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in known:
            raise DataError(
                Message(
                    "the tables are of version {present}, which this release does not know",
                    present=present,
                ),
                hint=Message(
                    "they come from a newer release: install that, or go back with a backup"
                ),
            )
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to an earlier version; `base` removes them."""
    with database.write() as connection:
        command.downgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """Return the version of the tables; None where there are none."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return cast("str | None", connection.scalar(_VERSION))


@functools.cache
def newest() -> str | None:
    """Return the version of the tables that this release uses.

    It is found once: Alembic imports every script anew each time, and what is imported stays.
    """
    return ScriptDirectory(str(_SCRIPTS)).get_current_head()


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config
