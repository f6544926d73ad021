"""The receivers that the bench compares: each started empty, with the bytes it holds readable afterwards."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loads import data_set_of
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import HOST, PROJECT, Child, free_port, system_tool

AE_TITLE = "BENCHSCP"
CALLING = "BENCH"
NODELAY = {"TCP_NODELAY": "1"}


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    port: int
    child: Child
    held: Callable[[], Iterator[tuple[str, bytes]]]
    """SOP Instance UID and data set bytes of everything it holds at this moment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A receiver of the tables: its name and how to start it in an empty folder."""

    name: str
    start: Callable[[Path], Receiver]


def osteon(folder: Path) -> Receiver:
    """Our listener, as `osteon listen` runs it: synced and recorded before the answer."""
    from storage import journal

    port = free_port()
    config = folder / "node.toml"
    config.write_text(
        f'[node]\nae_title = "{AE_TITLE}"\ndata_folder = "data"\nlog_level = "WARNING"\n'
        f'[listen]\nhost = "{HOST}"\nport = {port}\nreserve_mb = 64\n'
    )
    call = [sys.executable, "-c", "from node.cli import main; raise SystemExit(main())"]
    arguments = ["--config", config]
    peer = [*call, "peers", "add", "bench", "--ae", CALLING, "--host", HOST, "--port", "104", "--may-send", *arguments]
    child = Child(peer, folder / "peers.log")
    assert child.process.wait(60) == 0, child.output()
    child.kill()
    child = Child([*call, "listen", *arguments], folder / "listen.log", cwd=PROJECT)
    child.wait_for_port(port)

    def held() -> Iterator[tuple[str, bytes]]:
        for segment in sorted((folder / "data" / "journal").iterdir()):
            for meta, place, _ in journal.records(segment):
                yield meta.sop_instance_uid, journal.read(segment.parent, place)

    return Receiver(port, child, held)


def orthanc(folder: Path, *, nodelay: bool = True) -> Receiver:
    """Debian's Orthanc with its default settings (SyncStorageArea on, SQLite index)."""
    server = Orthanc(folder, ae_title=AE_TITLE, env=NODELAY if nodelay else None)

    def held() -> Iterator[tuple[str, bytes]]:
        for one in server.get("/instances"):
            uid = server.get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]
            yield uid, data_set_of(server.file(one))

    return Receiver(server.port, server.child, held)


def storescp(folder: Path, *, nodelay: bool = True) -> Receiver:
    """dcmtk's storescp, one process an association, bytes kept as received; neither syncs nor keeps an index."""
    port, store = free_port(), folder / "store"
    store.mkdir()
    command = [
        system_tool("storescp"),
        "+B",
        "--fork",
        "-aet",
        AE_TITLE,
        "--max-pdu",
        "131072",
        "-od",
        store,
        str(port),
    ]
    child = Child(command, folder / "storescp.log", env=NODELAY if nodelay else None)
    child.wait_for_port(port)
    return Receiver(port, child, lambda: _files(store))


def pynetdicom_app(folder: Path) -> Receiver:
    """`python -m pynetdicom storescp` as its documentation starts it."""
    port, store = free_port(), folder / "store"
    store.mkdir()
    command = [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-aet", AE_TITLE, "-od", store]
    child = Child(command, folder / "storescp.log")
    child.wait_for_port(port)
    return Receiver(port, child, lambda: _files(store))


def _files(store: Path) -> Iterator[tuple[str, bytes]]:
    """Files whose names end in the SOP Instance UID, behind a prefix for the modality."""
    for path in store.iterdir():
        yield path.name.partition(".")[2], data_set_of(path.read_bytes())


OSTEON = Entry("Osteon", osteon)
ORTHANC = Entry("Orthanc, TCP_NODELAY=1", orthanc)
ORTHANC_SHIPPED = Entry("Orthanc as shipped", lambda folder: orthanc(folder, nodelay=False))
STORESCP = Entry("storescp +B --fork, TCP_NODELAY=1", storescp)
STORESCP_SHIPPED = Entry("storescp +B --fork as shipped", lambda folder: storescp(folder, nodelay=False))
PYNETDICOM = Entry("python -m pynetdicom storescp", pynetdicom_app)
