"""What the faults are done to: Osteon, and beside it Debian's Orthanc and dcmtk's storescp, by the same code.

A target keeps its folder over restarts, can be killed, and tells afterwards what it holds.
"""

import contextlib
import hashlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.loads import data_set_of
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import HOST, Child, free_port, listens, memory_mb, peak_memory_mb, system_tool, tree, until
from tests.faults.scu import echo_s

CALLING = "MODALITY"
HONEST = "HONEST"
STRICT = {"request_timeout_s": 1.0, "pdu_timeout_s": 1.5, "idle_timeout_s": 3.0, "object_timeout_s": 5.0}
"""Time limits of the short form; the full form keeps those that the product ships with."""

Settings = Mapping[str, Mapping[str, Any]]


class Target(ABC):
    """A receiver in a folder of its own."""

    name: str
    called: str
    port: int
    child: Child | None = None

    def __init__(self, folder: Path, *, settings: Settings | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.settings = settings or {}

    @abstractmethod
    def start(self) -> None:
        """Start it, or start it again in the same folder; returns once it listens."""

    @abstractmethod
    def held(self) -> dict[str, str]:
        """SOP Instance UID → SHA-256 of the data set, of everything it holds."""

    @property
    @abstractmethod
    def storage(self) -> Path:
        """The only folder into which it may write what it receives."""

    @property
    def titles(self) -> tuple[str, str]:
        """Calling and called AE title."""
        return CALLING, self.called

    def kill(self) -> None:
        """kill -9 of all its processes."""
        if self.child is not None:
            self.child.kill()

    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.child is not None and self.child.is_running()

    def echo_s(self, limit_s: float = 5.0) -> float | None:
        """How long an honest C-ECHO takes; None when it gets no answer in time."""
        return echo_s(self.port, HONEST, self.called, limit_s)

    def log(self) -> str:
        """What it has written to its log."""
        return self.child.output() if self.child else ""

    def close(self) -> None:
        """End it."""
        self.kill()


class Osteon(Target):
    """The node: `part` "listen" for the receiving half alone, "serve" for all of it."""

    name, called = "Osteon", "OSTEON"

    def __init__(self, folder: Path, *, settings: Settings | None = None, part: str = "listen"):
        super().__init__(folder, settings=settings)
        self.part = part
        self.node = Node(folder, self.settings)
        self.port = self.node.port
        _let_in(self.node)

    def start(self) -> None:
        self.child = self.node.start(self.part)

    def kill(self) -> None:
        self.node.kill()

    def held(self) -> dict[str, str]:
        return self.node.held()

    @property
    def storage(self) -> Path:
        return self.node.data

    def log(self) -> str:
        return self.node.log()

    def close(self) -> None:
        self.node.close()


class OrthancTarget(Target):
    """Orthanc as Debian ships it: files synced (SyncStorageArea), index in SQLite."""

    name, called = "Orthanc", "FAULTSCP"
    server: Orthanc

    def start(self) -> None:
        self.server = Orthanc(self.folder, ae_title=self.called)
        self.child, self.port = self.server.child, self.server.port

    def held(self) -> dict[str, str]:
        found = {}
        for one in self.server.get("/instances"):
            uid = self.server.get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]
            found[uid] = _sha256(data_set_of(self.server.file(one)))
        return found

    @property
    def storage(self) -> Path:
        return self.folder / "store"


class Storescp(Target):
    """dcmtk's storescp, one process for each association; with `as_received` it keeps bytes without reading them."""

    name, called = "storescp --fork", "FAULTSCP"

    def __init__(self, folder: Path, *, settings: Settings | None = None, as_received: bool = True):
        super().__init__(folder, settings=settings)
        self._options = ["+B"] if as_received else []

    def start(self) -> None:
        self.storage.mkdir(exist_ok=True)
        if not hasattr(self, "port"):
            self.port = free_port()
        command = [system_tool("storescp"), *self._options, "+xa", "--fork", "-aet", self.called, "-od", self.storage]
        self.child = Child([*command, str(self.port)], self.folder / "storescp.log")
        self.child.wait_for_port(self.port)

    def kill(self) -> None:
        super().kill()
        until(lambda: not listens(self.port), 10, f"port {self.port} is still listened on after the kill")

    def held(self) -> dict[str, str]:
        found = {}
        for path in self.storage.iterdir():
            with contextlib.suppress(AssertionError):
                found[path.name.partition(".")[2]] = _sha256(data_set_of(path.read_bytes()))
        return found

    @property
    def storage(self) -> Path:
        return self.folder / "store"


KINDS: dict[str, type[Target]] = {"osteon": Osteon, "orthanc": OrthancTarget, "storescp": Storescp}


@contextlib.contextmanager
def running(target: Target) -> Iterator[Target]:
    """Start it, and end it whatever happens."""
    try:
        target.start()
        until(lambda: target.echo_s() is not None, 60, f"{target.name} does not answer C-ECHO")
        yield target
    finally:
        target.close()


class Memory:
    """The highest memory of a process and its descendants above what they had before."""

    def __init__(self, pid: int, every_s: float = 0.1):
        self._pid, self._every_s = pid, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._before = memory_mb(self._pid)
        self._peaks = {one: peak_memory_mb(one) for one in tree(self._pid)}
        self._most = self._before
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ending.wait(self._every_s):
            self._most = max(self._most, memory_mb(self._pid))

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._risen = max((peak_memory_mb(one) - peak for one, peak in self._peaks.items()), default=0.0)

    @property
    def grown_mb(self) -> float:
        """MB above the beginning: of all processes together as sampled, or of one by the kernel's own peak."""
        return max(self._most - self._before, self._risen, 0.0)


def _let_in(node: Node) -> None:
    """The honest peer and the one that misbehaves, written into the database directly, which is quicker."""
    from node.config import read_config
    from node.database import open_database
    from storage import peers
    from storage.engine import begin

    engine = open_database(read_config(node.config))
    with begin(engine) as conn:
        for name in (CALLING, HONEST):
            peers.add(conn, peers.Peer(0, name.lower(), name, HOST, 104, may_send=True), time.time())
    engine.dispose()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
