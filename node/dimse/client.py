"""Our side as requestor: one association with C-ECHO, C-STORE and C-FIND (PS3.4 A, B, C; PS3.8 7).

Every failure is one of the PeerErrors of node/errors.py, with a sentence for the admin.
"""

import contextlib
import io
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from node.dimse import commands, messages, negotiate, wire
from node.dimse.negotiate import Agreement, Context
from node.errors import Answered, Disconnected, NotAccepted, PeerError, ProtocolBroken, Rejected, TimedOut, Unreachable
from node.statuses import SUCCESS, explain_status, is_pending, is_warning

_OUR_MAX_PDU = 32768
_MAX_MATCHES = 10_000
_MAX_IDENTIFIER = 1 << 20


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a peer, in seconds."""

    connect_s: float = 10.0
    """For the connection, TLS included."""
    response_s: float = 60.0
    """For the answer to a request, and to the association request."""
    idle_s: float = 60.0
    """For the peer to take one PDU of what we write."""


def associate(
    host: str,
    port: int,
    *,
    calling: str,
    called: str,
    contexts: Sequence[Context],
    timeouts: Timeouts = Timeouts(),
    tls: ssl.SSLContext | None = None,
) -> "Association":
    """Open an association; use it in a `with` block, which releases it, or aborts it when an exception passes.

    Raises
    ------
    Unreachable, Rejected, Disconnected, TimedOut, ProtocolBroken
    """
    place = f"{called} at {host}:{port}"
    connection = wire.Connection(
        _connected(host, port, timeouts, tls), max_pdu=_OUR_MAX_PDU, pdu_timeout_s=timeouts.response_s
    )
    try:
        agreement = _negotiated(connection, place, calling, called, contexts, timeouts)
    except PeerError as exc:
        if isinstance(exc, ProtocolBroken):
            _abort(connection, wire.SERVICE_PROVIDER, exc.reason)
        connection.close()
        raise
    return Association(connection, place, contexts, agreement, timeouts)


class Association:
    """An association in force. Not for use by several threads."""

    def __init__(
        self,
        connection: wire.Connection,
        place: str,
        proposed: Sequence[Context],
        agreement: Agreement,
        timeouts: Timeouts,
    ) -> None:
        self._connection = connection
        self._place = place
        self._proposed = proposed
        self._agreement = agreement
        self._timeouts = timeouts
        self._message_id = 0
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def accepts(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether an object of that class and encoding can travel."""
        return self._context_for(sop_class_uid, transfer_syntax_uid) is not None

    def echo(self) -> None:
        """C-ECHO; returns when the peer answers success.

        Raises
        ------
        NotAccepted, Answered, Disconnected, TimedOut, ProtocolBroken
        """
        context_id = self._need(negotiate.VERIFICATION, None)
        message_id = self._next_message_id()
        with self._aborting():
            self._send(context_id, commands.echo_request(message_id, negotiate.VERIFICATION))
            status = self._response(context_id, message_id)
        if status != SUCCESS:
            raise Answered(f"{self._place} answered C-ECHO with {explain_status(status)}.", status)

    def store(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data: bytes | memoryview | Path
    ) -> int:
        """C-STORE of a data set that is encoded in `transfer_syntax_uid`; the status that the peer answered.

        `data` is the data set without file meta information, or a file that holds just that. It is sent as it is.

        Raises
        ------
        NotAccepted
            When the peer took no context for that class and encoding; the association goes on.
        Disconnected, TimedOut, ProtocolBroken
            The association is over; whether the peer has the object is not known.
        """
        context_id = self._need(sop_class_uid, transfer_syntax_uid)
        message_id = self._next_message_id()
        with self._aborting():
            self._send(context_id, commands.store_request(message_id, sop_class_uid, sop_instance_uid))
            messages.send_data_set(
                self._connection, context_id, _pieces(data), self._agreement.user.max_pdu, self._timeouts.idle_s
            )
            return self._response(context_id, message_id)

    def find(self, identifier: Dataset, sop_class_uid: str = negotiate.STUDY_ROOT_FIND) -> list[Dataset]:
        """C-FIND; the matches.

        Raises
        ------
        NotAccepted, Answered, Disconnected, TimedOut, ProtocolBroken
        """
        context_id = self._need(sop_class_uid, None)
        is_implicit = self._agreement.contexts[context_id].transfer_syntax == negotiate.IMPLICIT_LITTLE_ENDIAN
        message_id = self._next_message_id()
        matches: list[Dataset] = []
        with self._aborting():
            self._send(context_id, commands.find_request(message_id, sop_class_uid))
            keys = [memoryview(_encoded(identifier, is_implicit))]
            limit = self._agreement.user.max_pdu
            messages.send_data_set(self._connection, context_id, keys, limit, self._timeouts.idle_s)
            while True:
                answered = self._receive(context_id, message_id)
                if answered.has_data_set:
                    matches.append(self._identifier(context_id, is_implicit))
                if not is_pending(answered.status or SUCCESS):
                    break
                if len(matches) >= _MAX_MATCHES:
                    raise ProtocolBroken(f"{self._place} answered C-FIND with more than {_MAX_MATCHES} matches.")
        status = answered.status or SUCCESS
        if status != SUCCESS and not is_warning(status):
            raise Answered(f"{self._place} answered C-FIND with {explain_status(status)}.", status)
        return matches

    def release(self) -> None:
        """End in order; a peer that does not answer is left, for everything asked was answered before."""
        if not self._is_open:
            return
        self._is_open = False
        deadline = time.monotonic() + self._timeouts.response_s
        with contextlib.suppress(PeerError):
            self._connection.send([wire.control_pdu(wire.RELEASE_RQ)], deadline)
            while self._connection.read_fragment(deadline) != wire.RELEASE_RP:
                pass
        self._connection.close()

    def abort(self, source: int = wire.SERVICE_USER, reason: int = wire.NOT_SPECIFIED) -> None:
        """End at once with an A-ABORT."""
        if self._is_open:
            self._is_open = False
            _abort(self._connection, source, reason)
            self._connection.close()

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        """After a failure in the middle of an exchange the association cannot go on; the words name the peer."""
        try:
            yield
        except PeerError as exc:
            if isinstance(exc, ProtocolBroken):
                self.abort(wire.SERVICE_PROVIDER, exc.reason)
            self.abort()
            if not str(exc).startswith(self._place):
                exc.args = (f"{self._place}: {exc}",)
            raise

    def _need(self, sop_class_uid: str, transfer_syntax_uid: str | None) -> int:
        if not self._is_open:
            raise Disconnected(f"{self._place}: the association is over.")
        context_id = self._context_for(sop_class_uid, transfer_syntax_uid)
        if context_id is None:
            name = f"{UID(sop_class_uid).name} ({sop_class_uid})"
            encoding = f" in transfer syntax {transfer_syntax_uid}" if transfer_syntax_uid else ""
            raise NotAccepted(
                f"{self._place} does not take {name}{encoding}: {self._why_not(sop_class_uid)}. "
                "Allow it there, or choose another result profile for this peer."
            )
        return context_id

    def _context_for(self, sop_class_uid: str, transfer_syntax_uid: str | None) -> int | None:
        for context_id, context in self._agreement.contexts.items():
            if context.abstract_syntax == sop_class_uid and transfer_syntax_uid in (None, context.transfer_syntax):
                return context_id
        return None

    def _why_not(self, sop_class_uid: str) -> str:
        words = {
            negotiate.USER_REJECTION: "its user refused it",
            negotiate.ABSTRACT_SYNTAX_NOT_SUPPORTED: "the class is not supported",
            negotiate.TRANSFER_SYNTAXES_NOT_SUPPORTED: "the transfer syntax is not supported",
        }
        for context_id, result in self._agreement.refused.items():
            if self._proposed[context_id // 2].abstract_syntax == sop_class_uid:
                return words.get(result, "it gave no reason")
        return "it was not proposed"

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _send(self, context_id: int, command: bytes) -> None:
        limit = self._agreement.user.max_pdu
        messages.send_command(self._connection, context_id, command, limit, self._timeouts.idle_s)

    def _response(self, context_id: int, message_id: int) -> int:
        answered = self._receive(context_id, message_id)
        if answered.has_data_set:
            raise ProtocolBroken("The answer carries a data set where none belongs.", wire.UNEXPECTED_PDU)
        return SUCCESS if answered.status is None else answered.status

    def _receive(self, context_id: int, message_id: int) -> commands.Command:
        received = messages.receive_command(self._connection, time.monotonic() + self._timeouts.response_s)
        if isinstance(received, int):
            raise Disconnected("The peer asked for release before it answered.")
        if received[0] != context_id or not received[1].is_response or received[1].message_id != message_id:
            raise ProtocolBroken("The peer answered something that was not asked.", wire.UNEXPECTED_PDU)
        if received[1].status is None:
            raise ProtocolBroken("The answer has no status.", wire.INVALID_PARAMETER)
        return received[1]

    def _identifier(self, context_id: int, is_implicit: bool) -> Dataset:
        data = bytearray()
        deadline = time.monotonic() + self._timeouts.response_s
        for piece in messages.data_set_pieces(self._connection, context_id, deadline, self._timeouts.response_s):
            data += piece
            if len(data) > _MAX_IDENTIFIER:
                raise ProtocolBroken(f"A C-FIND identifier is longer than {_MAX_IDENTIFIER} bytes.")
        try:
            return read_dataset(io.BytesIO(data), is_implicit, is_little_endian=True)
        except Exception as exc:  # foreign bytes in a foreign parser, which raises what it likes
            raise ProtocolBroken("A C-FIND identifier cannot be read.") from exc


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
        connection.send([negotiate.request_pdu(calling, called, contexts, _OUR_MAX_PDU)], deadline)
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


def _abort(connection: wire.Connection, source: int, reason: int) -> None:
    with contextlib.suppress(PeerError):
        connection.send([wire.abort_pdu(source, reason)], time.monotonic() + 1.0)


def _pieces(data: bytes | memoryview | Path) -> Iterator[memoryview]:
    """The data set in pieces that need not fit into memory together."""
    if not isinstance(data, Path):
        yield memoryview(data)
        return
    with data.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left and (piece := file.read(min(left, 1 << 20))):
            left -= len(piece)
            yield memoryview(piece)


def _encoded(identifier: Dataset, is_implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = is_implicit
    write_dataset(buffer, identifier)
    return buffer.getvalue()
