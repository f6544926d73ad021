"""A copy of an SQLite database beside it, before its schema is changed."""

import os
import sqlite3
from pathlib import Path

from storage.disk import sync_folder
from storage.errors import Damaged, DiskFailed, DiskFull


def keep_copy(path: Path, revision: str) -> Path | None:
    """Copy the database as it is at `revision` to `NAME.before-upgrade-of-REVISION`, replacing an older such copy.

    Returns
    -------
    Path or None
        The copy; None when another process has changed the schema meanwhile, and so has made the copy.

    Raises
    ------
    Damaged
        The database is not sound: changing its schema could lose what can still be read.
    DiskFull, DiskFailed
        There is no copy, so nothing may be changed.
    """
    target = path.with_name(f"{path.name}.before-upgrade-of-{revision}")
    growing = target.with_name(f"{target.name}.{os.getpid()}")
    growing.unlink(missing_ok=True)
    try:
        if not _copied(path, growing, revision):
            return None
        growing.chmod(0o640)
        growing.replace(target)
        sync_folder(path.parent)
    except sqlite3.OperationalError as exc:
        how = DiskFull if exc.sqlite_errorcode == sqlite3.SQLITE_FULL else DiskFailed
        raise how(f"{path} cannot be copied before its schema is changed: {exc}. Make room beside it.") from exc
    except sqlite3.DatabaseError as exc:
        raise Damaged(f"{path}: the database is damaged, so its schema is not changed. Run osteon rebuild.") from exc
    finally:
        growing.unlink(missing_ok=True)
    return target


def _copied(path: Path, growing: Path, revision: str) -> bool:
    """Copy and look at the copy; False when it is of another revision."""
    old, new = sqlite3.connect(path, timeout=60), sqlite3.connect(growing)
    try:
        old.backup(new)
        if (found := new.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise sqlite3.DatabaseError(found)
        new.execute("PRAGMA journal_mode=DELETE")
        return bool(new.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,))
    finally:
        old.close()
        new.close()
