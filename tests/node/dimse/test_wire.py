"""PDUs over a connection: cut at odd places, lying, silent, endless, over TCP and TLS."""

import itertools
import socket
import ssl
import struct
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.dimse import wire
from node.dimse.wire import Connection, Fragment
from node.errors import Disconnected, ProtocolBroken, TimedOut

SOON_S = 5.0


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def pdv(context: int, flags: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context, flags) + data


def soon() -> float:
    return time.monotonic() + SOON_S


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Connection]]:
    """The raw end of a peer, and our connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as peer:
        sock, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, max_pdu=16384, pdu_timeout_s=SOON_S)
        yield peer, connection
        connection.close()


def read_all(connection: Connection) -> list[tuple[int, bool, bool, bytes]]:
    """Copies of all fragments until something else than data comes."""
    fragments = []
    while isinstance(fragment := connection.read_fragment(soon()), Fragment):
        fragments.append((fragment.context_id, fragment.is_command, fragment.is_last, bytes(fragment.data)))
    return fragments


MESSAGE = (
    pdu(wire.DATA, pdv(1, 3, b"command") + pdv(1, 0, b"first"))  # command and data in one PDU
    + pdu(wire.DATA, pdv(1, 0, b"") + pdv(1, 0, bytes(range(256)) * 60))  # an empty fragment, then a long one
    + pdu(wire.DATA, pdv(1, 0, b"x") * 40)  # many fragments in one PDU
    + pdu(wire.DATA, pdv(1, 2, b"end"))
    + wire.control_pdu(wire.RELEASE_RQ)
)
FRAGMENTS = [
    (1, True, True, b"command"),
    (1, False, False, b"first"),
    (1, False, False, b""),
    (1, False, False, bytes(range(256)) * 60),
    *[(1, False, False, b"x")] * 40,
    (1, False, True, b"end"),
]


def every(size: int) -> Callable[[bytes], list[int]]:
    return lambda stream: list(range(0, len(stream), size))


def after_each_pdu(offset: int) -> Callable[[bytes], list[int]]:
    def cuts(stream: bytes) -> list[int]:
        place, found = 0, [0]
        while place < len(stream):
            place += 6 + int.from_bytes(stream[place + 2 : place + 6], "big")
            found.append(min(place + offset, len(stream)))
        return found

    return cuts


@pytest.mark.parametrize(
    "cuts",
    [every(1_000_000), every(97), every(7)] + [after_each_pdu(offset) for offset in (0, 1, 3, 5, 6, 9, 10, 11, 12)],
    ids=["whole", "97 bytes", "7 bytes", *(f"boundary +{n}" for n in (0, 1, 3, 5, 6, 9, 10, 11, 12))],
)
def test_fragments_are_the_same_wherever_the_sender_cuts(
    ends: tuple[socket.socket, Connection], cuts: Callable[[bytes], list[int]]
) -> None:
    peer, connection = ends
    places = [*cuts(MESSAGE), len(MESSAGE)]

    def drip() -> None:
        for start, end in itertools.pairwise(places):
            peer.sendall(MESSAGE[start:end])
            if len(places) < 100:
                time.sleep(0.002)

    sender = threading.Thread(target=drip)
    sender.start()
    assert read_all(connection) == FRAGMENTS
    sender.join()
    assert connection.bytes_received == len(MESSAGE)


def test_single_bytes_make_the_same_fragments(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    stream = pdu(wire.DATA, pdv(3, 3, b"ab") + pdv(3, 2, b"cde")) + wire.control_pdu(wire.RELEASE_RQ)
    sender = threading.Thread(target=lambda: [(peer.sendall(bytes((byte,))), time.sleep(0.001)) for byte in stream])
    sender.start()
    assert read_all(connection) == [(3, True, True, b"ab"), (3, False, True, b"cde")]
    sender.join()


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (struct.pack(">BxI", wire.DATA, 0xFFFFFFFF) + b"....", "4294967295 bytes"),
        (struct.pack(">BxI", wire.DATA, 16385) + b"....", "16385 bytes"),
        (struct.pack(">BxI", wire.DATA, 0) + b"....", "0 bytes"),
        (struct.pack(">BxI", wire.DATA, 5) + b"....", "5 bytes"),
        (pdu(wire.DATA, struct.pack(">IBB", 1, 1, 3)), "fragment of 1 bytes"),
        (pdu(wire.DATA, struct.pack(">IBB", 0xFFFFFFFF, 1, 3)), "fragment of 4294967295 bytes"),
        (pdu(wire.DATA, struct.pack(">IBB", 3, 1, 3)), "fragment of 3 bytes"),
        (pdu(wire.DATA, pdv(1, 1, b"") + b"\0\0\0"), "ends within the length"),
        (struct.pack(">BxI", wire.RELEASE_RQ, 8) + b"........", "length 8"),
        (struct.pack(">BxI", wire.ABORT, 0) + b"....", "length 0"),
        (struct.pack(">BxI", wire.ASSOCIATE_RQ, 1 << 30) + b"....", "1073741824 bytes"),
        (struct.pack(">BxI", 0, 4) + b"....", "unknown type"),
        (b"GET / HTTP/1.1\r\n\r\n", "unknown type"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "unknown type"),  # a TLS greeting on a plain port
    ],
)
def test_what_is_not_allowed_is_refused_at_once(
    ends: tuple[socket.socket, Connection], stream: bytes, words: str
) -> None:
    peer, connection = ends
    peer.sendall(stream)
    with pytest.raises(ProtocolBroken, match=words):
        read_all(connection)


def test_a_lying_length_costs_no_memory(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    peer.sendall(struct.pack(">BxI", wire.ASSOCIATE_RQ, 262144) + b"....")
    peer.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    connection.read_pdu(soon())
    with pytest.raises(Disconnected):
        connection.read_body()
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_an_abort_is_a_disconnection_with_its_reason(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    peer.sendall(wire.abort_pdu(wire.SERVICE_PROVIDER, wire.INVALID_PARAMETER))
    with pytest.raises(Disconnected, match="source 2, reason 6"):
        connection.read_pdu(soon())


@pytest.mark.parametrize("sent", [b"", b"\x04", MESSAGE[:9], MESSAGE[:20]], ids=["none", "one", "head", "half a PDU"])
def test_a_silent_peer_is_left_at_the_deadline(ends: tuple[socket.socket, Connection], sent: bytes) -> None:
    peer, connection = ends
    peer.sendall(sent)
    begin = time.monotonic()
    with pytest.raises(TimedOut):
        while True:
            connection.read_fragment(begin + 0.5)
    assert time.monotonic() - begin < 1.5


def test_a_peer_that_drips_is_left_at_the_deadline(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    done = threading.Event()

    def drip() -> None:
        peer.sendall(struct.pack(">BxI", wire.DATA, 16384))
        while not done.wait(0.05):
            peer.sendall(b"\0")

    sender = threading.Thread(target=drip)
    sender.start()
    begin = time.monotonic()
    with pytest.raises((TimedOut, ProtocolBroken)):
        connection.read_fragment(begin + 0.6)
    done.set()
    sender.join()
    assert time.monotonic() - begin < 2


def test_a_peer_that_never_pauses_is_left_at_the_deadline_too(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    done = threading.Event()

    def flood() -> None:
        while not done.is_set():
            try:
                peer.sendall(pdu(wire.DATA, pdv(1, 0, b"")) * 100)
            except OSError:
                return

    sender = threading.Thread(target=flood)
    sender.start()
    begin = time.monotonic()
    with pytest.raises(TimedOut):
        while True:
            connection.read_fragment(begin + 0.4)
    done.set()
    connection.close()
    sender.join()
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("sent", [b"", b"\x04\0", MESSAGE[:30]])
def test_a_peer_that_closes_is_gone(ends: tuple[socket.socket, Connection], sent: bytes) -> None:
    peer, connection = ends
    peer.sendall(sent)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(Disconnected, match="closed"):
        read_all(connection)


def test_waiting_ends_when_told_to_stop(ends: tuple[socket.socket, Connection]) -> None:
    _, connection = ends
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert not connection.wait(soon(), stop.is_set)


def test_waiting_ends_at_the_deadline(ends: tuple[socket.socket, Connection]) -> None:
    _, connection = ends
    with pytest.raises(TimedOut):
        connection.wait(time.monotonic() + 0.3, lambda: False)


def test_a_read_ends_when_another_thread_cuts(ends: tuple[socket.socket, Connection]) -> None:
    _, connection = ends
    threading.Timer(0.2, connection.cut).start()
    begin = time.monotonic()
    with pytest.raises(Disconnected):
        connection.read_pdu(soon())
    assert time.monotonic() - begin < 2


def test_writing_to_a_peer_that_does_not_read_ends_at_the_deadline(ends: tuple[socket.socket, Connection]) -> None:
    _, connection = ends
    begin = time.monotonic()
    with pytest.raises(TimedOut):
        connection.send_fragment(1, 0, bytes(64 << 20), begin + 0.5)
    assert time.monotonic() - begin < 3


def test_large_writes_arrive_whole_at_a_slow_reader(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    data = bytes(range(256)) * 40_000
    writer = threading.Thread(target=lambda: connection.send_fragment(5, 2, data, soon()))
    writer.start()
    received = bytearray()
    while len(received) < len(data) + 12:
        received += peer.recv(70_001)
    writer.join()
    assert received == struct.pack(">BxIIBB", wire.DATA, len(data) + 6, len(data) + 2, 5, 2) + data


def test_closing_with_patience_lets_the_peer_read_the_last_pdu(ends: tuple[socket.socket, Connection]) -> None:
    peer, connection = ends
    peer.sendall(bytes(50_000))  # never read: without patience this would become a reset
    connection.send([wire.abort_pdu(2, 1)], soon())
    closer = threading.Thread(target=lambda: connection.close(patience_s=2.0))
    closer.start()
    assert peer.recv(100) == wire.abort_pdu(2, 1)
    assert peer.recv(100) == b""
    peer.close()
    closer.join(1.5)
    assert not closer.is_alive()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file, made for this test run."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = path.with_suffix(".key")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {path}"
    subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_the_same_code_speaks_tls(certificate: Path) -> None:
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    theirs = ssl.create_default_context(cafile=str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as plain:
        accepted, _ = server.accept()
        sock = ours.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        connection = Connection(sock, max_pdu=16384, pdu_timeout_s=SOON_S)
        shaking = threading.Thread(target=lambda: connection.handshake(soon()))
        shaking.start()
        with theirs.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            shaking.join()
            peer.sendall(MESSAGE)
            assert read_all(connection) == FRAGMENTS
            connection.send_fragment(1, 2, b"answer", soon())
            assert peer.recv(100) == pdu(wire.DATA, pdv(1, 2, b"answer"))
            with pytest.raises(TimedOut):
                connection.read_pdu(time.monotonic() + 0.3)
            connection.cut()
            with pytest.raises(Disconnected):
                connection.read_pdu(soon())
        connection.close()


def test_a_tls_handshake_that_does_not_come_ends_at_its_deadline(certificate: Path) -> None:
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as plain:
        accepted, _ = server.accept()
        sock = ours.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        connection = Connection(sock, max_pdu=16384, pdu_timeout_s=SOON_S)
        plain.sendall(b"\x16\x03")
        begin = time.monotonic()
        with pytest.raises(Disconnected, match="TLS"):
            connection.handshake(begin + 0.5)
        assert time.monotonic() - begin < 2
        connection.close()
