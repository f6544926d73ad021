"""One engine per process: durable, one writer at a time, and every fault of the database told in a sentence."""

import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text

from storage import errors, intake, peers, tables
from storage.engine import begin, database_url, reading, revision, verify
from storage.events import add, timeline

Opener = Callable[..., Engine]


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    path = tmp_path / "osteon.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


def test_sqlite_is_opened_to_survive_a_power_cut(sqlite_url: str, opened: Opener) -> None:
    engine = opened(sqlite_url)
    with reading(engine) as conn:
        settings = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_a_block_that_raises_leaves_nothing(engine: Engine) -> None:
    def half(conn: Connection) -> None:
        add(conn, None, "note", "half", 1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), begin(engine) as conn:
        half(conn)
    with reading(engine) as conn:
        assert conn.execute(select(tables.events)).all() == []


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with begin(engine) as writer:
        add(writer, None, "note", "unfinished", 1.0)
        with reading(engine) as reader:
            assert reader.execute(select(tables.events)).all() == []


def test_two_writers_wait_for_each_other(sqlite_url: str, opened: Opener) -> None:
    engine = opened(sqlite_url)
    seen = []

    def write(name: str) -> None:
        for number in range(10):
            with begin(engine) as conn:
                before = len(conn.execute(select(tables.events)).all())
                add(conn, None, name, str(number), 1.0)
                seen.append(before)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(seen) == list(range(30))


def test_a_locked_database_is_busy_and_not_a_crash(sqlite_url: str, opened: Opener) -> None:
    engine = opened(sqlite_url, busy_s=0.1)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(errors.Busy, match="another process holds the database"), begin(engine):
        pass
    other.execute("ROLLBACK")
    other.close()
    with begin(engine) as conn:
        add(conn, None, "note", "again", 1.0)


def test_a_row_locked_on_postgresql_is_busy(postgresql_template: str, opened: Opener) -> None:
    one, two = opened(postgresql_template), opened(postgresql_template, busy_s=0.1)
    with begin(one) as holder:
        holder.execute(text("LOCK TABLE peers IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(errors.Busy), begin(two) as conn:
            peers.peers(conn)


def test_a_full_disk_of_the_database_is_told(sqlite_url: str, opened: Opener) -> None:
    engine = opened(sqlite_url)
    with reading(engine) as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
    with begin(engine) as conn:
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(errors.DiskFull, match="Make room"), begin(engine) as conn:
        add(conn, None, "note", "x" * 1_000_000, 1.0)


def test_a_damaged_database_is_told_with_the_way_out(sqlite_url: str, opened: Opener) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    size = path.stat().st_size
    path.write_bytes(os.urandom(size))
    engine = opened(sqlite_url)
    with pytest.raises(errors.Damaged, match="osteon rebuild"), begin(engine):
        pass


def test_an_overwritten_page_is_found(sqlite_url: str, opened: Opener, sender: Any, tmp_path: Path) -> None:
    """Whichever of the pages it is (FAULTS 13)."""
    engine = opened(sqlite_url)
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(number, number % 5) for number in range(100)], 1.0)
        verify(conn)
    engine.dispose()
    whole = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    chance = random.Random(13)
    for page in range(0, len(whole), 4096):
        path = tmp_path / "overwritten.db"
        path.write_bytes(whole[:page] + chance.randbytes(4096) + whole[page + 4096 :])
        damaged = opened(f"sqlite:///{path}")
        with pytest.raises(errors.Damaged, match="osteon rebuild"), reading(damaged) as conn:
            verify(conn)
        damaged.dispose()


def test_a_sound_database_is_not_complained_of(engine: Engine) -> None:
    with reading(engine) as conn:
        verify(conn)


def test_a_folder_that_is_not_there_is_told_with_path_and_user(tmp_path: Path, opened: Opener) -> None:
    engine = opened(f"sqlite:///{tmp_path}/nowhere/osteon.db")
    with pytest.raises(errors.Unavailable, match=r"nowhere.*by user \w+"), begin(engine):
        pass


def test_a_server_that_is_not_there_is_told_without_its_password(opened: Opener) -> None:
    engine = opened("postgresql://osteon:secret@127.0.0.1:1/osteon")
    with pytest.raises(errors.Unavailable) as caught, begin(engine):
        pass
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1/osteon" in str(caught.value)


def test_a_schema_that_is_not_there_is_told(empty_url: str, opened: Opener) -> None:
    engine = opened(empty_url)
    with pytest.raises(errors.SchemaMismatch, match="Run the migration"), begin(engine) as conn:
        peers.peers(conn)
    with reading(engine) as conn:
        assert revision(conn) is None


def test_a_refused_row_is_told_without_its_values(engine: Engine) -> None:
    row = {"name": "canary.seg", "indexed_to": 1, "indexed_at": 1.0}
    with pytest.raises(errors.Broken, match="fault of Osteon") as caught, begin(engine) as conn:
        conn.execute(insert(tables.segments), [row, row])
    assert caught.value.__cause__ is None
    assert "segments" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "osteon.db", "mysql://host/name", "sqlite://", "sqlite:///:memory:"], ids=repr)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(errors.Unavailable, match="database url"):
        database_url(url)


def test_a_connection_is_not_shared_with_a_forked_child(sqlite_url: str, opened: Opener) -> None:
    engine = opened(sqlite_url)
    with begin(engine) as conn:
        add(conn, None, "note", "parent", 1.0)
    context = multiprocessing.get_context("fork")
    before = {id(entry) for entry in _connections(engine)}
    queue = context.SimpleQueue()

    def child() -> None:
        with begin(engine) as conn:
            add(conn, None, "note", "child", 1.0)
            queue.put(id(conn.connection.dbapi_connection) in before)

    process = context.Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert queue.get() is False
    with reading(engine) as conn:
        assert len(conn.execute(select(tables.events)).all()) == 2


def _connections(engine: Engine) -> list[object]:
    with reading(engine) as conn:
        return [conn.connection.dbapi_connection]


def test_neither_alembic_nor_postgresql_is_imported_by_the_listener(sqlite_url: str) -> None:
    program = (
        "import sys; from storage import intake, peers, replay, journal; from storage.engine import *\n"
        f"engine = open_engine({sqlite_url!r})\n"
        "with begin(engine) as conn: peers.peers(conn)\n"
        "print([name for name in ('alembic', 'psycopg', 'mako', 'numpy', 'sqlalchemy.orm.session') "
        "if name in sys.modules])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_timeline_is_in_order(engine: Engine) -> None:
    with begin(engine) as conn:
        for number in range(3):
            add(conn, None, "note", str(number), float(number))
        assert timeline(conn, 1) == []
        assert [row.text for row in conn.execute(select(tables.events).order_by(tables.events.c.id))] == ["0", "1", "2"]
