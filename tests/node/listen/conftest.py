"""A listener in this process, with a database and a journal of its own, and what it keeps."""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from node.dimse.client import Timeouts, associate
from node.dimse.negotiate import VERIFICATION_CONTEXTS
from node.listen.server import Server
from node.listen.settings import ListenSettings
from storage import journal, peers
from storage.engine import Engine, begin, migrate, open_engine

SENDER = "SENDER"
OURS = "OSTEON"


@dataclass(frozen=True)
class House:
    """A running listener."""

    port: int
    engine: Engine
    folder: Path
    server: Server

    def kept(self) -> dict[str, bytes]:
        """The data set of every committed record, by SOP Instance UID."""
        found = {}
        for path in sorted(self.folder.glob(f"*{journal.SUFFIX}")):
            for meta, place, _ in journal.records(path):
                found[meta.sop_instance_uid] = journal.read(self.folder, place)
        return found

    def echo(self) -> None:
        """An honest peer asks whether we live; raises when it gets no answer in time."""
        timeouts = Timeouts(connect_s=5, response_s=5)
        with associate(
            "127.0.0.1", self.port, calling=SENDER, called=OURS, contexts=VERIFICATION_CONTEXTS, timeouts=timeouts
        ) as association:
            association.echo()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and nothing else, to be copied."""
    path = tmp_path_factory.mktemp("template") / "osteon.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@contextlib.contextmanager
def served(server: Server, engine: Engine) -> Iterator[Server]:
    """Run a listener in this process; it and its database are closed afterwards."""
    server.start()
    stop = threading.Event()
    thread = threading.Thread(target=server.accept_until, args=(stop,))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()
        server.stop()
        engine.dispose()


@pytest.fixture
def new_house(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., House]]:
    """Starts listeners; settings by keyword."""
    with contextlib.ExitStack() as running:

        def start(**settings: Any) -> House:
            number = len(list(tmp_path.glob("journal*")))
            folder = tmp_path / f"journal{number}"
            folder.mkdir()
            database = tmp_path / f"{number}.sqlite"
            shutil.copy(migrated, database)
            engine = open_engine(f"sqlite:///{database}")
            with begin(engine) as conn:
                peers.add(conn, peers.Peer(0, "sender", SENDER, "127.0.0.1", 104, addresses=("127.0.0.1/32",)), 1.0)
                peers.add(conn, peers.Peer(0, "guest", "GUEST", "127.0.0.1", 104, may_send=False), 1.0)
                peers.add(conn, peers.Peer(0, "far", "FAR", "10.0.0.1", 104, addresses=("10.0.0.0/8",)), 1.0)
            defaults = {"port": 0, "reserve_bytes": 0, "stop_patience_s": 0.5}
            server = Server(ListenSettings(OURS, folder, SUPPORTED_TRANSFER_SYNTAXES, **(defaults | settings)), engine)
            running.enter_context(served(server, engine))
            return House(server.port, engine, folder, server)

        yield start
