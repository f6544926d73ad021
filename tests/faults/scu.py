"""A sender without scruples: says on the wire just what it is told, and reports what came back, whatever it was."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.e2e.processes import HOST

VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
FRAGMENT = 16000  # fits the maximum length of every peer that we test against


class End(Enum):
    """What came instead of a status."""

    REJECTED = "the association was rejected"
    NOT_ACCEPTED = "the presentation context was not accepted"
    ABORTED = "the peer aborted"
    CLOSED = "the peer closed the connection"
    SILENT = "no answer came in time"
    UNREACHABLE = "no connection could be made"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, or what came instead."""

    status: int | None
    end: End | None = None

    @property
    def acknowledged(self) -> bool:
        """Success, or a warning: the peer says that it has the object."""
        return self.status is not None and (self.status == 0 or self.status >> 12 == 0xB)

    @property
    def family(self) -> str:
        """A7, A9, C, B, 0 or the high byte of the status; the name of the end where there is no status."""
        if self.status is None:
            return self.end.name if self.end else "?"
        if self.status >> 12 in (0xB, 0xC):
            return f"{self.status >> 12:X}"
        return f"{self.status >> 8:02X}" if self.status else "0"

    def __str__(self) -> str:
        return f"0x{self.status:04X}" if self.status is not None else str(self.end and self.end.value)


class Ended(Exception):
    """The association is over."""

    def __init__(self, end: End):
        super().__init__(end.value)
        self.end = end


