"""Our side as requestor: one association with C-ECHO, C-STORE, C-FIND, N-ACTION and the events that the peer reports
(PS3.4 A, B, C, J; PS3.7 10; PS3.8 7).

Every failure is one of the PeerErrors of node/errors.py, with a sentence for the admin.
"""

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset
from pydicom.uid import UID

from node.dimse import commands, messages, negotiate, wire
from node.dimse.commands import Command, Operation
from node.dimse.identifiers import decoded, encoded
from node.dimse.negotiate import Agreement, Context
from node.dimse.opening import Timeouts, abort, opened
from node.errors import Answered, Disconnected, NotAccepted, PeerError, ProtocolBroken, TimedOut
from node.statuses import SUCCESS, explain_status, is_pending, is_warning
from storage.faultpoints import FaultPoint, reached

__all__ = ["Association", "Timeouts", "associate"]

_MAX_MATCHES = 10_000
_USUAL = Timeouts()

OnEvent = Callable[[Command, Dataset], int]
"""Takes an event that the peer reports, with its data set; the status to answer."""


def associate(
    host: str,
    port: int,
    *,
    calling: str,
    called: str,
    contexts: Sequence[Context],
    timeouts: Timeouts = _USUAL,
    tls: ssl.SSLContext | None = None,
) -> "Association":
    """Open an association; use it in a `with` block, which releases it, or aborts it when an exception passes.

    Raises
    ------
    Unreachable, Rejected, Disconnected, TimedOut, ProtocolBroken
    """
    connection, agreement = opened(host, port, calling, called, contexts, timeouts, tls)
    return Association(connection, f"{called} at {host}:{port}", contexts, agreement, timeouts)


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

    def takes(self, sop_class_uid: str) -> bool:
        """Whether the peer took the class at all."""
        return self._context_for(sop_class_uid, None) is not None

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
            reached(FaultPoint.OBJECT_SENT)
            return self._response(context_id, message_id)

    def find(self, identifier: Dataset, sop_class_uid: str = negotiate.STUDY_ROOT_FIND) -> list[Dataset]:
        """C-FIND; the matches.

        Raises
        ------
        NotAccepted, Answered, Disconnected, TimedOut, ProtocolBroken
        """
        context_id = self._need(sop_class_uid, None)
        message_id = self._next_message_id()
        matches: list[Dataset] = []
        with self._aborting():
            self._send(context_id, commands.find_request(message_id, sop_class_uid))
            self._send_identifier(context_id, identifier)
            while True:
                answered = self._receive(context_id, message_id)
                if answered.has_data_set:
                    matches.append(self._identifier(context_id))
                if not is_pending(answered.status or SUCCESS):
                    break
                if len(matches) >= _MAX_MATCHES:
                    raise ProtocolBroken(f"{self._place} answered C-FIND with more than {_MAX_MATCHES} matches.")
        status = answered.status or SUCCESS
        if status != SUCCESS and not is_warning(status):
            raise Answered(f"{self._place} answered C-FIND with {explain_status(status)}.", status)
        return matches

    def action(self, sop_class_uid: str, sop_instance_uid: str, action: int, what: Dataset, on_event: OnEvent) -> int:
        """N-ACTION of type `action`; the status that the peer answered. An event that comes before goes to `on_event`.

        Raises
        ------
        NotAccepted, Disconnected, TimedOut, ProtocolBroken
        """
        context_id = self._need(sop_class_uid, None)
        message_id = self._next_message_id()
        with self._aborting():
            self._send(context_id, commands.action_request(message_id, sop_class_uid, sop_instance_uid, action))
            self._send_identifier(context_id, what)
            return self._response(context_id, message_id, on_event)

    def await_event(self, deadline: float, stopping: Callable[[], bool], on_event: OnEvent) -> bool:
        """Wait for an event until `deadline` (monotonic seconds); False when none came or `stopping` said so first.

        Raises
        ------
        Disconnected
            The peer ended the association; that it released it is no fault.
        TimedOut, ProtocolBroken
        """
        if not self._is_open:
            return False
        with self._aborting():
            try:
                if not self._connection.wait(deadline, stopping):
                    return False
            except TimedOut:
                return False
            received = messages.receive_command(self._connection, time.monotonic() + self._timeouts.response_s)
            if isinstance(received, int):
                self._end_as_asked(received)
                return False
            self._answer_event(*received, on_event)
        return True

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
            abort(self._connection, source, reason)
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

    def _send_identifier(self, context_id: int, identifier: Dataset) -> None:
        keys = memoryview(encoded(identifier, self._agreement.contexts[context_id].transfer_syntax))
        limit = self._agreement.user.max_pdu
        messages.send_data_set(self._connection, context_id, [keys], limit, self._timeouts.idle_s)

    def _response(self, context_id: int, message_id: int, on_event: OnEvent | None = None) -> int:
        answered = self._receive(context_id, message_id, on_event)
        if answered.has_data_set:
            if on_event is None:
                raise ProtocolBroken("The answer carries a data set where none belongs.", wire.UNEXPECTED_PDU)
            self._identifier(context_id)  # an Action Reply: PS3.4 J.3.2 has none, PS3.7 10.1.4 allows one
        return SUCCESS if answered.status is None else answered.status

    def _receive(self, context_id: int, message_id: int, on_event: OnEvent | None = None) -> Command:
        while True:
            received = messages.receive_command(self._connection, time.monotonic() + self._timeouts.response_s)
            if isinstance(received, int):
                raise Disconnected("The peer asked for release before it answered.")
            if on_event is None or received[1].field != Operation.N_EVENT_REPORT:
                break
            self._answer_event(*received, on_event)
        if received[0] != context_id or not received[1].is_response or received[1].message_id != message_id:
            raise ProtocolBroken("The peer answered something that was not asked.", wire.UNEXPECTED_PDU)
        if received[1].status is None:
            raise ProtocolBroken("The answer has no status.", wire.INVALID_PARAMETER)
        return received[1]

    def _answer_event(self, context_id: int, command: Command, on_event: OnEvent) -> None:
        """Take an N-EVENT-REPORT (PS3.7 10.1.1) and answer it."""
        if command.field != Operation.N_EVENT_REPORT or context_id not in self._agreement.contexts:
            raise ProtocolBroken("The peer sent a message that is no event of this association.", wire.UNEXPECTED_PDU)
        what = self._identifier(context_id) if command.has_data_set else Dataset()
        self._send(context_id, commands.response(command, on_event(command, what)))

    def _end_as_asked(self, pdu: int) -> None:
        """The peer asks for the release while we only listen: agree."""
        if pdu != wire.RELEASE_RQ:
            raise ProtocolBroken(f"A PDU of type {pdu} came where an event was due.", wire.UNEXPECTED_PDU)
        self._is_open = False
        with contextlib.suppress(PeerError):
            self._connection.send([wire.control_pdu(wire.RELEASE_RP)], time.monotonic() + 1.0)
        self._connection.close()

    def _identifier(self, context_id: int) -> Dataset:
        deadline = time.monotonic() + self._timeouts.response_s
        pieces = messages.data_set_pieces(self._connection, context_id, deadline, self._timeouts.response_s)
        return decoded(pieces, self._agreement.contexts[context_id].transfer_syntax)


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
