"""How an attack on the association layer is written down, and who carries it out."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from tests.e2e.processes import HOST
from tests.faults.octets import EXPLICIT, MR_IMAGE
from tests.faults.scu import VERIFICATION, Association, Ended, request

_CONNECT_S = 5.0


class Limit(Enum):
    """What must end the attacker's connections."""

    NOW = "at once"
    REQUEST = "the time limit for an association request"
    PDU = "the time limit for a PDU"
    IDLE = "the idle time limit"
    OBJECT = "the time limit for an object"
    NONE = "nothing: it is not forbidden"


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile behaviour."""

    group: str
    name: str
    act: Callable[["Attacker"], None]
    limit: Limit


class Attacker:
    """The sockets of one attack, and threads that go on sending until it is over."""

    def __init__(self, port: int, titles: tuple[str, str]):
        self.port, self.titles = port, titles
        self.sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def request(self) -> bytes:
        """An honest association request, which the attack may spoil."""
        return request(*self.titles, [(MR_IMAGE, EXPLICIT), (VERIFICATION, EXPLICIT)])

    def open(self, first_bytes: bytes = b"") -> socket.socket | None:
        """A connection on which these bytes were sent; None when none could be made."""
        try:
            sock = socket.create_connection((HOST, self.port), timeout=_CONNECT_S)
        except OSError:
            return None
        self.sockets.append(sock)
        send(sock, first_bytes)
        return sock

    def associated(self, then: bytes = b"") -> socket.socket | None:
        """A connection with an association in force, on which these bytes were sent."""
        try:
            contexts = [(MR_IMAGE, EXPLICIT), (VERIFICATION, EXPLICIT)]
            association = Association(self.port, *self.titles, contexts, timeout_s=_CONNECT_S)
        except Ended:
            return None
        sock = association.socket
        self.sockets.append(sock)
        send(sock, then)
        return sock

    def forever(self, sock: socket.socket | None, pieces: Iterator[bytes], pause_s: float = 0.05) -> None:
        """Go on sending pieces from a thread of its own, until they end, the peer hangs up or the attack is over."""

        def go() -> None:
            for piece in pieces:
                if sock is None or self._over.wait(pause_s) or not send(sock, piece):
                    return

        self._threads.append(threading.Thread(target=go, daemon=True))
        self._threads[-1].start()

    def all_closed(self) -> bool:
        """Whether the peer has closed every connection."""
        return all(_is_closed(sock) for sock in self.sockets)

    def close(self) -> None:
        """End the attack."""
        self._over.set()
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.close()
        for thread in self._threads:
            thread.join(10)


def send(sock: socket.socket, data: bytes) -> bool:
    """Send; False when the peer has hung up."""
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


def _is_closed(sock: socket.socket) -> bool:
    """Whether the peer has closed; nothing is read, for there are attackers who read nothing."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


def reset(sock: socket.socket | None) -> None:
    """Close with a TCP reset."""
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
