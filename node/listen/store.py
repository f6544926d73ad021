"""One C-STORE: the data set goes to the journal as it arrives, its structure is walked on the way, then it is answered.

Success is answered only after the bytes and the values of their row are on stable storage (`Journal.commit`). Whether
the instance is known already is not asked here; rows are made by indexer.py, where duplicates and conflicts are seen.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from node.dimse.commands import Command
from node.dimse.negotiate import AcceptedContext
from node.listen.room import Room
from node.listen.scan import Facts, Refusal, Scanner, is_uid
from node.listen.settings import ListenSettings
from node.statuses import (
    CANNOT_UNDERSTAND,
    CLASS_NOT_SUPPORTED,
    DATA_SET_DOES_NOT_MATCH,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
)
from storage.errors import DiskFailed, StorageError
from storage.intake import Taken
from storage.journal import Journal, RecordMeta

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """With whom an association is, and what it may do."""

    number: int
    """Our own number of the association, for logs."""
    association: str
    """UUID (hex), for rows."""
    calling_ae: str
    called_ae: str
    address: str
    may_store: bool


class Store:
    """Takes the objects of one association into one segment of the journal."""

    def __init__(self, caller: Caller, settings: ListenSettings, room: Room, hand_on: Callable[[Taken], None]) -> None:
        self._caller = caller
        self._settings = settings
        self._room = room
        self._hand_on = hand_on
        self._journal: Journal | None = None
        self._segments = 0
        self.objects = 0
        self.bytes = 0

    def receive(self, command: Command, context: AcceptedContext, pieces: Iterable[memoryview]) -> Refusal | None:
        """Take one object; None when it is on stable storage, else why not. What is refused is still read to its end.

        Raises
        ------
        PeerError
            Only what `pieces` raises: the connection broke or timed out.
        """
        refusal = self._refusal_before(command, context)
        scanner = Scanner(context.transfer_syntax)
        if refusal is None:
            refusal = self._attempt(self._begin)
        length = 0
        for piece in pieces:
            length += len(piece)
            if refusal is None:
                refusal = self._attempt(self._take, scanner, piece, length)
        if refusal is None:
            refusal = self._attempt(self._finish, scanner, command, context)
        if refusal is None:
            self.objects += 1
            self.bytes += length
        return refusal

    def close(self) -> None:
        """Close the segment."""
        journal, self._journal = self._journal, None
        if journal is not None:
            try:
                journal.close()
            except StorageError:
                log.exception("association %d: its segment could not be closed in order", self._caller.number)

    def _refusal_before(self, command: Command, context: AcceptedContext) -> Refusal | None:
        """What can be refused before a byte of the data set is read."""
        if not self._caller.may_store:
            return Refusal(NOT_AUTHORISED, "This peer may not store here (osteon peers add --may-send).")
        if command.sop_class_uid != context.abstract_syntax:
            return Refusal(CLASS_NOT_SUPPORTED, "The SOP class is not that of the presentation context.")
        if not command.has_data_set:
            return Refusal(CANNOT_UNDERSTAND, "The request has no data set.")
        if not is_uid(command.sop_instance_uid.encode("ascii", "replace")):
            return Refusal(CANNOT_UNDERSTAND, "The SOP Instance UID of the request is not a UID.")
        return self._room.refusal()

    def _attempt(self, step: Callable[..., Refusal | None], *args: object) -> Refusal | None:
        """Do a step; what goes wrong with disk or program becomes a status, never an exception."""
        try:
            return step(*args)
        except (StorageError, OSError) as exc:
            log.error("association %d: an object was refused for now: %s", self._caller.number, exc)
            if isinstance(exc, DiskFailed):
                self._give_up_segment()
            return Refusal(OUT_OF_RESOURCES, "The object cannot be written to the disk now. Try again.")
        except Exception:
            log.exception("association %d: an object was refused for a fault of this program", self._caller.number)
            self._give_up_segment()
            return Refusal(PROCESSING_FAILURE, "An internal fault; the log of the node says which.")

    def _begin(self) -> None:
        if self._journal is None:
            self._segments += 1
            name = f"{self._caller.association}-{self._segments}"
            self._journal = Journal(self._settings.journal_folder, name, reserve_bytes=self._settings.reserve_bytes)
        self._journal.begin()

    def _take(self, scanner: Scanner, piece: memoryview, length: int) -> Refusal | None:
        if length > self._settings.max_object_bytes:
            limit = self._settings.max_object_bytes >> 20
            return Refusal(CANNOT_UNDERSTAND, f"The object is larger than the {limit} MB that this node takes.")
        self._open_journal().write(piece)
        return scanner.feed(piece)

    def _finish(self, scanner: Scanner, command: Command, context: AcceptedContext) -> Refusal | None:
        facts = scanner.finish()
        if isinstance(facts, Refusal):
            return facts
        if facts.sop_class_uid != command.sop_class_uid:
            return Refusal(DATA_SET_DOES_NOT_MATCH, "The SOP Class UID of the data set is not that of the request.")
        if facts.sop_instance_uid != command.sop_instance_uid:
            return Refusal(DATA_SET_DOES_NOT_MATCH, "The SOP Instance UID of the data set is not that of the request.")
        journal = self._open_journal()
        meta = self._meta(facts, context)
        place = journal.commit(meta)
        self._hand_on(Taken(meta, place, journal.end))
        return None

    def _meta(self, facts: Facts, context: AcceptedContext) -> RecordMeta:
        return RecordMeta(
            sop_class_uid=facts.sop_class_uid,
            sop_instance_uid=facts.sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            study_instance_uid=facts.study_instance_uid,
            series_instance_uid=facts.series_instance_uid,
            patient_key=facts.patient_key,
            calling_ae=self._caller.calling_ae,
            called_ae=self._caller.called_ae,
            address=self._caller.address,
            association=self._caller.association,
            received_at=time.time(),
            modality=facts.modality,
        )

    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("an object was taken before its record was begun")
        return self._journal

    def _give_up_segment(self) -> None:
        """What follows goes into a new segment: after a failed sync the old one takes nothing more."""
        journal, self._journal = self._journal, None
        if journal is not None:
            with contextlib.suppress(StorageError, OSError):
                journal.close()
