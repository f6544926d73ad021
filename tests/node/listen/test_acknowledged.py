"""What was acknowledged is there after kill -9, byte for byte and with its row, however soon it comes."""

import contextlib
import random
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from node.listen.server import Server
from node.listen.settings import ListenSettings
from storage import journal, studies
from storage.engine import migrate, open_engine, reading
from tests.bench import flood
from tests.bench.loads import EXPLICIT_LE, MR_IMAGE, Item, Kind, made
from tests.e2e.processes import Child, free_port, until

SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)
ROUNDS = 3
LISTENER = """
import sys, threading
from pathlib import Path
from node.listen.server import run
from node.listen.settings import ListenSettings
folder, port, syntax = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
settings = ListenSettings("OSTEON", folder / "journal", (syntax,), port=port, allow_unknown=True, reserve_bytes=0)
run(settings, f"sqlite:///{folder / 'osteon.sqlite'}", threading.Event())
"""


def answered_before_death(child: Child, port: int, items: list[Item], limit: int) -> list[Item]:
    """Send until `limit` objects are acknowledged, kill the listener with the last answer; what was acknowledged."""
    acknowledged: list[Item] = []
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        stream = peer.makefile("rb")
        peer.sendall(flood.association_request("ANY", "OSTEON", MR_IMAGE))
        flood._pdu(stream)
        for number, item in enumerate(items, 1):
            peer.sendall(b"".join(bytes(part) for part in flood.store_request(item, number, 16384)))
            kind, body = flood._pdu(stream)
            assert (kind, flood._status(body[6:])) == (4, 0)
            acknowledged.append(item)
            if number == limit:
                child.process.send_signal(signal.SIGKILL)
                break
    child.process.wait(10)
    return acknowledged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    migrate(f"sqlite:///{tmp_path / 'osteon.sqlite'}")
    return tmp_path


@pytest.mark.checklist(46)
def test_killed_with_the_answer_the_listener_has_lost_nothing(folder: Path) -> None:
    chance = random.Random(5)
    acknowledged: list[Item] = []
    for round_ in range(ROUNDS):
        port = free_port()
        command = [sys.executable, "-c", LISTENER, str(folder), str(port), EXPLICIT_LE]
        child = Child(command, folder / "log")
        try:
            child.wait_for_port(port)
            items = made(SMALL, 40, seed=round_)
            acknowledged += answered_before_death(child, port, items, chance.randint(1, 40))
        finally:
            child.kill()
    assert len(acknowledged) >= ROUNDS

    engine = open_engine(f"sqlite:///{folder / 'osteon.sqlite'}")
    settings = ListenSettings("OSTEON", folder / "journal", (EXPLICIT_LE,), port=0, reserve_bytes=0)
    server = Server(settings, engine)
    server.start()
    stop = threading.Event()
    accepting = threading.Thread(target=server.accept_until, args=(stop,))
    accepting.start()

    def rows() -> dict[str, str]:
        with reading(engine) as conn:
            return dict(studies.held(conn))

    wanted = {item.sop_instance_uid for item in acknowledged}
    until(lambda: wanted <= set(rows()), 20, "every acknowledged object has its row")
    stop.set()
    accepting.join()
    server.stop()

    kept: dict[str, bytes] = {}
    for path in (folder / "journal").glob(f"*{journal.SUFFIX}"):
        for meta, place, _ in journal.records(path):
            kept[meta.sop_instance_uid] = journal.read(path.parent, place)
    assert {uid: data for uid, data in kept.items() if uid in wanted} == {
        i.sop_instance_uid: i.data for i in acknowledged
    }
