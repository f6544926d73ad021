"""INSERT ... ON CONFLICT, spelt for the database at hand: the dialects have it, SQLAlchemy's core has not."""

from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert


def upsert(dialect: str, table: Table) -> Insert:
    """An insert into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # only where it is used: the listener's memory

    return postgresql.insert(table)  # type: ignore[return-value]  # same methods, no common type


@cache
def insert_or_ignore(dialect: str, table: Table) -> Insert:
    """An insert that passes over rows which are there already; built once, because it is on the listener's path."""
    return upsert(dialect, table).on_conflict_do_nothing()
