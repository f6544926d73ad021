"""Run the revisions on a connection that is in a write transaction; the only place where Alembic is driven."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from storage import errors


def configuration(conn: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    return config


def knows(revision: str) -> bool:
    """Whether there is a way from this revision to the newest."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(configuration()).walk_revisions())


def upgrade(conn: Connection) -> None:
    """Bring the schema to the newest revision; the caller's transaction makes it all or nothing.

    Raises
    ------
    SchemaMismatch
        The database was made by a newer program.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL lock_timeout = 0"))
        conn.execute(text("SELECT pg_advisory_xact_lock(7233913)"))
    config = configuration(conn)
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        head = ScriptDirectory.from_config(config).get_current_head()
        raise errors.SchemaMismatch(
            f"The database was made by another version of Osteon (this one knows revisions up to {head}). "
            "Install that version, or restore the database from a copy that fits this one."
        ) from exc
