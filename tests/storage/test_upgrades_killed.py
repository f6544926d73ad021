"""An upgrade that is killed at whatever statement leaves the database as it was, and is made up for."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event, text

from storage import before_upgrade, engine, errors
from storage.engine import HEAD, begin, migrate, open_engine, reading, revision, verify
from storage.migrations.upgrade import configuration

REVISIONS = [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()][:0:-1]
"""Every one but the newest, oldest first."""
_PEER = (
    "INSERT INTO peers (name, ae_title, host, port, may_send, addresses, results, may_find, profile, added_at,"
    " changed_at) VALUES ('pacs', 'PACS', 'pacs', 104, 1, '[]', 'all', 1, 'default', 1, 1)"
)
_KILLS = 6


@pytest.fixture(params=REVISIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of an older revision with a row."""
    path = tmp_path / "osteon.sqlite"
    opened = open_engine(f"sqlite:///{path}")
    with begin(opened) as conn:
        command.upgrade(configuration(conn), request.param)
        conn.execute(text(_PEER))
    opened.dispose()
    return path


def upgraded(path: Path, fatal: int) -> int:
    """Upgrade in this process, which kills itself before statement number `fatal`; returns how many there were."""
    count = 0

    def met(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(url: str, **options: float) -> Engine:
        opened = open_engine(url, **options)
        event.listen(opened, "before_cursor_execute", met)
        event.listen(opened, "commit", met)
        return opened

    engine.open_engine = told
    try:
        migrate(f"sqlite:///{path}")
    finally:
        engine.open_engine = open_engine
    return count


def test_an_upgrade_killed_at_any_statement_is_made_up_for(
    old: Path, tmp_path: Path, opened: Callable[..., Engine]
) -> None:
    shutil.copy(old, tmp_path / "counted.sqlite")
    before = _revision(old)
    total = upgraded(tmp_path / "counted.sqlite", 0)
    assert total > _KILLS
    context = multiprocessing.get_context("fork")
    for fatal in sorted({1 + (total - 1) * step // (_KILLS - 1) for step in range(_KILLS)}):
        path = tmp_path / f"killed-{fatal}.sqlite"
        shutil.copy(old, path)
        process = context.Process(target=upgraded, args=(path, fatal))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, f"statement {fatal} of {total}"
        assert _revision(path) == before, "all or nothing"
        migrate(f"sqlite:///{path}")
        one = opened(f"sqlite:///{path}")
        with reading(one) as conn:
            verify(conn)
            assert revision(conn) == HEAD
            assert conn.execute(text("SELECT name FROM peers")).scalars().all() == ["pacs"]
        assert _revision(path.with_name(f"{path.name}.before-upgrade-of-{before}")) == before


def _revision(path: Path) -> str:
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
        assert db.execute("SELECT name FROM peers").fetchall() == [("pacs",)]
        return str(db.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    finally:
        db.close()


def test_a_new_database_and_one_of_this_version_are_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        migrate(f"sqlite:///{tmp_path}/osteon.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["osteon.sqlite"]


def test_a_database_of_a_newer_program_is_neither_copied_nor_changed(tmp_path: Path) -> None:
    path = tmp_path / "osteon.sqlite"
    migrate(f"sqlite:///{path}")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    with pytest.raises(errors.SchemaMismatch, match="another version of Osteon.*Install that version"):
        migrate(f"sqlite:///{path}")
    assert [found.name for found in tmp_path.iterdir()] == ["osteon.sqlite"]


def test_without_room_for_the_copy_nothing_is_changed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    def small(path: Path, **options: Any) -> sqlite3.Connection:
        db = real(path, **options)
        if "before-upgrade" in str(path):
            db.execute("PRAGMA max_page_count=2")
        return db

    monkeypatch.setattr(before_upgrade.sqlite3, "connect", small)
    with pytest.raises(errors.DiskFull, match="Make room"):
        migrate(f"sqlite:///{old}")
    monkeypatch.undo()
    assert _revision(old) in REVISIONS
    assert [path.name for path in old.parent.iterdir()] == ["osteon.sqlite"]


def test_a_damaged_database_is_not_upgraded(old: Path) -> None:
    whole = old.read_bytes()
    page = 4096 * 10
    old.write_bytes(whole[:page] + b"\xff" * 4096 + whole[page + 4096 :])
    with pytest.raises(errors.Damaged, match="osteon rebuild"):
        migrate(f"sqlite:///{old}")
