"""Committed records become rows in their order, whatever the database does meanwhile."""

import hashlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from node.listen import indexer as indexer_module
from node.listen.indexer import Bookings, Closed, Indexer
from node.listen.store import Caller
from storage import intake, studies
from storage.engine import Engine, begin, open_engine, reading
from storage.errors import Broken
from storage.intake import Taken
from storage.journal import Place, RecordMeta
from tests.e2e.processes import until


@pytest.fixture
def url(tmp_path: Path, migrated: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated, tmp_path)}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_engine(url, busy_s=0.2)
    yield made
    made.dispose()


@pytest.fixture
def indexer(engine: Engine) -> Iterator[Indexer]:
    made = Indexer(engine, "listener")
    made.start()
    yield made
    made.close(5)


def caller(number: int) -> Caller:
    return Caller(number, f"{number:032x}", "PACS", "OSTEON", "127.0.0.1", may_store=True)


def taken(number: int, association: int = 1) -> Taken:
    meta = RecordMeta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=f"1.2.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        patient_key="0" * 64,
        calling_ae="PACS",
        called_ae="OSTEON",
        address="127.0.0.1",
        association=f"{association:032x}",
        received_at=100.0 + number,
        modality="MR",
    )
    place = Place("a.seg", 4096 * number, 100, hashlib.sha256(str(number).encode()).hexdigest())
    return Taken(meta, place, 4096 * number + 200)


def rows(engine: Engine) -> set[str]:
    with reading(engine) as conn:
        return {uid for uid, _ in studies.held(conn)}


def associations(engine: Engine) -> list[tuple[Any, ...]]:
    with reading(engine) as conn:
        found = conn.execute(text("SELECT id, closed_at IS NOT NULL FROM associations ORDER BY id"))
        return [tuple(row) for row in found]


def test_records_become_rows_soon_and_the_association_closes_behind_them(indexer: Indexer, engine: Engine) -> None:
    bookings = Bookings(indexer, caller(1))
    for number in range(1, 21):
        bookings.take(taken(number))
    until(lambda: len(rows(engine)) == 20, 5, "twenty rows")
    assert associations(engine) == [(f"{1:032x}", 0)]
    bookings.close()
    bookings.close()
    until(lambda: associations(engine) == [(f"{1:032x}", 1)], 5, "the association is closed")


def test_an_association_without_objects_leaves_no_row(indexer: Indexer, engine: Engine) -> None:
    Bookings(indexer, caller(1)).close()
    bookings = Bookings(indexer, caller(2))
    bookings.take(taken(1, association=2))
    bookings.close()
    until(lambda: associations(engine) == [(f"{2:032x}", 1)], 5, "only the second association has a row")


def test_a_busy_database_is_waited_for(indexer: Indexer, engine: Engine) -> None:
    released = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with begin(engine):
            held.set()
            released.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    Bookings(indexer, caller(1)).take(taken(1))
    until(lambda: indexer.backlog == 2, 5, "the association and its object wait")
    assert rows(engine) == set()
    released.set()
    holder.join()
    until(lambda: rows(engine) == {"1.2.1"} and indexer.backlog == 0, 10, "the row is made")


def test_one_record_that_cannot_be_indexed_holds_back_no_other(
    indexer: Indexer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = intake.index

    def poisoned(conn: Connection, group: Sequence[Taken], now: float) -> object:
        if any(item.meta.sop_instance_uid == "1.2.3" for item in group):
            raise Broken("a constraint says no")
        return index(conn, group, now)

    with monkeypatch.context() as patch:
        patch.setattr(intake, "index", poisoned)
        patch.setattr(indexer_module, "_STUCK_RETRY_S", 0.5)
        bookings = Bookings(indexer, caller(1))
        for number in range(1, 6):
            bookings.take(taken(number))
        until(lambda: rows(engine) == {f"1.2.{n}" for n in (1, 2, 4, 5)}, 5, "the others have rows")
        until(lambda: indexer.backlog == 1, 5, "one is kept for another try")
        patch.setattr(intake, "index", index)
        until(lambda: "1.2.3" in rows(engine), 10, "it is tried again")


def test_what_is_queued_is_indexed_before_the_end(engine: Engine) -> None:
    indexer = Indexer(engine, "listener")
    bookings = Bookings(indexer, caller(1))
    for number in range(1, 1201):
        bookings.take(taken(number))
    bookings.close()
    assert indexer.backlog == 1202
    indexer.start()
    indexer.close(60)
    assert len(rows(engine)) == 1200
    assert associations(engine) == [(f"{1:032x}", 1)]


def test_a_database_that_is_away_does_not_hold_up_the_end(url: str, tmp_path: Path) -> None:
    broken = open_engine(f"sqlite:///{tmp_path / 'nowhere' / 'osteon.sqlite'}")
    indexer = Indexer(broken, "listener")
    indexer.start()
    indexer.put(taken(1))
    indexer.put(Closed(f"{1:032x}", 1.0))
    indexer.close(20)
    assert not indexer._thread.is_alive()
    broken.dispose()
