"""An archive that commits: pynetdicom's SCP of storage commitment, answering in the way that a test asks for.

`same` answers on the association of the request, `new` on one of its own to where the requestor listens, `never` not
at all, `refuses` answers the request with a failure, `aborts` ends the association, `none` does not offer the class.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

LITTLE_ENDIAN = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


@dataclass
class CommittingArchive:
    """Keeps objects, commits to them or not, and remembers what it was asked."""

    answers: str = "same"
    node: tuple[str, int] | None = None
    """AE title and port of the requestor, for `new`."""
    ae_title: str = "ARCHIVE"
    finds: bool = False
    classes: Iterable[str] | None = None
    """SOP classes that it stores; None: all."""
    port: int = 0
    status: int = 0x0000
    """What it answers to the request itself when it `refuses`."""
    failing: dict[str, int] = field(default_factory=dict)
    """SOP Instance UID → failure reason; each for one report only."""
    fails: Callable[[str], int] = lambda _sop_class_uid: 0
    """SOP class → failure reason, in every report; 0 for none."""
    store_status: Callable[[str], int] = lambda _sop_class_uid: 0
    kept: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """SOP Instance UID → (SOP class, bytes); what came last."""
    came: list[tuple[str, str, bytes]] = field(default_factory=list)
    """(SOP class, SOP Instance UID, bytes) of every C-STORE, in order."""
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(Transaction UID, SOP Instance UIDs) of every request."""
    answered: list[int] = field(default_factory=list)
    """What the requestor answered to the reports."""
    hidden: set[str] = field(default_factory=set)
    """SOP Instance UIDs that a query does not find, though they were stored; each until it is stored again."""
    queries: list[Dataset] = field(default_factory=list)
    levels: tuple[str, ...] = ("STUDY", "SERIES", "IMAGE")
    """At which a query finds anything; at the others it finds nothing, with success."""
    series_of: dict[str, str] = field(default_factory=dict)
    """SOP Instance UID → Series Instance UID, for queries at the level SERIES."""
    counts: bool = True
    """Whether it tells how many instances a series has."""

    def start(self) -> "CommittingArchive":
        """Listen on `port`, or on a free one."""
        ae = AE(self.ae_title)
        for context in AllStoragePresentationContexts:
            if self.classes is None or context.abstract_syntax in self.classes:
                ae.add_supported_context(str(context.abstract_syntax), LITTLE_ENDIAN)
        ae.add_supported_context(Verification)
        if self.answers != "none":
            ae.add_supported_context(StorageCommitmentPushModel, LITTLE_ENDIAN)
        if self.finds:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind, LITTLE_ENDIAN)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action), (evt.EVT_C_FIND, self._find)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert self._server is not None
        self.port = self._server.socket.getsockname()[1]
        return self

    def stop(self) -> None:
        """End it; the port is free afterwards."""
        self._server.shutdown()
        self._server.server_close()

    def report(self, transaction_uid: str, *uids: str) -> int:
        """Report these objects as committed on a new association; what the requestor answered."""
        what = Dataset()
        what.TransactionUID = transaction_uid
        what.ReferencedSOPSequence = [_item(self.kept.get(uid, ("1.2", b""))[0], uid) for uid in uids]
        return self._report_anew(1, what)

    def _store(self, event: Event) -> int:
        request = event.request
        sop_class, uid = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        data = request.DataSet.getvalue()
        self.came.append((sop_class, uid, data))
        status = self.store_status(sop_class)
        if status == 0:
            self.kept[uid] = (sop_class, data)
            self.hidden.discard(uid)
        return status

    def _action(self, event: Event) -> tuple[int, None]:
        what = event.action_information
        uids = tuple(str(one.ReferencedSOPInstanceUID) for one in what.ReferencedSOPSequence)
        self.asked.append((str(what.TransactionUID), uids))
        if self.answers == "aborts":
            event.assoc.abort()
        if self.answers in ("refuses", "aborts"):
            return self.status, None
        event_type, report = self._report_of(what)
        if self.answers == "same":
            threading.Thread(target=self._report_on, args=(event.assoc, event_type, report), daemon=True).start()
        elif self.answers == "new":
            threading.Thread(target=self._report_anew, args=(event_type, report), daemon=True).start()
        return 0x0000, None

    def _report_of(self, what: Dataset) -> tuple[int, Dataset]:
        report = Dataset()
        report.TransactionUID = what.TransactionUID
        good, bad = [], []
        for one in what.ReferencedSOPSequence:
            uid, sop_class = str(one.ReferencedSOPInstanceUID), str(one.ReferencedSOPClassUID)
            reason = self.failing.pop(uid, 0) or self.fails(sop_class) or (0 if uid in self.kept else 0x0112)
            item = _item(sop_class, uid)
            if reason:
                item.FailureReason = reason
            (bad if reason else good).append(item)
        if good:
            report.ReferencedSOPSequence = good
        if bad:
            report.FailedSOPSequence = bad
        return (2 if bad else 1), report

    def _report_on(self, assoc: Any, event_type: int, report: Dataset) -> None:
        status, _ = assoc.send_n_event_report(
            report, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        self.answered.append(status.Status if status else -1)

    def _report_anew(self, event_type: int, report: Dataset) -> int:
        """On an association of our own, as SCP (PS3.7 D.3.3.4)."""
        assert self.node is not None
        ae = AE(self.ae_title)
        ae.add_requested_context(StorageCommitmentPushModel, LITTLE_ENDIAN)
        role = build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        assoc = ae.associate("127.0.0.1", self.node[1], ae_title=self.node[0], ext_neg=[role])
        assert assoc.is_established, "the requestor does not take reports"
        self._report_on(assoc, event_type, report)
        assoc.release()
        return self.answered[-1]

    def _find(self, event: Event) -> Iterable[tuple[int, Dataset | None]]:
        query = event.identifier
        self.queries.append(query)
        if query.QueryRetrieveLevel not in self.levels:
            return
        if query.QueryRetrieveLevel != "IMAGE":
            yield from ((0xFF00, match) for match in self._above(query))
            return
        wanted = query.get("SOPInstanceUID") or ()
        wanted = {wanted} if isinstance(wanted, str) else set(wanted)
        for uid in [*self.kept]:
            if uid in self.hidden or (wanted and uid not in wanted):
                continue
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            match.StudyInstanceUID, match.SeriesInstanceUID = query.StudyInstanceUID, query.SeriesInstanceUID
            match.SOPInstanceUID = uid
            yield 0xFF00, match

    def _above(self, query: Dataset) -> Iterable[Dataset]:
        """What it answers at the levels STUDY and SERIES."""
        held = [self.series_of.get(uid, "") for uid in self.kept if uid not in self.hidden]
        wanted = query.get("SeriesInstanceUID")
        for uid in dict.fromkeys(held) if query.QueryRetrieveLevel == "SERIES" else ([""] if held else []):
            match = Dataset()
            match.QueryRetrieveLevel, match.StudyInstanceUID = query.QueryRetrieveLevel, query.StudyInstanceUID
            if uid:
                match.SeriesInstanceUID = uid
                match.NumberOfSeriesRelatedInstances = held.count(uid) if self.counts else None
            if uid in (wanted, "") or not wanted:
                yield match


def _item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return one
