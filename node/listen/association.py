"""The messages of one association: they come in, answers go out, and one line of log tells how it ended."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from node.dimse import wire
from node.dimse.commands import Command, Operation, response
from node.dimse.identifiers import decoded
from node.dimse.messages import data_set_pieces, receive_command, send_command
from node.dimse.negotiate import STORAGE_COMMITMENT, AcceptedContext
from node.errors import Disconnected, PeerError, ProtocolBroken, TimedOut
from node.listen.scan import Refusal
from node.listen.settings import ListenSettings
from node.listen.store import Caller, Store
from node.statuses import SUCCESS, UNRECOGNISED_OPERATION, explain_status

log = logging.getLogger(__name__)

TakeEvent = Callable[[Command, Dataset], int]
"""Takes an event with its data set; the status to answer."""

_REFUSALS_SHOWN = 3  # per association at WARNING; a thousand alike say no more
_FAREWELL_S = 2.0


class End(StrEnum):
    """How an association ended; each as it stands in the log."""

    RELEASED = "released"
    """The peer asked for it, all messages were answered."""
    ABORTED = "ended by the peer without release"
    """A-ABORT, or the connection closed or broke."""
    TIMED_OUT = "aborted, the peer was silent or too slow"
    """We sent an A-ABORT."""
    BROKEN = "aborted, the peer broke the protocol"
    """We sent an A-ABORT with the reason."""
    STOPPED = "aborted, this node is stopping"
    """We sent an A-ABORT between two messages."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed on: contexts, and the longest PDU that the peer takes."""

    contexts: Mapping[int, AcceptedContext]
    peer_max_pdu: int
    take_event: TakeEvent | None = None
    """What takes the peer's reports of storage commitment; None when it may not report."""


class Conversation:
    """The messages of one association in force."""

    def __init__(
        self,
        connection: wire.Connection,
        terms: Terms,
        caller: Caller,
        store: Store,
        settings: ListenSettings,
        stopping: Callable[[], bool],
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._caller = caller
        self._store = store
        self._settings = settings
        self._stopping = stopping
        self._refused = 0

    def run(self) -> End:
        """Answer messages until the association ends; never raises because of the peer."""
        started = time.monotonic()
        try:
            end = self._answer_all()
        except Disconnected as exc:
            end, cause = End.ABORTED, str(exc)
        except TimedOut as exc:
            end, cause = End.TIMED_OUT, str(exc)
            self._abort(wire.SERVICE_PROVIDER, wire.NOT_SPECIFIED)
        except ProtocolBroken as exc:
            end, cause = End.BROKEN, str(exc)
            self._abort(wire.SERVICE_PROVIDER, exc.reason)
        else:
            cause = ""
        self._store.close()
        log.info(
            "association %d with %s at %s %s after %.2f s: %d object(s), %.1f MB kept, %d refused%s",
            self._caller.number, self._caller.calling_ae, self._caller.address, end, time.monotonic() - started,
            self._store.objects, self._store.bytes / 1e6, self._refused, f" ({cause})" if cause else "",
        )  # fmt: skip
        return end

    def _answer_all(self) -> End:
        while True:
            idle = self._settings.idle_timeout_s
            if not self._connection.wait(time.monotonic() + idle, self._stopping):
                self._abort(wire.SERVICE_USER, wire.NOT_SPECIFIED)
                return End.STOPPED
            received = receive_command(self._connection, time.monotonic() + self._settings.pdu_timeout_s)
            if isinstance(received, int):
                if received != wire.RELEASE_RQ:
                    raise ProtocolBroken(f"A PDU of type {received} came where none belongs.", wire.UNEXPECTED_PDU)
                self._connection.send([wire.control_pdu(wire.RELEASE_RP)], time.monotonic() + _FAREWELL_S)
                return End.RELEASED
            context_id, command = received
            context = self._terms.contexts.get(context_id)
            if context is None:
                raise ProtocolBroken(
                    f"A message came in context {context_id}, which is not in force.", wire.INVALID_PARAMETER
                )
            self._answer(context_id, context, command)

    def _answer(self, context_id: int, context: AcceptedContext, command: Command) -> None:
        if context.abstract_syntax == STORAGE_COMMITMENT:
            self._answer_report(context_id, context, command)
            return
        if command.field == Operation.C_STORE:
            deadline = time.monotonic() + self._settings.object_timeout_s
            pieces = data_set_pieces(self._connection, context_id, deadline, self._settings.idle_timeout_s)
            refusal = self._store.receive(command, context, pieces if command.has_data_set else ())
            self._note(refusal)
        else:
            self._discard_data_set(context_id, command)
            if command.is_response or command.field == Operation.C_CANCEL:
                return  # we asked nothing, and have nothing to cancel
            refusal = None
            if command.field != Operation.C_ECHO:
                refusal = Refusal(
                    UNRECOGNISED_OPERATION, "This node stores and echoes; it knows no other operation here."
                )
        self._reply(context_id, command, *((refusal.status, refusal.reason) if refusal else (SUCCESS, "")))

    def _answer_report(self, context_id: int, context: AcceptedContext, command: Command) -> None:
        """In the class of storage commitment the peer reports, and does nothing else (PS3.4 J.3.3)."""
        if command.field != Operation.N_EVENT_REPORT or self._terms.take_event is None:
            self._discard_data_set(context_id, command)
            if not command.is_response:
                words = "This node takes reports here; it commits to nothing itself."
                self._reply(context_id, command, UNRECOGNISED_OPERATION, words)
            return
        deadline = time.monotonic() + self._settings.object_timeout_s
        pieces = data_set_pieces(self._connection, context_id, deadline, self._settings.idle_timeout_s)
        what = decoded(pieces, context.transfer_syntax) if command.has_data_set else Dataset()
        self._reply(context_id, command, self._terms.take_event(command, what))

    def _reply(self, context_id: int, command: Command, status: int, comment: str = "") -> None:
        reply = response(command, status, comment)
        idle = self._settings.idle_timeout_s
        send_command(self._connection, context_id, reply, self._terms.peer_max_pdu, idle)

    def _discard_data_set(self, context_id: int, command: Command) -> None:
        if command.has_data_set:
            deadline = time.monotonic() + self._settings.object_timeout_s
            for _ in data_set_pieces(self._connection, context_id, deadline, self._settings.idle_timeout_s):
                pass

    def _note(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._refused += 1
            level = logging.WARNING if self._refused <= _REFUSALS_SHOWN else logging.DEBUG
            status = explain_status(refusal.status)
            log.log(level, "association %d: an object was answered %s: %s", self._caller.number, status, refusal.reason)

    def _abort(self, source: int, reason: int) -> None:
        try:
            self._connection.send([wire.abort_pdu(source, reason)], time.monotonic() + _FAREWELL_S)
        except PeerError:
            log.debug("association %d: the peer could not be told of the abort", self._caller.number)
