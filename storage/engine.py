"""The database: one engine per process, write transactions that begin by taking the lock, errors as sentences.

SQLite is opened with WAL, `synchronous=FULL` (a commit survives a power cut) and `BEGIN IMMEDIATE` for every write, so
that two writers wait for each other instead of failing half-way. PostgreSQL is used by URL with the same code.
Alembic is imported only when `migrate` is called.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError, SQLAlchemyError

from storage import audit, errors

__all__ = [
    "BUSY_S",
    "HEAD",
    "Connection",
    "Engine",
    "begin",
    "database_url",
    "engine_has_table",
    "migrate",
    "open_engine",
    "reading",
    "revision",
    "sqlite_file",
    "verify",
]

HEAD = "0005"
"""The revision of the schema that this program works with."""

BUSY_S = 5.0
_READING = "osteon_reading"


def database_url(url: str) -> URL:
    """Our form of `url`: `sqlite:///FILE` or `postgresql://...`.

    Raises
    ------
    Unavailable
        It is neither.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as exc:
        raise errors.Unavailable(
            "database url: it is not a URL. Use sqlite:///FILE or postgresql://HOST/NAME."
        ) from exc
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise errors.Unavailable(
        f"database url: {parsed.drivername!r} is not supported. Use sqlite:///FILE or postgresql://HOST/NAME."
    )


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for another."""
    parsed = database_url(url)
    return Path(parsed.database or "").absolute() if parsed.drivername == "sqlite" else None


def open_engine(url: str, *, busy_s: float = BUSY_S) -> Engine:
    """Open the database; nothing is connected yet. Call it once per process, after any fork."""
    parsed = database_url(url)
    if parsed.drivername == "sqlite":
        engine = create_engine(
            parsed, hide_parameters=True, connect_args={"timeout": busy_s, "check_same_thread": False}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        options = f"-c lock_timeout={int(busy_s * 1000)} -c idle_in_transaction_session_timeout=60000"
        connect_args = {"connect_timeout": 5, "options": options, "application_name": "osteon"}
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=True, connect_args=connect_args)
    event.listen(engine, "connect", _remember_process)
    event.listen(engine, "checkout", _refuse_inherited)
    return engine


@contextlib.contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """A write transaction: committed when the block ends, rolled back when it raises.

    What the block had audited is written last (storage/audit.py).

    Raises
    ------
    Busy, DiskFull, Damaged, Unavailable, SchemaMismatch, Broken
        What the database said, in our words.
    """
    with _translated(engine), engine.begin() as conn:
        audit.expect(conn)
        try:
            yield conn
            audit.seal(conn)
        finally:
            audit.forget(conn)


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A consistent view for reading; waits for no writer."""
    with _translated(engine), engine.connect().execution_options(**{_READING: True}) as conn:
        yield conn


def revision(conn: Connection) -> str | None:
    """The revision of the schema in the database; None when there is none."""
    if not engine_has_table(conn, "alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def engine_has_table(conn: Connection, name: str) -> bool:
    """Whether the database has a table of that name."""
    return bool(conn.dialect.has_table(conn, name))


def verify(conn: Connection) -> None:
    """Read the whole database for damage: SQLite's own check of its file; PostgreSQL looks after itself.

    Takes about a second for 100 000 studies.

    Raises
    ------
    Damaged
        A page of the file is not what was written.
    """
    if conn.dialect.name == "sqlite" and conn.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
        raise _damaged(conn.engine.url.render_as_string(hide_password=True))


def migrate(url: str) -> None:
    """Bring the schema to this program's revision; does nothing when it is there; safe in several processes at once.

    All revisions are one transaction: killed at any moment it leaves what was there. SQLite's file is copied before.

    Raises
    ------
    SchemaMismatch
        The database was made by a newer program.
    Damaged, DiskFull, DiskFailed
        It cannot be copied first, so nothing was changed.
    """
    engine = open_engine(url, busy_s=60.0)
    try:
        with reading(engine) as conn:
            found = revision(conn)
        if found == HEAD:
            return
        from storage.before_upgrade import keep_copy
        from storage.migrations.upgrade import knows, upgrade  # Alembic: 8 MB that a node in service can do without

        if found is not None and knows(found) and (path := sqlite_file(url)) is not None:
            keep_copy(path, found)

        with begin(engine) as conn:
            upgrade(conn)
    finally:
        engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get(_READING) else "BEGIN IMMEDIATE")


def _remember_process(_connection: Any, record: Any) -> None:
    record.info["pid"] = os.getpid()


def _refuse_inherited(_connection: Any, record: Any, proxy: Any) -> None:
    """A connection made before a fork belongs to the parent (SQLite's own warning); make a new one."""
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None
        raise DisconnectionError("made by another process")


@contextlib.contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except IntegrityError as exc:
        # not chained: the driver's text quotes the row
        raise errors.Broken(f"The database refused a row: {_constraint(exc)}. This is a fault of Osteon.") from None
    except DBAPIError as exc:
        raise _meaning(exc, engine) from exc


def _constraint(exc: IntegrityError) -> str:
    diagnosis = getattr(exc.orig, "diag", None)
    if diagnosis is not None:
        return f"constraint {diagnosis.constraint_name} of table {diagnosis.table_name}"
    return str(exc.orig)


def _meaning(exc: DBAPIError, engine: Engine) -> errors.StorageError:
    place = engine.url.render_as_string(hide_password=True)
    code = getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF
    state = getattr(exc.orig, "sqlstate", None) or ""
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or state in ("55P03", "40P01", "40001"):
        return errors.Busy(f"{place}: another process holds the database. It is tried again.")
    if code == sqlite3.SQLITE_FULL or state == "53100":
        return errors.DiskFull(f"{place}: the disk of the database is full. Make room on it.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(place)
    if "no such table" in str(exc.orig) or "no such column" in str(exc.orig) or state in ("42P01", "42703"):
        return errors.SchemaMismatch(f"{place}: its schema is not that of this version. Run the migration first.")
    if code == sqlite3.SQLITE_CANTOPEN or code == sqlite3.SQLITE_READONLY:
        return errors.Unavailable(f"{place} cannot be opened for writing by user {_user()}. {_folder(engine)}")
    if isinstance(exc, OperationalError):
        return errors.Unavailable(f"{place} cannot be used: {exc.orig}.")
    return errors.Broken(f"{place}: {type(exc.orig).__name__} ({state or code}). This is a fault of Osteon.")


def _damaged(place: str) -> errors.Damaged:
    return errors.Damaged(
        f"{place}: the database is damaged. Stop Osteon and run osteon rebuild: the index of what was received is "
        "rebuilt from the segments, and what else can be read is kept. Or restore a backup: osteon restore FOLDER."
    )


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _folder(engine: Engine) -> str:
    folder = Path(engine.url.database or ".").absolute().parent
    return f"See that {folder} exists and belongs to that user." if engine.dialect.name == "sqlite" else ""
