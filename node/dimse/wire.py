"""One TCP or TLS connection that carries PDUs (PS3.8 9.3): every read has a length limit and a deadline.

Not for what PDUs mean: negotiation is negotiate.py, messages are messages.py. One thread uses a connection; only `cut`
may be called from another.

Two things are measured choices. A plain socket blocks in the kernel with SO_RCVTIMEO and MSG_WAITALL, so that one
fragment costs two reads however the peer cuts its writes. TCP_QUICKACK is armed again after each read, because common
senders write header and body separately under Nagle's algorithm and would wait some 40 ms per object for our
acknowledgement.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from node.errors import Disconnected, ProtocolBroken, TimedOut

# PDU types, PS3.8 9.3
ASSOCIATE_RQ = 0x01
ASSOCIATE_AC = 0x02
ASSOCIATE_RJ = 0x03
DATA = 0x04
RELEASE_RQ = 0x05
RELEASE_RP = 0x06
ABORT = 0x07

# A-ABORT source and reason, PS3.8 9.3.8
SERVICE_USER = 0
SERVICE_PROVIDER = 2
NOT_SPECIFIED = 0
UNRECOGNISED_PDU = 1
UNEXPECTED_PDU = 2
INVALID_PARAMETER = 6

# 128 contexts, each with all 45 transfer syntaxes that toolkits know, make a legal request of 180 kB.
_LIMITS = {ASSOCIATE_RQ: 262144, ASSOCIATE_AC: 65536, ASSOCIATE_RJ: 4}
_FIRST_READ = 10  # PDU header and the next four bytes: the shortest PDU allowed has just these
_CHUNK = 16384
_TICK_S = 0.25
_FLAG_COMMAND = 0x01
_FLAG_LAST = 0x02

_HEADER = struct.Struct(">BxI4s")
_PDV_HEAD = struct.Struct(">BB")
_LENGTH = struct.Struct(">I")
_DATA_HEAD = struct.Struct(">BxIIBB")


_SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}


class Fragment(NamedTuple):
    """One presentation data value (PS3.8 9.3.5.1, Annex E). `data` is valid until the next read from the connection."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


def control_pdu(kind: int, *fields: int) -> bytes:
    """A PDU of four bytes: A-ASSOCIATE-RJ, A-RELEASE-RQ/RP or A-ABORT, with its last three fields (default zero)."""
    first, second, third = fields or (0, 0, 0)
    return struct.pack(">BxIxBBB", kind, 4, first, second, third)


def abort_pdu(source: int, reason: int) -> bytes:
    """An A-ABORT (PS3.8 9.3.8)."""
    return control_pdu(ABORT, 0, source, reason)


