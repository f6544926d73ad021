"""A sender that costs next to nothing: C-STORE requests from memory over plain sockets, one thread an association.

Not a DICOM implementation to learn from: it says just what the bench needs and believes the answers.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from tests.bench.loads import EXPLICIT_LE, Item, uid
from tests.e2e.processes import HOST

IOV_LIMIT = 1024  # buffers in one sendmsg (sysconf IOV_MAX)

Write = Callable[[socket.socket, list[bytes | memoryview]], None]


class Refused(AssertionError):
    """The association was rejected; the three numbers of PS3.8 9.3.4 that say why."""

    def __init__(self, result: int, source: int, reason: int):
        super().__init__(f"rejected with result {result}, source {source}, reason {reason}")
        self.why = (result, source, reason)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one load."""

    seconds: float
    """From before the first connection to after the last release."""
    statuses: tuple[int, ...]
    waits_s: tuple[float, ...]
    """Per object: from the first byte written to the answer."""


def send(port: int, loads: Sequence[Sequence[Item]], *, calling: str, called: str, write: Write | None = None) -> Sent:
    """Send each load on an association of its own, all at once."""
    statuses: list[list[int]] = [[] for _ in loads]
    waits: list[list[float]] = [[] for _ in loads]
    errors: list[BaseException] = []
    gate = threading.Barrier(len(loads) + 1)

    def one(number: int) -> None:
        gate.wait()
        try:
            _association(port, loads[number], calling, called, write or _gather, statuses[number], waits[number])
        except (OSError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(len(loads))]
    for thread in threads:
        thread.start()
    gate.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if errors:
        raise errors[0]
    return Sent(seconds, tuple(s for some in statuses for s in some), tuple(w for some in waits for w in some))


def _association(
    port: int, items: Sequence[Item], calling: str, called: str, write: Write, statuses: list[int], waits: list[float]
) -> None:
    with socket.create_connection((HOST, port), timeout=120) as peer, peer.makefile("rb", buffering=65536) as stream:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(association_request(calling, called, items[0].sop_class_uid, items[0].transfer_syntax_uid))
        kind, body = _pdu(stream)
        if kind == 3:
            raise Refused(*body[1:4])
        assert kind == 2, f"the association was answered with PDU type {kind}, body {body.hex()}"
        fragment = (_max_length(body) or 131072) - 6
        for number, item in enumerate(items, 1):
            begin = time.perf_counter()
            write(peer, list(store_request(item, number & 0xFFFF, fragment)))
            kind, body = _pdu(stream)
            waits.append(time.perf_counter() - begin)
            assert kind == 4, f"object {number} was answered with PDU type {kind}, body {body.hex()}"
            statuses.append(_status(body[6:]))
        peer.sendall(struct.pack(">BxLL", 5, 4, 0))
        kind, body = _pdu(stream)
        assert kind == 6, f"the release was answered with PDU type {kind}"


def _gather(peer: socket.socket, buffers: list[bytes | memoryview]) -> None:
    """Write everything with as few system calls as can be."""
    while buffers:
        some, buffers = buffers[:IOV_LIMIT], buffers[IOV_LIMIT:]
        left = peer.sendmsg(some)
        for place, buffer in enumerate(some):
            if left < len(buffer):
                buffers = [memoryview(buffer)[left:], *some[place + 1 :], *buffers]
                break
            left -= len(buffer)


def dripping(cut: int, pause_s: float = 0.001) -> Write:
    """A writer that cuts its stream `cut` bytes after each PDU and waits there, so that reads end at odd places."""

    def write(peer: socket.socket, buffers: list[bytes | memoryview]) -> None:
        whole = b"".join(buffers)
        start = 0
        for place in _cuts(whole, cut):
            peer.sendall(whole[start:place])
            start = place
            time.sleep(pause_s)
        peer.sendall(whole[start:])

    return write


def _cuts(stream: bytes, after: int) -> Iterator[int]:
    """The places `after` bytes behind each end of a PDU."""
    place = 0
    while place < len(stream):
        place += 6 + int.from_bytes(stream[place + 2 : place + 6], "big")
        if place + after < len(stream):
            yield place + after


def association_request(calling: str, called: str, sop_class_uid: str, syntax: str = EXPLICIT_LE) -> bytes:
    """A-ASSOCIATE-RQ with one presentation context of one transfer syntax (PS3.8 9.3.2)."""
    context = b"\x01\0\0\0" + _part(0x30, sop_class_uid.encode()) + _part(0x40, syntax.encode())
    user = _part(0x51, struct.pack(">L", 131072)) + _part(0x52, uid("bench").encode())
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _part(0x10, b"1.2.840.10008.3.1.1.1") + _part(0x20, context) + _part(0x50, user)
    return struct.pack(">BxL", 1, len(body)) + body


def store_request(item: Item, message: int, fragment: int) -> Iterator[bytes | memoryview]:
    """C-STORE-RQ and its data set as the buffers of P-DATA-TF PDUs with fragments of at most `fragment` bytes."""
    command = _elements(
        (0x0002, item.sop_class_uid),
        (0x0100, 0x0001),
        (0x0110, message),
        (0x0700, 0),
        (0x0800, 1),
        (0x1000, item.sop_instance_uid),
    )
    command = _element(0, struct.pack("<L", len(command))) + command
    yield struct.pack(">BxLLBB", 4, len(command) + 6, len(command) + 2, 1, 3) + command
    data = memoryview(item.data)
    for start in range(0, max(len(data), 1), fragment):
        part = data[start : start + fragment]
        yield struct.pack(">BxLLBB", 4, len(part) + 6, len(part) + 2, 1, 2 if start + fragment >= len(data) else 0)
        yield part


def _elements(*pairs: tuple[int, str | int]) -> bytes:
    return b"".join(
        _element(
            number, struct.pack("<H", value) if isinstance(value, int) else value.encode() + b"\0" * (len(value) % 2)
        )
        for number, value in pairs
    )


def _element(number: int, value: bytes) -> bytes:
    """One element of group 0000 in Implicit VR Little Endian."""
    return struct.pack("<HHL", 0, number, len(value)) + value


def _part(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(stream: IO[bytes]) -> tuple[int, bytes]:
    head = stream.read(6)
    assert len(head) == 6, "the connection was closed"
    kind, length = struct.unpack(">BxL", head)
    return kind, stream.read(length)


def _max_length(accept: bytes) -> int:
    """The acceptor's maximum PDU length (PS3.8 D.1)."""
    place = accept.index(b"\x51\0\0\x04")
    return int(struct.unpack_from(">L", accept, place + 4)[0])


def _status(command: bytes) -> int:
    """The value of Status (0000,0900)."""
    place = 0
    while place < len(command):
        element, length = struct.unpack_from("<2xHL", command, place)
        if element == 0x0900:
            return int(struct.unpack_from("<H", command, place + 8)[0])
        place += 8 + length
    raise AssertionError("the answer has no status")
