"""What is kept of people no longer than it is of use: the audit log, and what let them in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, delete, or_, select

from itda.server.accounts.log import FAILED_SIGN_IN, Log
from itda.server.database.database import Database
from itda.server.database.tables import audit, links, sessions, tokens

DAY = 86400.0

DAYS = 30
"""How long failed sign-ins are kept, and links and tokens that no longer work."""

ROWS_AT_ONCE = 5000
"""Of one transaction, so that others are not kept waiting."""


def forget_old(database: Database, log: Log, *, now: float, audit_days: float) -> dict[str, int]:
    """Remove what is too old, and write a line of how much it was, if it was anything.

    Whole days in UTC go, so that it can be asked often and there is one line a day.

    Args:
        database: Whose.
        log: Where the line goes.
        now: Seconds since 1970.
        audit_days: How long lines of the audit log are kept.

    Returns:
        How many rows of what.
    """
    today = now // DAY * DAY
    latest = today - DAYS * DAY
    failed = audit.c.action == FAILED_SIGN_IN
    found = {
        "audit": _old_lines(database, today - audit_days * DAY),
        "failed_sign_ins": _matching(database, audit, failed & (audit.c.time < latest)),
        "sessions": _matching(database, sessions, sessions.c.expires_at < today),
        "links": _matching(
            database, links, or_(links.c.expires_at < latest, links.c.used_at < latest)
        ),
        "tokens": _matching(
            database, tokens, or_(tokens.c.expires_at < latest, tokens.c.revoked_at < latest)
        ),
    }
    counts = {name: removed for name, removed in found.items() if removed}
    if counts:
        with database.write() as connection:
            log.add(connection, "log.collect", details=counts)
    return counts


def _old_lines(database: Database, latest: float) -> int:
    """Remove lines from the oldest on; what is younger is not read, however much there is."""
    query = select(audit.c.id, audit.c.time).order_by(audit.c.id).limit(ROWS_AT_ONCE)
    removed = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(query).all()
        old = [row.id for row in rows if row.time < latest]
        removed += _removed(database, audit, old)
        if len(old) < ROWS_AT_ONCE:
            return removed


def _matching(database: Database, table: Table, which: ColumnElement[bool]) -> int:
    # Looked for without a lock: a log may be long.
    with database.read() as connection:
        (key,) = table.primary_key
        keys = list(connection.execute(select(key).where(which)).scalars())
    return sum(
        _removed(database, table, keys[start : start + ROWS_AT_ONCE])
        for start in range(0, len(keys), ROWS_AT_ONCE)
    )


def _removed(database: Database, table: Table, keys: Sequence[int | str]) -> int:
    if not keys:
        return 0
    (key,) = table.primary_key
    with database.write() as connection:
        return connection.execute(delete(table).where(key.in_(keys))).rowcount