def part(kind: int, value: bytes) -> bytes:
    """An item of an association request (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(value)) + value


def request(calling: str, called: str, contexts: Sequence[tuple[str, str]]) -> bytes:
    """A-ASSOCIATE-RQ; the context at place n has the identifier 2n+1."""
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += part(0x10, b"1.2.840.10008.3.1.1.1")
    for place, (abstract, syntax) in enumerate(contexts):
        body += part(
            0x20, bytes((2 * place + 1, 0, 0, 0)) + part(0x30, abstract.encode()) + part(0x40, syntax.encode())
        )
    body += part(0x50, part(0x51, struct.pack(">L", 16384)) + part(0x52, b"2.25.4711"))
    return struct.pack(">BxL", 1, len(body)) + body


def command(*pairs: tuple[int, bytes | int]) -> bytes:
    """A command set (PS3.7 6.3.1), in the order given; numbers become US, bytes go as they are."""
    body = b""
    for number, value in pairs:
        raw = struct.pack("<H", value) if isinstance(value, int) else value + b"\0" * (len(value) % 2)
        body += struct.pack("<HHL", 0, number, len(raw)) + raw
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def pdv(context: int, flags: int, data: bytes) -> bytes:
    """A P-DATA-TF with one fragment; flag 1 is a command, 2 the last fragment."""
    return struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, context, flags) + data


def store_message(sop_class: bytes, instance: bytes, data: bytes, message: int = 1, context: int = 1) -> bytes:
    """C-STORE-RQ with its data set."""
    head = command((0x0002, sop_class), (0x0100, 1), (0x0110, message), (0x0700, 0), (0x0800, 1), (0x1000, instance))
    stream = [pdv(context, 3, head)]
    for start in range(0, max(len(data), 1), FRAGMENT):
        last = 2 if start + FRAGMENT >= len(data) else 0
        stream.append(pdv(context, last, data[start : start + FRAGMENT]))
    return b"".join(stream)


class Association:
    """An association of ours; raises Ended when there is none to be had."""

    def __init__(
        self, port: int, calling: str, called: str, contexts: Sequence[tuple[str, str]], *, timeout_s: float = 10.0
    ):
        try:
            self.socket = socket.create_connection((HOST, port), timeout=timeout_s)
        except OSError as error:
            raise Ended(End.UNREACHABLE) from error
        self._timeout_s = timeout_s
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = self.socket.makefile("rb")
        self.accepted: set[int] = set()
        try:
            self.write(request(calling, called, contexts))
            self._note(*self.read())
        except Ended:
            self.close()
            raise

    def _note(self, kind: int, body: bytes) -> None:
        """The contexts that were accepted; raises Ended when none can be, because it is another PDU."""
        if kind != 2:
            raise Ended(End.REJECTED if kind == 3 else End.ABORTED)
        place = 68
        while place + 4 <= len(body):
            kind, length = struct.unpack_from(">BxH", body, place)
            if kind == 0x21 and body[place + 6] == 0:
                self.accepted.add(body[place + 4])
            place += 4 + length

    def write(self, data: bytes) -> None:
        """Send bytes; a peer that has hung up is found out by reading."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """The next PDU; raises Ended for an abort, too."""
        try:
            head = self._input.read(6)
            kind, length = struct.unpack(">BxL", head) if len(head) == 6 else (0, 0)
            body = self._input.read(length)
        except TimeoutError as error:
            raise Ended(End.SILENT) from error
        except OSError as error:
            raise Ended(End.CLOSED) from error
        if kind == 0:
            raise Ended(End.CLOSED)
        if kind == 7:
            raise Ended(End.ABORTED)
        return kind, body

    def answer(self) -> Answer:
        """The status of the next response."""
        try:
            kind, body = self.read()
        except Ended as ended:
            return Answer(None, ended.end)
        return Answer(_status(body[6:])) if kind == 4 else Answer(None, End.ABORTED)

    def store(self, sop_class: bytes, instance: bytes, data: bytes, context: int = 1) -> Answer:
        """Send an object and say what came of it."""
        if context not in self.accepted:
            return Answer(None, End.NOT_ACCEPTED)
        self.write(store_message(sop_class, instance, data, context=context))
        return self.answer()

    def echo(self, context: int = 1) -> Answer:
        """C-ECHO."""
        self.write(pdv(context, 3, command((2, VERIFICATION.encode()), (0x100, 0x30), (0x110, 1), (0x800, 0x101))))
        return self.answer()

    def release(self) -> None:
        """End it politely, without caring about the answer."""
        self.write(struct.pack(">BxLL", 5, 4, 0))
        with contextlib.suppress(Ended):
            self.read()
        self.close()

    def close(self) -> None:
        """End it at once."""
        with contextlib.suppress(OSError):
            self._input.close()
            self.socket.close()


def store_once(
    port: int,
    titles: tuple[str, str],
    context: tuple[str, str],
    uids: tuple[bytes, bytes],
    data: Callable[[], bytes],
    *,
    timeout_s: float = 10.0,
) -> Answer:
    """One object on an association of its own; `titles` are calling and called, `context` class and syntax.

    The data are asked for only when the context was accepted: some take long to make.
    """
    try:
        association = Association(port, *titles, [context], timeout_s=timeout_s)
    except Ended as ended:
        return Answer(None, ended.end)
    answer = association.store(*uids, data() if 1 in association.accepted else b"")
    if answer.status is None:
        association.close()
    else:
        association.release()
    return answer


def echo_s(port: int, calling: str, called: str, limit_s: float = 5.0) -> float | None:
    """How long an honest C-ECHO takes from connecting to its answer; None when it has none within the limit."""
    begin = time.monotonic()
    try:
        association = Association(port, calling, called, [(VERIFICATION, EXPLICIT)], timeout_s=limit_s)
    except Ended:
        return None
    answer = association.echo()
    association.release()
    took = time.monotonic() - begin
    return took if answer.status == 0 and took <= limit_s else None


def _status(body: bytes) -> int | None:
    """The value of Status (0000,0900); None when there is none."""
    place = 0
    while place + 8 <= len(body):
        number, length = struct.unpack_from("<2xHL", body, place)
        if number == 0x0900 and place + 10 <= len(body):
            return int(struct.unpack_from("<H", body, place + 8)[0])
        place += 8 + length
    return None
