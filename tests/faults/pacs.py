"""A PACS that keeps what it gets and misbehaves by a script: at an association, or at an object.

Its wire is the node's own server side; what the script says is done to the socket, so that the sender sees a real
abort, a real reset, a real silence.
"""

import contextlib
import hashlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

import pydicom

from node.dimse import commands, messages, negotiate, wire
from node.dimse.commands import Command, Operation
from node.dimse.negotiate import Offer
from node.errors import PeerError
from tests.e2e.processes import HOST, free_port
from tests.faults.octets import EXPLICIT

OK, HANG, ABORT, CLOSE = "ok", "hang", "abort", "close"
KEEP_ABORT, KEEP_CLOSE, DIE = "keep-abort", "keep-close", "die"
"""At an object: an answer is a status in hexadecimal, or one of these."""
REJECT, REJECT_FOR_NOW = "reject", "reject-for-now"
"""At an association (or OK)."""

_REJECTIONS = {REJECT: (1, 1, 3), REJECT_FOR_NOW: (2, 3, 1)}  # PS3.8 9.3.4
_PATIENCE_S = 30.0
_MAX_PDU = 16384
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Came:
    """One C-STORE, whatever was made of it."""

    sop_class: str
    uid: str
    sha256: str
    study: str
    at: float
    """Monotonic seconds."""
    was_kept: bool


class Pacs:
    """The server: `objects` and `associations` are used up one by one, and then all is well."""

    def __init__(
        self,
        objects: Iterable[str] = (),
        associations: Iterable[str] = (),
        *,
        classes: Iterable[str] = (),
        delay_s: float = 0.0,
        port: int = 0,
    ):
        self._objects, self._associations = list(objects), list(associations)
        self.classes = frozenset(classes) or negotiate.storage_classes()
        self.delay_s = delay_s
        self.port = port or free_port()
        self.came: list[Came] = []
        self.called: list[float] = []
        """When each association was asked for, monotonic seconds."""
        self.most_at_once = 0
        """Associations that were open together, each from its acceptance until its release was asked for."""
        self._at_once = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._server: socket.socket | None = None

    def start(self) -> "Pacs":
        """Listen."""
        self._ended.clear()
        self._server = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Listen no more, and cut what is open."""
        self._ended.set()
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """From now on all is well."""
        with self._lock:
            self._objects, self._associations = [], []
            self.classes = negotiate.storage_classes()

    def kept(self) -> dict[str, set[str]]:
        """SOP Instance UID → the SHA-256 of all that was kept under it: more than one is a DIFFERENT duplicate."""
        found: dict[str, set[str]] = {}
        for one in list(self.came):
            if one.was_kept:
                found.setdefault(one.uid, set()).add(one.sha256)
        return found

    def times_sent(self) -> Counter[str]:
        """SOP Instance UID → how many times its C-STORE began."""
        return Counter(one.uid for one in list(self.came))

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        connection = wire.Connection(sock, max_pdu=_MAX_PDU, pdu_timeout_s=_PATIENCE_S)
        try:
            with contextlib.suppress(PeerError, _Over):
                self._associated(connection, sock)
        finally:
            with self._lock:
                self._open.discard(sock)
            connection.close()

    def _associated(self, connection: wire.Connection, sock: socket.socket) -> None:
        connection.read_pdu(time.monotonic() + _PATIENCE_S)
        body = connection.read_body()
        self.called.append(time.monotonic())
        how = self._next(self._associations)
        if how in _REJECTIONS:
            connection.send([negotiate.reject_pdu(*_REJECTIONS[how])], time.monotonic() + _PATIENCE_S)
            return
        if how == HANG:
            self._silence()
        offer = Offer(self.classes, (EXPLICIT, *negotiate._PLAIN, "1.2.840.10008.1.2.4.50"), _MAX_PDU)
        answer = negotiate.answer(body, negotiate.decode_request(body), offer)
        with self._counted():
            connection.send([answer.pdu], time.monotonic() + _PATIENCE_S)
            while not isinstance(received := messages.receive_command(connection, time.monotonic() + _PATIENCE_S), int):
                self._answered(connection, sock, *received)
        if received == wire.RELEASE_RQ:
            connection.send([wire.control_pdu(wire.RELEASE_RP)], time.monotonic() + 1)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def _answered(self, connection: wire.Connection, sock: socket.socket, context_id: int, command: Command) -> None:
        if command.field != Operation.C_STORE:
            raise _Over
        how = self._next(self._objects)
        pieces = messages.data_set_pieces(connection, context_id, time.monotonic() + _PATIENCE_S, _PATIENCE_S)
        if how == DIE:
            next(pieces)
            self._note(command, b"", was_kept=False)
            self._reset(sock)
        data = b"".join(bytes(piece) for piece in pieces)
        status = int(how, 16) if how not in _WORDS else 0
        self._note(command, data, was_kept=how in _KEEPING or how == OK or status >> 12 == 0xB)
        if how == HANG:
            self._silence()
        if how in (ABORT, KEEP_ABORT):
            connection.send([wire.abort_pdu(wire.SERVICE_USER, 0)], time.monotonic() + 1)
            raise _Over
        if how in (CLOSE, KEEP_CLOSE):
            self._reset(sock)
        self._ended.wait(self.delay_s)
        reply = commands.response(command, status)
        messages.send_command(connection, context_id, reply, _MAX_PDU, _PATIENCE_S)

    def _next(self, script: list[str]) -> str:
        with self._lock:
            return script.pop(0) if script else OK

    def _note(self, command: Command, data: bytes, *, was_kept: bool) -> None:
        digest = hashlib.sha256(data).hexdigest()
        came = Came(command.sop_class_uid, command.sop_instance_uid, digest, _study(data), time.monotonic(), was_kept)
        with self._lock:
            self.came.append(came)

    def _silence(self) -> None:
        self._ended.wait()
        raise _Over

    def _reset(self, sock: socket.socket) -> None:
        """Close with RST, as a process that dies with data unread does."""
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        raise _Over


def _study(data: bytes) -> str:
    if not data:
        return ""
    tags: list[str | int] = ["StudyInstanceUID"]
    return str(pydicom.dcmread(BytesIO(data), force=True, specific_tags=tags, stop_before_pixels=True).StudyInstanceUID)


class _Over(Exception):
    """The association is at its end."""


_WORDS = frozenset({OK, HANG, ABORT, CLOSE, KEEP_ABORT, KEEP_CLOSE, DIE})
_KEEPING = frozenset({KEEP_ABORT, KEEP_CLOSE})


@contextlib.contextmanager
def listening(pacs: Pacs) -> Iterator[Pacs]:
    """Start it, and stop it whatever happens."""
    try:
        yield pacs.start()
    finally:
        pacs.stop()
