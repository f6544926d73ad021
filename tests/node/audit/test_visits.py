"""Associations are counted in memory and written by the way: never a row for each, never a wait for the database."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.audit.visits import Visit, Visits
from storage import audit_rows
from storage.audit import Action, Indicator
from storage.engine import Engine, migrate, open_engine, reading
from tests.e2e.processes import until

CALL = Visit(Action.ASSOCIATION_ACCEPTED, "PACS", "10.0.0.1", "OSTEON", "CN=pacs")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/osteon.sqlite"
    migrate(url)
    engine = open_engine(url, busy_s=0.2)
    yield engine
    engine.dispose()


def rows(engine: Engine) -> list[audit_rows.Audited]:
    with reading(engine) as conn:
        return audit_rows.newest(conn, 1000)


def test_the_first_of_a_kind_is_written_soon_and_the_rest_are_counted(engine: Engine) -> None:
    visits = Visits(engine, look_s=0.02)
    visits.start()
    visits.note(CALL)
    until(lambda: rows(engine), 5, "the first visit is not written")
    for _ in range(1000):
        visits.note(CALL)
    visits.close(5)
    first, rest = rows(engine)
    assert (first.action, first.who, first.address, first.outcome) == (
        CALL.action,
        "PACS",
        "10.0.0.1",
        Indicator.SUCCESS,
    )
    assert (first.details["count"], rest.details["count"]) == (1, 1000)
    assert first.details["certificate"] == "CN=pacs"


def test_whoever_calls_under_a_thousand_names_makes_few_rows_and_pushes_nobody_out(engine: Engine) -> None:
    visits = Visits(engine)
    visits.start()
    for number in range(1000):
        visits.note(Visit(Action.ASSOCIATION_REJECTED, f"EVIL{number}", "10.6.6.6", reason="unknown"))
    visits.note(CALL)
    visits.close(5)
    found = rows(engine)
    assert len(found) < 30
    assert sum(row.details["count"] for row in found if row.action == Action.ASSOCIATION_REJECTED) == 1000
    assert [row.who for row in found if row.action == Action.ASSOCIATION_ACCEPTED] == ["PACS"]


def test_counting_does_not_wait_for_a_locked_database_and_loses_nothing(engine: Engine, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "osteon.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    visits = Visits(engine, look_s=0.02)
    visits.start()
    begin = time.monotonic()
    for _ in range(2000):
        visits.note(CALL)
    took = time.monotonic() - begin
    time.sleep(0.5)  # some tries in vain
    other.execute("ROLLBACK")
    other.close()
    visits.close(5)
    assert sum(row.details["count"] for row in rows(engine)) == 2000
    assert took < 1.0
