"""A small audit record repository for tests: syslog over TLS, TCP or UDP on 127.0.0.1, keeping what came."""

import contextlib
import re
import socket
import ssl
import threading

from tests.certificates import Identity

_LINE = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<process>\S+) (?P<id>\S+) "
    rb"(?P<data>-|\[[^\]]*\]) \xef\xbb\xbf(?P<body>.*)",
    re.DOTALL,
)


class Repository:
    """Listens from the start; `pause` closes it as a machine that goes away, `resume` brings it back to its port."""

    def __init__(self, transport: str = "tcp", ours: Identity | None = None, theirs: Identity | None = None) -> None:
        self.transport = transport
        self.lines: list[re.Match[bytes]] = []
        self.broken: list[bytes] = []
        self.cut_after: int | None = None
        """After so many messages the connection is closed at once, with the rest unread."""
        self._context: ssl.SSLContext | None = None
        if ours is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(ours.certificate, ours.key)
            if theirs is not None:
                self._context.verify_mode = ssl.CERT_REQUIRED
                self._context.load_verify_locations(theirs.certificate)
        self.port = 0
        self._open: list[socket.socket] = []
        self.resume()

    def resume(self) -> None:
        """Listen."""
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        sock = socket.socket(socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        self._open = [sock]
        if self.transport == "udp":
            threading.Thread(target=self._datagrams, args=(sock,), daemon=True).start()
        else:
            sock.listen()
            threading.Thread(target=self._accept, args=(sock,), daemon=True).start()

    def pause(self) -> None:
        """Close every socket."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def bodies(self) -> list[bytes]:
        """The messages in the order in which they came."""
        return [each["body"] for each in self.lines]

    def rows(self) -> list[int]:
        """The rows of the trail that came, by their sequence numbers."""
        return [int(found[1]) for each in self.lines if (found := re.search(rb'sequenceId="(\d+)"', each["data"]))]

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                sock, _ = server.accept()
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                if server.fileno() < 0:
                    return
                continue
            self._open.append(sock)
            threading.Thread(target=self._read, args=(sock,), daemon=True).start()

    def _read(self, sock: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError, ssl.SSLError):
            while piece := sock.recv(65536):
                buffer += piece
                while (head := re.match(rb"([1-9]\d*) ", buffer)) and len(buffer) >= head.end() + int(head[1]):
                    self._take(buffer[head.end() : head.end() + int(head[1])])
                    buffer = buffer[head.end() + int(head[1]) :]
                    if self.cut_after is not None and len(self.lines) >= self.cut_after:
                        self.cut_after = None
                        sock.close()
                        return

    def _datagrams(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._take(sock.recv(65536))

    def _take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            self.broken.append(line)
        else:
            self.lines.append(found)
