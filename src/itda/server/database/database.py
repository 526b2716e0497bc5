"""How the tables are reached: one class over SQLite and PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from itda.errors import DependencyError, OutputError
from itda.language import Message

BUSY_SECONDS = 30.0
IDLE_SECONDS = 5.0

_OF_POSTGRESQL = {
    "connect_timeout": 10,
    # Who freezes or loses its net within a transaction does not keep its locks for ever. None of
    # ours waits for anything but the database.
    "options": "-c idle_in_transaction_session_timeout=30000 -c tcp_keepalives_idle=15"
    " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


class Database:
    """A database of the server.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`.
        connections: Most connections of this process.

    Raises:
        DependencyError: The driver is not installed.
        OutputError: The folder of the file cannot be made.
    """

    def __init__(self, url: str, *, connections: int = 10) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            folder = Path(self.url.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise OutputError(
                    Message(
                        "{folder}: cannot be made: {strerror}",
                        folder=folder,
                        strerror=error.strerror,
                    )
                ) from error
        options: dict[str, Any] = {"pool_size": connections, "max_overflow": connections}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        else:
            # What the URL says itself goes first.
            told = {name for name in _OF_POSTGRESQL if name in self.url.query}
            options["connect_args"] = {
                name: value for name, value in _OF_POSTGRESQL.items() if name not in told
            }
        try:
            self.engine = sqlalchemy.create_engine(self.url, **options)
        except ModuleNotFoundError as error:
            raise DependencyError(
                Message(
                    "{drivername}: {error} is not installed",
                    drivername=self.url.drivername,
                    error=error.name,
                ),
                hint=Message("pip install 'itda[cluster]'"),
            ) from error
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "checkin", _note_time)
            event.listen(self.engine, "checkout", _test)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that only reads; what it sees does not change while it is held."""
        with self.engine.connect().execution_options(itda_read=True) as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Give a connection whose changes are all kept at the end of the block, or none.

        On SQLite there is one writer at a time, from the beginning of the block.

        Args:
            durable: On SQLite a power cut may cost the last transactions, though never a part of
                one, but not those up to a durable one. On PostgreSQL every one is.
        """
        options = {"itda_durable": durable} if self.is_sqlite else {}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _note_time(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["itda_used"] = time.monotonic()


def _test(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    # A connection that the server has closed meanwhile is found out before it is used; one that
    # was used just now is not asked, since that takes as long as many a statement.
    if time.monotonic() - record.info.get("itda_used", math.inf) > IDLE_SECONDS:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Exception as error:
            raise DisconnectionError from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy, not the driver, says when a transaction begins (see `_begin_sqlite`).
    connection.isolation_level = None
    # As PostgreSQL has it; SQLite has it only where it was built so.
    connection.create_function("power", 2, math.pow, deterministic=True)
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    reads = options.get("itda_read", False)
    if not reads:
        level = "FULL" if options.get("itda_durable", False) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
    # A transaction that takes the write lock only at its first change can be refused it then.
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")
