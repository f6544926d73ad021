"""Audit messages on their way: syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

A syslog receiver answers nothing. What can be known is that its machine has all bytes and that it has not closed the
connection; `settle` waits for both. So what is sent is sent again when the connection broke before that, and a
receiver may see a message twice, never none that it was not told of.
"""

import array
import contextlib
import fcntl
import socket
import ssl
import termios
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from node.errors import ConfigurationError, Disconnected, PeerError, TimedOut, Unreachable
from storage.audit import Indicator

_AUTHPRIV = 10
_SEVERITIES = {Indicator.SUCCESS: 5, Indicator.MINOR: 4, Indicator.SERIOUS: 3, Indicator.MAJOR: 2}
_MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 A.6
_BOM = b"\xef\xbb\xbf"
_LONGEST_SEQUENCE = 2147483647  # RFC 5424 7.3.1
_LOOK_S = 0.05
_PACE_S = 0.002  # a burst of datagrams does not fit into what a receiver buffers
_QUIET_S = 0.3
"""So long after the last byte arrived a receiver that has gone is heard of."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where audit messages go."""

    host: str
    port: int
    transport: str
    """tls, tcp or udp."""
    timeout_s: float
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def place(self) -> str:
        """For messages, and as the name of the repository in the database."""
        return f"{self.host}:{self.port}"


class Channel(Protocol):
    """An open way to a repository. Every method raises PeerError."""

    def send(self, messages: Iterable[bytes]) -> None:
        """Hand messages to the network."""

    def settle(self) -> None:
        """Return once the receiver's machine has everything, as far as that can be known."""

    def close(self) -> None:
        """End it."""


def line(body: bytes, number: int, at: float, outcome: Indicator, host: str, process: int) -> bytes:
    """One SYSLOG-MSG (RFC 5424 6); `number` is the row of the trail, so that a gap shows."""
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    name = "".join(char for char in host if "!" <= char <= "~")[:255] or "-"
    sequence = (number - 1) % _LONGEST_SEQUENCE + 1
    head = f"<{_AUTHPRIV * 8 + _SEVERITIES[outcome]}>1 {when} {name} osteon {process} {_MESSAGE_ID}"
    return f'{head} [meta sequenceId="{sequence}"] '.encode("ascii") + _BOM + body


def open_channel(repository: Repository) -> Channel:
    """Connect.

    Raises
    ------
    Unreachable
        Nobody answers, or TLS does not come about.
    ConfigurationError
        The files of [audit] cannot be used.
    """
    if repository.transport == "udp":
        return _Datagrams(repository)
    context = tls_context(repository) if repository.transport == "tls" else None
    try:
        sock = socket.create_connection((repository.host, repository.port), repository.timeout_s)
        if context is not None:
            try:
                sock = context.wrap_socket(sock, server_hostname=repository.host)
            except BaseException:
                sock.close()
                raise
    except (OSError, ValueError) as exc:
        raise Unreachable(
            f"audit.repository: {repository.place} cannot be reached by {repository.transport} ({exc})."
        ) from exc
    return _Stream(sock, repository)


def tls_context(repository: Repository) -> ssl.SSLContext:
    """TLS 1.2 or newer; the repository must show a certificate for its name (PS3.15 B.12).

    Raises
    ------
    ConfigurationError
    """
    try:
        context = ssl.create_default_context(cafile=repository.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if repository.certificate is not None:
            context.load_cert_chain(repository.certificate, repository.key)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"audit: its TLS files cannot be used ({exc}). Name others, or mend them.") from exc
    return context


class _Stream:
    """TCP, plain or with TLS: each message behind its length (RFC 5425 4.3, RFC 6587 3.4.1)."""

    def __init__(self, sock: socket.socket, repository: Repository) -> None:
        self._sock = sock
        self._repository = repository

    def send(self, messages: Iterable[bytes]) -> None:
        self._look()
        try:
            for each in messages:
                self._sock.sendall(b"%d " % len(each) + each)
        except TimeoutError as exc:
            raise TimedOut(f"{self._repository.place} takes no audit messages any more.") from exc
        except OSError as exc:
            raise self._broken() from exc

    def settle(self) -> None:
        deadline = time.monotonic() + self._repository.timeout_s
        while self._unacknowledged():
            if time.monotonic() > deadline:
                raise TimedOut(f"{self._repository.place} does not acknowledge what was sent to it.")
            time.sleep(_LOOK_S)
        time.sleep(_QUIET_S)
        self._look()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()

    def _unacknowledged(self) -> int:
        """Bytes that the other machine has not acknowledged (tcp(7), SIOCOUTQ)."""
        waiting = array.array("i", [0])
        try:
            fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, waiting)
        except OSError as exc:
            raise self._broken() from exc
        return waiting[0]

    def _look(self) -> None:
        """Whether the other side has closed the connection."""
        self._sock.setblocking(False)
        try:
            if self._sock.recv(4096) == b"":
                raise self._broken()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as exc:
            raise self._broken() from exc
        finally:
            with contextlib.suppress(OSError):
                self._sock.settimeout(self._repository.timeout_s)

    def _broken(self) -> PeerError:
        return Disconnected(f"{self._repository.place} closed the connection for audit messages.")


class _Datagrams:
    """UDP: one message in one datagram; whether it arrives cannot be known."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                repository.host, repository.port, type=socket.SOCK_DGRAM
            )[0]
            self._sock = socket.socket(family, kind, protocol)
            self._sock.connect(address)
        except OSError as exc:
            raise Unreachable(f"audit.repository: {repository.place} cannot be reached ({exc}).") from exc

    def send(self, messages: Iterable[bytes]) -> None:
        try:
            for each in messages:
                self._sock.send(each)
                time.sleep(_PACE_S)
        except OSError as exc:
            raise Unreachable(f"{self._repository.place} cannot be sent a datagram ({exc.strerror}).") from exc

    def settle(self) -> None:
        return None

    def close(self) -> None:
        self._sock.close()
