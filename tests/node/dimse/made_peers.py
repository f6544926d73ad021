"""Peers for the tests of our requestor: a pynetdicom SCP, and sockets that follow a script."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from node.dimse import commands, messages, negotiate, wire
from node.dimse.client import Association, Timeouts, associate
from node.dimse.negotiate import Context, Offer, find_contexts, storage_contexts
from node.errors import (
    PeerError,
)

MR = "1.2.840.10008.5.1.4.1.1.4"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
TIMEOUTS = Timeouts(connect_s=2, response_s=2, idle_s=2)
SHORT = Timeouts(connect_s=1, response_s=0.6, idle_s=0.6)
CONTEXTS = (*negotiate.VERIFICATION_CONTEXTS, *storage_contexts([(MR, EXPLICIT), (SEG, EXPLICIT)]), *find_contexts())


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OB", b"OW", b"UN", b"SQ"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def mr_image(instance: str, size: int = 300_000) -> bytes:
    return (
        element(8, 0x16, b"UI", MR.encode())
        + element(8, 0x18, b"UI", instance.encode())
        + element(0x7FE0, 0x10, b"OW", bytes(range(256)) * (size // 256))
    )


def open_to(port: int, contexts: tuple[Context, ...] = CONTEXTS, timeouts: Timeouts = TIMEOUTS) -> Association:
    return associate("127.0.0.1", port, calling="OSTEON", called="PEER", contexts=contexts, timeouts=timeouts)


class Peer:
    """A pynetdicom SCP that keeps what it gets and answers as told."""

    def __init__(self, max_pdu: int = 16382) -> None:
        self.kept: list[bytes] = []
        self.status = 0x0000
        self.matches: list[tuple[int, Dataset | None]] = []
        self.events: list[str] = []
        ae = AE(ae_title="PEER")
        ae.maximum_pdu_size = max_pdu
        for context in (MR, negotiate.VERIFICATION, negotiate.STUDY_ROOT_FIND):
            ae.add_supported_context(context, [EXPLICIT, IMPLICIT])
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: self.status),
            (evt.EVT_C_FIND, lambda _: iter(self.matches)),
            (evt.EVT_RELEASED, lambda _: self.events.append("released")),
            (evt.EVT_ABORTED, lambda _: self.events.append("aborted")),
        ]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def _store(self, event: evt.Event) -> int:
        self.kept.append(event.request.DataSet.getvalue())
        return self.status


@contextlib.contextmanager
def scripted(
    script: Callable[[wire.Connection], None],
    *,
    accepts: bool = True,
    offers: tuple[str, ...] = (MR, negotiate.VERIFICATION, negotiate.STUDY_ROOT_FIND),
) -> Iterator[int]:
    """A peer that accepts the association (when it does) and then runs `script`; yields its port."""
    done = threading.Event()

    def serve() -> None:
        sock, _ = server.accept()
        connection = wire.Connection(sock, max_pdu=131072, pdu_timeout_s=5)
        with contextlib.suppress(PeerError):
            if accepts:
                connection.read_pdu(time.monotonic() + 5)
                body = connection.read_body()
                offer = Offer(frozenset(offers), (EXPLICIT,), 16384)
                answer = negotiate.answer(body, negotiate.decode_request(body), offer)
                connection.send([answer.pdu], time.monotonic() + 5)
            script(connection)
            done.wait(10)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()


def request_of(connection: wire.Connection) -> tuple[int, commands.Command]:
    """The next request, with its data set thrown away."""
    received = messages.receive_command(connection, time.monotonic() + 5)
    assert not isinstance(received, int)
    if received[1].has_data_set:
        for _ in messages.data_set_pieces(connection, received[0], time.monotonic() + 5, 5):
            pass
    return received


def reply(connection: wire.Connection, context_id: int, command: bytes) -> None:
    messages.send_command(connection, context_id, command, 16384, 5)
