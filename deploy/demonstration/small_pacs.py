"""A demonstration PACS: keeps what it is sent, says what it has, and routes image studies on to the node.

Enough to show a node at work on one machine; no archive: it knows no users, no deletion, no retrieval, and what it
keeps is not synced to the disk.
"""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from node.dimse import client
from node.dimse.negotiate import STUDY_ROOT_FIND, VERIFICATION, storage_contexts
from node.errors import OsteonError
from node.statuses import SUCCESS

log = logging.getLogger(__name__)

NO_MEMORY, PENDING, FAILURE = 0xA700, 0xFF00, 0xC000
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE Lossless
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One object in the PACS."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    transfer_syntax_uid: str
    path: Path
    """A DICOM file."""
    header_bytes: int
    """Length of preamble and file meta information; the data set as received follows."""

    is_result: bool
    """Whether the node that we route to sent it, rather than a modality."""
    patient_id: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where image studies are routed to."""

    ae_title: str
    host: str
    port: int


def _match(level: str, study_instance_uid: str) -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel = level
    answer.StudyInstanceUID = study_instance_uid
    return answer


def _study(_asked: Dataset, found: list[Kept]) -> Iterator[Dataset]:
    if found:
        answer = _match("STUDY", found[0].study_instance_uid)
        answer.PatientID = found[0].patient_id
        answer.NumberOfStudyRelatedInstances = len(found)
        yield answer


def _series(_asked: Dataset, found: list[Kept]) -> Iterator[Dataset]:
    for (series_instance_uid, modality), count in Counter((k.series_instance_uid, k.modality) for k in found).items():
        answer = _match("SERIES", found[0].study_instance_uid)
        answer.SeriesInstanceUID = series_instance_uid
        answer.Modality = modality
        answer.NumberOfSeriesRelatedInstances = count
        yield answer


def _images(asked: Dataset, found: list[Kept]) -> Iterator[Dataset]:
    for kept in found:
        if kept.series_instance_uid == asked.get("SeriesInstanceUID"):
            answer = _match("IMAGE", kept.study_instance_uid)
            answer.SeriesInstanceUID = kept.series_instance_uid
            answer.SOPInstanceUID = kept.sop_instance_uid
            yield answer


class SmallPacs:
    """The server; `route_to` may be set at any time."""

    def __init__(self, folder: Path, port: int, *, ae_title: str = "SMALLPACS", host: str = "127.0.0.1") -> None:
        self.folder, self.ae_title, self.host, self.port = folder, ae_title, host, port
        self.route_to: Destination | None = None
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._arrived: dict[int, set[str]] = defaultdict(set)
        self._server: Any = None

    def start(self) -> None:
        """Listen in threads of this process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ae = AE(ae_title=self.ae_title)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax or "", list(TRANSFER_SYNTAXES))
        ae.add_supported_context(VERIFICATION)
        ae.add_supported_context(STUDY_ROOT_FIND)
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_RELEASED, self._released),
        ]
        self._server = ae.start_server((self.host, self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def kept(self, study_instance_uid: str | None = None) -> list[Kept]:
        """What is in the PACS (of one study)."""
        with self._lock:
            return [k for k in self._kept.values() if study_instance_uid in (None, k.study_instance_uid)]

    def _store(self, event: evt.Event) -> int:
        """Keep the data set as it came."""
        try:
            whole, bare = event.encoded_dataset(), event.encoded_dataset(include_meta=False)
            ds = event.dataset
            sop_instance_uid, study_instance_uid = str(ds.SOPInstanceUID), str(ds.StudyInstanceUID)
            series_instance_uid, modality = str(ds.SeriesInstanceUID), str(ds.get("Modality", ""))
        except (AttributeError, ValueError, TypeError):
            return FAILURE
        with self._lock:
            number = len(self._kept) + 1
            kept = Kept(
                str(event.request.AffectedSOPClassUID),
                sop_instance_uid,
                study_instance_uid,
                series_instance_uid,
                modality,
                str(event.context.transfer_syntax),
                self.folder / f"{number:05d}.dcm",  # a number of our own: a UID from outside never names a file
                len(whole) - len(bare),
                self.route_to is not None and event.assoc.requestor.ae_title == self.route_to.ae_title,
                str(ds.get("PatientID", "")),
            )
            if sop_instance_uid in self._kept:
                return SUCCESS
            try:
                kept.path.write_bytes(whole)
            except OSError:
                return NO_MEMORY
            self._kept[sop_instance_uid] = kept
            if not kept.is_result:
                self._arrived[id(event.assoc)].add(study_instance_uid)
        return SUCCESS

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Study Root, at the level asked for, by StudyInstanceUID: whose study, what series and objects are here."""
        wanted, level = str(event.identifier.get("StudyInstanceUID", "")), event.identifier.get("QueryRetrieveLevel")
        found = self.kept(wanted) if wanted else []
        answers = {"SERIES": _series, "IMAGE": _images}.get(level, _study)(event.identifier, found)
        yield from ((PENDING, answer) for answer in answers)

    def _released(self, event: evt.Event) -> None:
        """Route what one association brought, once the sender is done."""
        with self._lock:
            studies = self._arrived.pop(id(event.assoc), set())
        for study_instance_uid in studies:
            threading.Thread(target=self._route, args=(study_instance_uid,), daemon=True).start()

    def _route(self, study_instance_uid: str) -> None:
        """C-STORE the images of a study to the node, bytes as received."""
        images = [k for k in self.kept(study_instance_uid) if not k.is_result]
        if self.route_to is None or not images:
            return
        try:
            sent = send(self.route_to, images, calling=self.ae_title)
        except OsteonError as exc:
            log.warning("The small PACS could not route a study to %s: %s Send it again.", self.route_to.ae_title, exc)
            return
        log.info("the small PACS routed a study of %d images to %s", sent, self.route_to.ae_title)


def send(destination: Destination, objects: list[Kept], *, calling: str) -> int:
    """C-STORE the objects on one association; how many were accepted.

    Raises
    ------
    node.errors.OsteonError
        When the peer cannot be reached or answers none.
    """
    contexts = storage_contexts((k.sop_class_uid, k.transfer_syntax_uid) for k in objects)
    accepted = 0
    with client.associate(
        destination.host, destination.port, calling=calling, called=destination.ae_title, contexts=contexts
    ) as association:
        for kept in objects:
            data = memoryview(kept.path.read_bytes())[kept.header_bytes :]
            status = association.store(kept.sop_class_uid, kept.sop_instance_uid, kept.transfer_syntax_uid, data)
            accepted += status == SUCCESS
    return accepted
