"""INSERT ... ON CONFLICT, spelt for the database at hand: the dialects have it, SQLAlchemy's core has not."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert


def upsert(conn: Connection, table: Table) -> Insert:
    """An insert into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # only where it is used: the listener's memory

    return postgresql.insert(table)  # type: ignore[return-value]  # same methods, no common type
