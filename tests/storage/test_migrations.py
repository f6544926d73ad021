"""The migrations make exactly the tables, all or nothing, however many start them and whatever kills them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage import errors, peers, tables
from storage.engine import HEAD, begin, migrate, reading, revision
from storage.migrations.upgrade import configuration

Opener = Callable[..., Engine]
ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def schema(conn: Connection) -> list[tuple[str, ...]]:
    """Everything the database knows of its tables, in a form that can be compared."""
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")
        found = [(*row[:3], _definitions(row[3])) for row in rows]
        return sorted(row for row in found if "alembic" not in row[2])
    queries = (
        "SELECT 'column', table_name, column_name, data_type, is_nullable, coalesce(column_default, '')"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        "SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'",
        "SELECT 'index', tablename, indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    )
    return sorted(tuple(row) for query in queries for row in conn.exec_driver_sql(query))


def _definitions(sql: str) -> str:
    """The definitions of a CREATE TABLE in any order: constraints and columns that came later stand last."""
    depth, definitions = 0, [""]
    for character in " ".join(sql.replace('"', "").split()):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 1:
            definitions.append("")
        else:
            definitions[-1] += character
    name, _, definitions[0] = definitions[0].partition("(")
    definitions[-1] = definitions[-1].removesuffix(")")
    return "\n".join([name.strip(), *sorted(definition.strip() for definition in definitions)])


def test_the_migrated_schema_is_that_of_the_tables(empty_url: str, opened: Opener) -> None:
    engine = opened(empty_url)
    with begin(engine) as conn:
        tables.metadata.create_all(conn)
        wanted = schema(conn)
        tables.metadata.drop_all(conn)
    migrate(empty_url)
    with begin(engine) as conn:
        assert schema(conn) == wanted
        assert compare_metadata(MigrationContext.configure(conn), tables.metadata) == []


def test_the_newest_revision_is_the_one_this_program_works_with(empty_url: str, opened: Opener) -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD
    migrate(empty_url)
    engine = opened(empty_url)
    with reading(engine) as conn:
        assert revision(conn) == HEAD


def test_migrating_twice_changes_nothing(empty_url: str, opened: Opener) -> None:
    migrate(empty_url)
    engine = opened(empty_url)
    with reading(engine) as conn:
        before = schema(conn)
    migrate(empty_url)
    with reading(engine) as conn:
        assert schema(conn) == before


def test_a_peer_of_the_first_schema_gets_its_results_as_before(empty_url: str, opened: Opener) -> None:
    engine = opened(empty_url)
    with begin(engine) as conn:
        command.upgrade(configuration(conn), "0001")
        conn.execute(
            text(
                "INSERT INTO peers (name, ae_title, host, port, may_send, addresses, results, may_find, profile,"
                " added_at, changed_at) VALUES ('pacs', 'PACS', 'pacs', 104, :yes, '[]', 'all', :yes, 'default', 1, 1)"
            ),
            {"yes": True},
        )
    migrate(empty_url)
    with reading(engine) as conn:
        peer = peers.by_name(conn, "pacs")
    assert (peer.confirm, peer.transport, peer.url) == ("none", "dimse", "")


def test_deliveries_of_the_first_schema_keep_their_rows_and_take_the_new_states(empty_url: str, opened: Opener) -> None:
    engine = opened(empty_url)
    with begin(engine) as conn:
        command.upgrade(configuration(conn), "0001")
        for statement in _A_STUDY_OF_THE_FIRST_SCHEMA:
            conn.execute(text(statement), {"yes": True} if ":yes" in statement else {})
    migrate(empty_url)
    with begin(engine) as conn:
        rows = conn.execute(text("SELECT id, state, error, accepted_at, resends FROM deliveries ORDER BY id")).all()
        assert [tuple(row) for row in rows] == [
            (1, "delivered", "", 7.0, 0),
            (2, "pending", "nobody answers.", None, 0),
        ]
        conn.execute(text("UPDATE deliveries SET state = 'reserve' WHERE id = 2"))
        new = (
            "INSERT INTO deliveries (parcel_id, result_id, state, changed_at) VALUES (2, 1, 'accepted', 8) RETURNING id"
        )
        assert conn.execute(text(new)).scalar() == 3, "numbers go on where they were"
    with pytest.raises(errors.Broken), begin(engine) as conn:
        conn.execute(text("UPDATE deliveries SET state = 'lost' WHERE id = 2"))


_A_STUDY_OF_THE_FIRST_SCHEMA = (
    "INSERT INTO peers (name, ae_title, host, port, may_send, addresses, results, may_find, profile, added_at,"
    " changed_at) VALUES ('pacs', 'PACS', 'pacs', 104, :yes, '[]', 'all', :yes, 'default', 1, 1)",
    "INSERT INTO peers (name, ae_title, host, port, may_send, addresses, results, may_find, profile, added_at,"
    " changed_at) VALUES ('other', 'OTHER', 'pacs', 104, :yes, '[]', 'all', :yes, 'default', 1, 1)",
    "INSERT INTO studies (study_instance_uid, state, patient_key, has_patient_conflict, calling_ae, first_arrival,"
    " last_arrival, receiving_since, changed_at, forced) SELECT '1.2', 'sending', 'k', may_find <> :yes, 'A', 1, 1, 1,"
    " 1, may_find <> :yes FROM peers WHERE id = 1",
    "INSERT INTO runs (study_id, state, owner, attempt, claimed_at, lease_until) VALUES (1, 'finished', 'w', 1, 1, 1)",
    "INSERT INTO results (study_id, run_id, kind, position, sop_class_uid, sop_instance_uid, series_instance_uid,"
    " transfer_syntax_uid, path, size, sha256, made_at) VALUES (1, 1, 'seg', 0, '1', '1.1', '1', '1', 'a', 1, 's', 1),"
    " (1, 1, 'sr', 1, '1', '1.2', '1', '1', 'b', 1, 's', 1)",
    "INSERT INTO parcels (study_id, run_id, peer_id, is_open, since, due_at) SELECT 1, 1, id, may_find = :yes, 1, 1"
    " FROM peers ORDER BY id",
    "INSERT INTO deliveries (parcel_id, result_id, state, error, changed_at) VALUES (1, 1, 'delivered', '', 7),"
    " (1, 2, 'pending', 'nobody answers.', 7)",
)


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    program = f"from storage.engine import migrate; migrate({empty_url!r})"
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stderr=subprocess.PIPE) for _ in range(3)
    ]
    assert [process.communicate()[1] for process in running] == [b""] * 3
    assert [process.returncode for process in running] == [0] * 3


def test_a_killed_migration_leaves_nothing_and_is_made_up_for(empty_url: str, opened: Opener) -> None:
    """Killed at random moments between the first table and the commit."""
    program = (
        "import os, sys\n"
        "from sqlalchemy import event\n"
        "from storage import engine\n"
        "real = engine.open_engine\n"
        "def told(url, **options):\n"
        "    opened = real(url, **options)\n"
        "    event.listen(opened, 'before_cursor_execute', lambda *_: os.write(1, b'.'))\n"
        "    return opened\n"
        "engine.open_engine = told\n"
        f"engine.migrate({empty_url!r})\n"
    )
    chance = random.Random(5)
    engine = opened(empty_url)
    killed = 0
    for statements in (12, 20, 30):
        with subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(statements)
            time.sleep(chance.random() * 0.002)
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while True:  # PostgreSQL needs a moment to see that its client died
            with reading(engine) as conn:
                found = schema(conn)
                gone = conn.dialect.name == "sqlite" or not conn.execute(text(_OTHERS)).scalar()
            if gone or time.monotonic() > deadline:
                break
        if found:  # committed before it was killed
            assert len({row[1] for row in found}) >= len(tables.metadata.tables)
            break
        killed += 1
    assert killed
    migrate(empty_url)
    with reading(engine) as conn:
        assert revision(conn) == HEAD


_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


def test_a_database_of_a_newer_program_is_refused(empty_url: str, opened: Opener) -> None:
    migrate(empty_url)
    engine = opened(empty_url)
    with begin(engine) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(errors.SchemaMismatch, match="another version of Osteon"):
        migrate(empty_url)
