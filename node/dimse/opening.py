"""How an association begins, seen from the requestor: the connection, the request, and what the peer answered to it.

Every failure is one of the PeerErrors of node/errors.py, with a sentence for the admin.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

from node.dimse import negotiate, wire
from node.dimse.negotiate import Agreement, Context
from node.errors import Disconnected, PeerError, ProtocolBroken, Rejected, TimedOut, Unreachable

MAX_PDU = 32768
"""The longest data PDU that we take as a requestor."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a peer, in seconds."""

    connect_s: float = 10.0
    """For the connection, TLS included."""
    response_s: float = 60.0
    """For the answer to a request, and to the association request."""
    idle_s: float = 60.0
    """For the peer to take one PDU of what we write."""


def opened(
    host: str,
    port: int,
    calling: str,
    called: str,
    contexts: Sequence[Context],
    timeouts: Timeouts,
    tls: ssl.SSLContext | None,
) -> tuple[wire.Connection, Agreement]:
    """A connection with an association in force, and what was agreed on.

    Raises
    ------
    Unreachable, Rejected, Disconnected, TimedOut, ProtocolBroken
    """
    place = f"{called} at {host}:{port}"
    connection = wire.Connection(
        _connected(host, port, timeouts, tls), max_pdu=MAX_PDU, pdu_timeout_s=timeouts.response_s
    )
    try:
        return connection, _negotiated(connection, place, calling, called, contexts, timeouts)
    except PeerError as exc:
        if isinstance(exc, ProtocolBroken):
            abort(connection, wire.SERVICE_PROVIDER, exc.reason)
        connection.close()
        raise


def abort(connection: wire.Connection, source: int, reason: int) -> None:
    """Tell the peer that the association ends at once (A-ABORT), if it still listens."""
    with contextlib.suppress(PeerError):
        connection.send([wire.abort_pdu(source, reason)], time.monotonic() + 1.0)


def _connected(host: str, port: int, timeouts: Timeouts, tls: ssl.SSLContext | None) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), timeout=timeouts.connect_s)
        try:
            return tls.wrap_socket(sock, server_hostname=host) if tls else sock
        except OSError:
            sock.close()
            raise
    except OSError as exc:
        raise Unreachable(
            f"{host}:{port} cannot be reached ({exc.strerror or exc}). Check host, port and firewall"
            f"{', and TLS on both sides' if tls else ''}."
        ) from exc


def _negotiated(
    connection: wire.Connection, place: str, calling: str, called: str, contexts: Sequence[Context], timeouts: Timeouts
) -> Agreement:
    deadline = time.monotonic() + timeouts.response_s
    try:
        connection.send([negotiate.request_pdu(calling, called, contexts, MAX_PDU)], deadline)
        kind = connection.read_pdu(deadline)
        body = connection.read_body() if kind in (wire.ASSOCIATE_AC, wire.ASSOCIATE_RJ) else b""
        if kind == wire.ASSOCIATE_AC:
            return negotiate.decode_accept(body, contexts)
    except (Disconnected, TimedOut) as exc:
        raise type(exc)(f"{place} did not answer the association request: {exc}") from exc
    if kind == wire.ASSOCIATE_RJ:
        raise _rejected(place, calling, body[1], body[2], body[3])
    raise ProtocolBroken(f"{place} answered the association request with a PDU of type {kind}.", wire.UNEXPECTED_PDU)


# PS3.8 9.3.4, by source and reason
_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def _rejected(place: str, calling: str, result: int, source: int, reason: int) -> Rejected:
    words = _REASONS.get((source, reason), f"reason {reason} of source {source}")
    kind = "permanently" if result == 1 else "for now"
    step = {
        (1, 3): f" Make {calling} known there.",
        (1, 7): " Correct the AE title of this peer.",
    }.get((source, reason), "")
    return Rejected(f"{place} rejected the association {kind}: {words}.{step}", result, source, reason)
