"""What the node answers, and what it makes of answers (PS3.2 N.7): statuses, commitment, queries, web services."""

from collections.abc import Iterator

from node import statuses
from node.config import SettleSection
from node.conformance import network
from node.conformance.markdown import bullets, table
from node.dimse import commitment
from node.dimse.query import IMAGE_MODALITIES
from node.statuses import Verdict, verdict
from storage import peers

ANSWERED: dict[int, str] = {
    statuses.SUCCESS: "The object is on stable storage with its row's values, or was there before with any bytes.",
    statuses.OUT_OF_RESOURCES: "Disk below `listen.reserve_mb`, a fault of the disk, or rows behind: try again.",
    statuses.DATA_SET_DOES_NOT_MATCH: "SOP Class or Instance UID of the data set is not that of the request.",
    statuses.CANNOT_UNDERSTAND: "No data set, cut off or unreadable, too large, or a study, series or SOP UID missing.",
    statuses.CLASS_NOT_SUPPORTED: "The SOP class is not that of the presentation context.",
    statuses.NOT_AUTHORISED: "The peer may not store (`osteon peers add --may-send`).",
    statuses.PROCESSING_FAILURE: "A fault of the node; its log says which.",
    statuses.UNRECOGNISED_OPERATION: "An operation that NODE_SCP does not know.",
}
"""By status, when NODE_SCP answers it."""

_MEANING = {
    Verdict.DELIVERED: "accepted",
    Verdict.RETRY: "sent again later, the same bytes",
    Verdict.STOP: "parked with an alarm, or its fallback goes",
}
_OF_CLASSES = {0xA701: "0xA7xx", 0xA901: "0xA9xx", 0xB001: "0xBxxx", 0xC001: "0xCxxx", 0x9999: "any other"}
_SETS = (
    "ISO_IR 6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166",
    "ISO 2022 IR 6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166, 87, 159, 149, 58",
    "ISO_IR 192 (UTF-8), GB18030, GBK",
)


def parts() -> tuple[str, ...]:
    """Chapters 5 to 7."""
    return (
        "## 5 Services",
        "### 5.1 Storage SCP (N.7-43)",
        table(("status", "when"), [(f"0x{status:04X}", when) for status, when in ANSWERED.items()]),
        "The same object again is a success and changes nothing. Other bytes under a UID that is known are a success "
        "too: the first are kept, and the study lists the conflict. Elements are not coerced.",
        "### 5.2 Storage SCU (N.7-42)",
        table(("status", "words", "what follows"), _sent()),
        "A class without presentation context, 0x0118, 0x0122 and 0xA9xx: what the result profile holds ready instead "
        "goes; without such the object is parked.",
        "### 5.3 Result profiles",
        "Which objects a peer gets is a profile (`osteon peers add --profile`); what is in each: section 8.1.",
        "### 5.4 Proof of delivery (N.7-44, N.7-45)",
        table(("`--confirm`", "what proves that the peer has a result"), peers.CONFIRM.items()),
        bullets(
            (
                f"N-ACTION of type {commitment.REQUEST} on instance {commitment.INSTANCE} names all objects of the "
                "study that the peer accepted, under one Transaction UID.",
                f"N-EVENT-REPORT of type {commitment.ALL_COMMITTED} or {commitment.SOME_FAILED} is taken on the same "
                "association, or on a new one in which the PACS is SCP.",
                "Without commitment (`find`, `auto`): C-FIND at level IMAGE, or QIDO-RS, for the instances.",
                "An object that is not kept is listed with its Failure Reason and sent again or parked; a request "
                "without answer is made again.",
                "Retry of sending ends as in section 4.2.2.",
            )
        ),
        "### 5.5 Query SCU (FIND)",
        "Study Root, level SERIES; keys StudyInstanceUID (matched), SeriesInstanceUID, Modality, "
        "NumberOfSeriesRelatedInstances; and level IMAGE, keys StudyInstanceUID, SeriesInstanceUID (matched), "
        "SOPInstanceUID, to prove a delivery. Counted are series of "
        f"{', '.join(sorted(IMAGE_MODALITIES))}; how long they are waited for is `settle.patience_s` "
        f"({SettleSection().patience_s:g} s). A failed query changes nothing: the study settles by quiet.",
        "### 5.6 STOW-RS and QIDO-RS user agent",
        table(("`--transport`", "how results reach the peer"), peers.TRANSPORTS.items()),
        "Each instance is stored by one request of `multipart/related`, part `application/dicom`; the answer is read "
        "as `application/dicom+json` (PS3.18 10.5.3); a failure reason counts as the C-STORE status of its number.",
        "## 6 Character sets",
        "Read, declared or in spite of a wrong declaration:",
        bullets(_SETS),
        "Written: the set that the source declares, or none where it declares none. Texts of the source are repeated "
        "as the bytes they were; every text of the node is ASCII, which all sets contain. There is no conversion.",
        "## 7 Security",
        network.security(),
    )


def _sent() -> Iterator[tuple[str, str, str]]:
    for status, words in statuses.known().items():
        if not statuses.is_pending(status):
            yield f"0x{status:04X}", words, _MEANING[verdict(status)]
    for status, shown in _OF_CLASSES.items():
        yield shown, "", _MEANING[verdict(status)]
