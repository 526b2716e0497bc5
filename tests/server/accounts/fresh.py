"""Databases with tables and nothing in them, made once and emptied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import text

from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import metadata


class FreshDatabases:
    """Makes each kind when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        self._postgres: Database | None = None

    def sqlite(self, path: Path) -> Database:
        if not self._template.exists():
            made = Database(f"sqlite:///{self._template}")
            migrate.upgrade(made)
            with made.engine.connect() as connection:
                connection.exec_driver_sql("ROLLBACK")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("BEGIN")
            made.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._template, path)
        return Database(f"sqlite:///{path}")

    def postgresql(self, url: str | None) -> Database:
        if self._postgres is None:
            assert url is not None
            self._postgres = Database(url)
            migrate.upgrade(self._postgres)
        names = ", ".join(metadata.tables)
        with self._postgres.write() as connection:
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        return self._postgres

    @property
    def has_postgresql(self) -> bool:
        return self._postgres is not None

    def close(self) -> None:
        if self._postgres is not None:
            self._postgres.close()
