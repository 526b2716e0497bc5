"""Alembic's entry: migrations run on the connection that `itda.server.database.migrate` holds."""

from __future__ import annotations

from alembic import context

from itda.server.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
# No transaction of its own: the caller's ends with all changes or none, on both databases.
context.run_migrations()
