"""The trail reaches its repository whole and in order, over every way that there is, however often that breaks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from node.audit.exporter import Exporter
from node.config import AuditSection, Config
from node.database import open_database
from storage import audit_position, audit_rows
from storage.audit import Action, Entry, add
from storage.engine import Engine, begin, reading
from tests.audit_schema import checked
from tests.certificates import Identity, identity
from tests.e2e.processes import until
from tests.syslog_server import Repository

Start = Callable[..., Exporter]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(folder=tmp_path)


@pytest.fixture
def engine(config: Config) -> Iterator[Engine]:
    engine = open_database(config)
    yield engine
    engine.dispose()


@pytest.fixture
def repository() -> Iterator[Callable[..., Repository]]:
    with ExitStack() as stack:

        def make(*given: object) -> Repository:
            made = Repository(*given)  # type: ignore[arg-type]
            stack.callback(made.pause)
            return made

        yield make


@pytest.fixture
def start(engine: Engine, config: Config) -> Iterator[Callable[..., threading.Event]]:
    """Starts an exporter; the event ends it."""
    running: list[tuple[Exporter, threading.Event]] = []

    def begun(to: Repository, **more: str) -> threading.Event:
        section = AuditSection("127.0.0.1", to.port, to.transport, timeout_s=5.0, retry_s=0.1, **more)
        stop = threading.Event()
        running.append((Exporter(engine, replace(config, audit=section), stop, look_s=0.02), stop))
        running[-1][0].start()
        return stop

    yield begun
    for exporter, stop in running:
        stop.set()
        exporter.close()


def write(engine: Engine, count: int) -> None:
    with begin(engine) as conn:
        for number in range(count):
            add(conn, Entry(Action.PEER_CHANGED, about="peer pacs", before=number, after=number + 1), 1.0)


def arrived(to: Repository, last: int) -> list[int]:
    until(lambda: last in to.rows(), 10, lambda: f"row {last} does not arrive; {to.rows()[-5:]} did")
    assert to.broken == []
    return to.rows()


@pytest.mark.parametrize(("transport", "more"), [("tcp", 150), ("udp", 20)])
def test_rows_arrive_in_order_and_as_messages(
    engine: Engine,
    repository: Callable[..., Repository],
    start: Callable[..., threading.Event],
    transport: str,
    more: int,
) -> None:
    to = repository(transport)
    write(engine, 3)
    start(to)
    assert arrived(to, 3) == [1, 2, 3]
    write(engine, more)
    assert arrived(to, 3 + more) == list(range(1, 4 + more))
    for body in to.bodies():
        checked(body)


def test_over_tls_both_sides_show_who_they_are(
    engine: Engine, repository: Callable[..., Repository], start: Callable[..., threading.Event], tmp_path: Path
) -> None:
    theirs, ours = identity(tmp_path, "repository"), identity(tmp_path, "node")
    to = repository("tls", theirs, ours)
    write(engine, 2)
    start(to, authority=str(theirs.certificate), certificate=str(ours.certificate), key=str(ours.key))
    assert arrived(to, 2) == [1, 2]


@pytest.mark.parametrize("wrong", ["an authority that did not sign it", "no certificate of ours"])
def test_over_tls_nothing_is_sent_to_or_taken_from_a_stranger(
    engine: Engine,
    repository: Callable[..., Repository],
    start: Callable[..., threading.Event],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    theirs, ours, other = (identity(tmp_path, name) for name in ("repository", "node", "other"))
    to = repository("tls", theirs, ours)
    write(engine, 2)
    trusted: Identity = other if wrong.startswith("an authority") else theirs
    start(to, authority=str(trusted.certificate))
    until(lambda: "audit messages wait" in caplog.text, 10, "nothing is said of a repository that is not what it says")
    with reading(engine) as conn:
        assert audit_rows.verify(conn).fault == ""
    assert to.lines == []


def test_what_happens_while_the_repository_is_away_arrives_later(
    engine: Engine, repository: Callable[..., Repository], start: Callable[..., threading.Event]
) -> None:
    to = repository("tcp")
    to.pause()
    write(engine, 5)
    start(to)
    write(engine, 5)
    to.resume()
    assert arrived(to, 10) == list(range(1, 11))


def test_what_was_lost_on_a_connection_that_broke_is_sent_again(
    engine: Engine, repository: Callable[..., Repository], start: Callable[..., threading.Event]
) -> None:
    to = repository("tcp")
    to.cut_after = 7
    write(engine, 60)
    start(to)
    assert set(arrived(to, 60)) == set(range(1, 61))


def test_a_new_process_goes_on_where_the_last_one_was(
    engine: Engine, repository: Callable[..., Repository], start: Callable[..., threading.Event]
) -> None:
    to = repository("tcp")
    write(engine, 3)
    stop = start(to)
    arrived(to, 3)
    place = f"127.0.0.1:{to.port}"
    until(lambda: _position(engine, place) == 3, 10, "the position is not kept")
    stop.set()
    until(lambda: _position(engine, place, "another") is not None, 10, "the lease is not given back")
    with begin(engine) as conn:
        audit_position.release(conn, place, "another")
    write(engine, 2)
    start(to)
    assert arrived(to, 5) == [1, 2, 3, 4, 5]


def test_of_two_workers_one_sends(engine: Engine) -> None:
    assert _position(engine, "r", "one") == 0
    assert _position(engine, "r", "two") is None
    with begin(engine) as conn:
        assert audit_position.advance(conn, "r", "one", 5, 1e12)
        assert not audit_position.advance(conn, "r", "two", 9, 1e12)
    assert _position(engine, "r", "two", is_dead=True) == 5


def _position(engine: Engine, place: str, owner: str = "", *, is_dead: bool = False) -> int | None:
    with begin(engine) as conn:
        if not owner:
            from sqlalchemy import select

            from storage.audit_tables import audit_export

            return conn.execute(select(audit_export.c.position)).scalar()
        return audit_position.claim(conn, place, owner, 60, 100.0, lambda _: is_dead)