class Connection:
    """A connected socket, plain or TLS, with the state of the PDU being read."""

    def __init__(self, sock: socket.socket, *, max_pdu: int, pdu_timeout_s: float) -> None:
        """Take over `sock`; data PDUs longer than `max_pdu` are refused."""
        self._sock = sock
        self._max_pdu = max_pdu
        self._pdu_timeout_s = pdu_timeout_s
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._flags = 0 if self._is_tls else socket.MSG_WAITALL
        self._head = memoryview(bytearray(_FIRST_READ))
        self._buffer = memoryview(b"")
        self._left = 0  # bytes of the current data PDU not read yet
        self._next_length: int | None = None  # of the first PDV, read together with the PDU header
        self._deadline = 0.0
        self.bytes_received = 0
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._quickack = _prepare(sock, is_tls=self._is_tls)

    def handshake(self, deadline: float) -> None:
        """Do the server's part of TLS.

        Raises
        ------
        Disconnected
            It did not come about in time, or at all.
        """
        if isinstance(self._sock, ssl.SSLSocket):
            try:
                self._sock.settimeout(max(_TICK_S, deadline - time.monotonic()))  # for the handshake as a whole
                self._sock.do_handshake()
                self._sock.settimeout(_TICK_S)
            except (OSError, ValueError) as exc:
                raise Disconnected(f"TLS did not come about ({exc}).") from exc

    def certificate(self) -> str:
        """The subject of the certificate that the peer showed and that was verified, "CN=...,O=..."; "" without one."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return ""
        try:
            shown = self._sock.getpeercert()
        except (OSError, ValueError):  # gone already
            return ""
        parts: Any = (shown or {}).get("subject", ())
        return ",".join(f"{_SHORT.get(key, key)}={value}" for part in parts for key, value in part)

    def wait(self, deadline: float, stopping: Callable[[], bool]) -> bool:
        """Wait until something can be read; False when `stopping` says so first.

        Raises
        ------
        TimedOut
            When `deadline` (monotonic seconds) passes.
        """
        if self._left or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        while not self._poll.poll(_TICK_S * 1000):
            if stopping():
                return False
            if time.monotonic() > deadline:
                raise TimedOut("The peer sent nothing until the idle time-out.")
        return not stopping()

    def read_pdu(self, deadline: float) -> int:
        """Read the head of the next PDU; its type. The caller goes on with `read_body` or `read_fragment`.

        Raises
        ------
        Disconnected, TimedOut
        ProtocolBroken
            When type or length are not allowed.
        """
        self._fill(self._head, deadline)
        kind, length, first = _HEADER.unpack(self._head)
        now = time.monotonic()
        if now > deadline:  # a peer that never lets us wait would never meet the check in `_fill`
            raise TimedOut("The time-out passed while the peer was still sending.")
        self._deadline = min(deadline, now + self._pdu_timeout_s)
        if kind == DATA:
            if not 6 <= length <= self._max_pdu:
                raise ProtocolBroken(
                    f"The peer sent a data PDU of {length} bytes; 6 to {self._max_pdu} are allowed.", INVALID_PARAMETER
                )
            self._left = length - 4
            self._next_length = _LENGTH.unpack(first)[0]
        elif kind in (RELEASE_RQ, RELEASE_RP, ABORT):
            if length != 4:
                raise ProtocolBroken(
                    f"The peer sent a PDU of type {kind} with length {length}, not 4.", INVALID_PARAMETER
                )
            if kind == ABORT:
                raise Disconnected(f"The peer aborted the association (source {first[2]}, reason {first[3]}).")
        elif kind not in _LIMITS:
            raise ProtocolBroken(f"The peer sent a PDU of the unknown type {kind:#04x}.", UNRECOGNISED_PDU)
        elif not 4 <= length <= _LIMITS[kind]:
            raise ProtocolBroken(f"The peer sent an association PDU of {length} bytes.", INVALID_PARAMETER)
        else:
            self._left = length - 4
        return int(kind)

    def read_body(self) -> bytes:
        """What follows the six bytes of header of an association PDU; memory grows only with what really arrives."""
        body = bytearray(self._head[6:])
        chunk = memoryview(bytearray(min(self._left, _CHUNK)))
        while self._left:
            view = chunk[: self._left]
            self._fill(view, self._deadline)
            body += view
            self._left -= len(view)
        return bytes(body)

    def read_fragment(self, deadline: float) -> Fragment | int:
        """The next fragment of a message, or the type of the PDU that came instead of data (never A-ABORT).

        Raises
        ------
        Disconnected, TimedOut, ProtocolBroken
        """
        if self._left == 0:
            kind = self.read_pdu(deadline)
            if kind != DATA:
                return kind
        length = self._next_length
        if length is None:
            if self._left < 4:
                raise ProtocolBroken("A data PDU ends within the length of a fragment.", INVALID_PARAMETER)
            self._fill(self._head[:4], self._deadline)
            length = _LENGTH.unpack_from(self._head)[0]
            self._left -= 4
        if not 2 <= length <= self._left:
            raise ProtocolBroken(
                f"A data PDU holds a fragment of {length} bytes; 2 to {self._left} are possible.", INVALID_PARAMETER
            )
        if not self._buffer:
            self._buffer = memoryview(bytearray(self._max_pdu))
        data = self._buffer[:length]
        self._fill(data, self._deadline)
        self._left -= length
        self._next_length = None
        context_id, flags = _PDV_HEAD.unpack_from(data)
        return Fragment(context_id, bool(flags & _FLAG_COMMAND), bool(flags & _FLAG_LAST), data[2:])

    def send(self, parts: Sequence[bytes | memoryview], deadline: float) -> None:
        """Write all of `parts`.

        Raises
        ------
        Disconnected, TimedOut
        """
        rest = memoryview(b"".join(parts)) if self._is_tls or len(parts) > 2 else None
        if rest is None:
            sent = self._send_some(parts, deadline)
            if sent == sum(map(len, parts)):
                return
            rest = memoryview(b"".join(parts))[sent:]
        while rest:
            rest = rest[self._send_some([rest], deadline) :]

    def send_fragment(self, context_id: int, flags: int, data: bytes | memoryview, deadline: float) -> None:
        """Write one data PDU with one fragment."""
        length = len(data)
        self.send([_DATA_HEAD.pack(DATA, length + 6, length + 2, context_id, flags), data], deadline)

    def cut(self) -> None:
        """End both directions at once, from whatever thread; reads and writes then raise Disconnected."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                self._sock, socket.SHUT_RDWR
            )  # SSLSocket's own would drop the TLS state under a reader

    def close(self, patience_s: float = 0.0) -> None:
        """Close; with patience, first let the peer read our last PDU and close itself (PS3.8 9.1.4, ARTIM).

        Closing with unread input makes TCP reset the connection, and the peer may never see what we wrote last.
        """
        with contextlib.suppress(OSError, ValueError):
            if patience_s > 0:
                socket.socket.shutdown(self._sock, socket.SHUT_WR)
                self._drain(time.monotonic() + patience_s)
        with contextlib.suppress(OSError):
            self._sock.close()

    def _drain(self, deadline: float) -> None:
        scratch = bytearray(65536)
        while (left := deadline - time.monotonic()) > 0 and self._poll.poll(left * 1000):
            if socket.socket.recv_into(self._sock, scratch, 0, socket.MSG_DONTWAIT) == 0:
                return

    def _fill(self, view: memoryview, deadline: float) -> None:
        """Read exactly as many bytes as `view` has."""
        size = len(view)
        got = 0
        while got < size:
            try:
                count = self._sock.recv_into(view[got:], size - got, self._flags)
                if self._quickack is not None:
                    self._sock.setsockopt(socket.IPPROTO_TCP, self._quickack, 1)
            except (BlockingIOError, TimeoutError):
                count = -1  # a tick
            except OSError as exc:
                raise Disconnected(f"The connection broke while reading ({exc.strerror or exc}).") from exc
            if count == 0:
                raise Disconnected("The peer closed the connection without a release.")
            if count > 0:
                got += count
            if got < size and time.monotonic() > deadline:
                raise TimedOut(f"The peer sent {got} of {size} bytes and then too little until the time-out.")
        self.bytes_received += size

    def _send_some(self, parts: Sequence[bytes | memoryview], deadline: float) -> int:
        while True:
            try:
                return self._sock.send(parts[0]) if len(parts) == 1 else self._sock.sendmsg(parts)
            except (BlockingIOError, TimeoutError) as exc:
                if time.monotonic() > deadline:
                    raise TimedOut("The peer did not read what we sent until the time-out.") from exc
            except OSError as exc:
                raise Disconnected(f"The connection broke while writing ({exc.strerror or exc}).") from exc


def _prepare(sock: socket.socket, *, is_tls: bool) -> int | None:
    """No Nagle delay on our side; reads and writes return after a tick at the latest, to look at their deadline.

    The option that acknowledges at once, or None where there is none.
    """
    if is_tls:
        sock.settimeout(_TICK_S)
    else:
        sock.settimeout(None)
        tick = struct.pack("ll", int(_TICK_S), int(_TICK_S % 1 * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, tick)
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return getattr(socket, "TCP_QUICKACK", None)
