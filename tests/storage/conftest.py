"""A fresh database for each test, on SQLite and on PostgreSQL, and a maker of received objects.

PostgreSQL is Debian's, started once in a temporary folder. Where it is not installed its tests are skipped, and the
summary says so.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage import tables
from storage.engine import begin, migrate, open_engine
from storage.journal import Place, RecordMeta
from storage.verdicts import Taken
from tests.postgresql import MISSING, Server, is_installed

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
_TABLES = tables.metadata.sorted_tables
_EMPTY = [
    *(str(table.delete()) for table in reversed(_TABLES)),
    *(f"SELECT setval('{table.name}_id_seq', 1, false)" for table in _TABLES if table.autoincrement_column is not None),
]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    if not is_installed():
        pytest.skip(MISSING)
    server = Server()
    yield server
    with contextlib.suppress(AssertionError):
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "osteon.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Server) -> str:
    url = postgresql.create("osteon")
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows."""
    if request.param == "sqlite":
        path = tmp_path / "osteon.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    found: str = request.getfixturevalue("postgresql_template")
    engine = open_engine(found)
    with begin(engine) as conn:  # a TRUNCATE would take longer than most tests
        conn.execute(text("; ".join(_EMPTY)))
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.create("empty")


@pytest.fixture
def opened() -> Iterator[Callable[..., Engine]]:
    """`open_engine`, whose engines are closed with the test."""
    engines = []

    def open_(url: str, **options: float) -> Engine:
        engines.append(open_engine(url, **options))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(url: str, opened: Callable[..., Engine]) -> Engine:
    return opened(url)


class Sender:
    """Makes records as the listener would hand them over; the bytes behind them exist only as a hash."""

    def __init__(self) -> None:
        self._offset = 4096

    def sends(
        self,
        number: int = 1,
        study: int = 1,
        *,
        content: str = "",
        sop_class: str = DX,
        at: float = 100.0,
        association: str = "a1",
        patient: str = "patient",
        series: int = 1,
        segment: str = "a1.seg",
        **meta: str,
    ) -> Taken:
        made = RecordMeta(
            sop_class_uid=sop_class,
            sop_instance_uid=f"1.2.{study}.{series}.{number}",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            study_instance_uid=f"1.2.{study}",
            series_instance_uid=f"1.2.{study}.{series}",
            patient_key=hashlib.sha256(patient.encode()).hexdigest(),
            calling_ae="XRAY",
            called_ae="OSTEON",
            address="127.0.0.1",
            association=association,
            received_at=at,
            modality={SEG: "SEG", SR: "SR"}.get(sop_class, "DX"),
        )
        self._offset += 8192
        digest = hashlib.sha256(f"{made.sop_instance_uid} {content}".encode()).hexdigest()
        place = Place(segment, self._offset, 1000, digest)
        return Taken(replace(made, **meta), place, self._offset + 1200)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not is_installed():
        terminalreporter.section("POSTGRESQL WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{MISSING}: every storage test ran on SQLite only.")
