"""The queue: what is asked of it on SQLite is asked of it on PostgreSQL."""
