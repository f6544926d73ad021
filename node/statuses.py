"""DIMSE statuses by name, and what each means for an object that we sent.

Sources: PS3.4 B.2.3 (Storage), PS3.4 C.4.1.1.4 (Query), PS3.3 C.14.1.1 (why an object was not committed), PS3.7 Annex C
(all services).
"""

from enum import Enum

SUCCESS = 0x0000

# PS3.4 Table B.2-1, C-STORE
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122  # PS3.18 10.5.3.1, of an instance that was not stored by STOW-RS
COERCED = 0xB000
ELEMENTS_DISCARDED = 0xB006
DOES_NOT_MATCH_WARNING = 0xB007

# PS3.7 Annex C
PROCESSING_FAILURE = 0x0110
DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT = 0x0115
INVALID_INSTANCE = 0x0117
NO_SUCH_CLASS = 0x0118
CLASS_INSTANCE_CONFLICT = 0x0119
CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
DUPLICATE_TRANSACTION = 0x0131  # PS3.3 C.14.1.1, of an object that was not committed
UNRECOGNISED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213
CANCELLED = 0xFE00

# PS3.4 Table C.4-1, C-FIND
PENDING = 0xFF00
PENDING_WITH_WARNING = 0xFF01


class Verdict(Enum):
    """What the answer to our C-STORE says about the object."""

    DELIVERED = "delivered"
    """The peer has it: success, a warning, or it had the same object before."""
    RETRY = "retry"
    """The peer could not take it now; the same bytes may be taken later."""
    STOP = "stop"
    """The peer will not take it; a person must change something first."""


_WORDS = {
    SUCCESS: "success",
    OUT_OF_RESOURCES: "out of resources",
    DATA_SET_DOES_NOT_MATCH: "data set does not match SOP class",
    CANNOT_UNDERSTAND: "cannot understand the data set",
    TRANSFER_SYNTAX_NOT_SUPPORTED: "transfer syntax not supported",
    COERCED: "accepted with coercion of elements",
    ELEMENTS_DISCARDED: "accepted, elements discarded",
    DOES_NOT_MATCH_WARNING: "accepted, data set does not match SOP class",
    PROCESSING_FAILURE: "processing failure",
    DUPLICATE_INSTANCE: "duplicate SOP instance",
    NO_SUCH_INSTANCE: "no such object instance",
    NO_SUCH_EVENT_TYPE: "no such event type",
    INVALID_ARGUMENT: "invalid argument value",
    INVALID_INSTANCE: "invalid SOP instance",
    NO_SUCH_CLASS: "no such SOP class",
    CLASS_INSTANCE_CONFLICT: "class/instance conflict",
    DUPLICATE_TRANSACTION: "duplicate transaction UID",
    CLASS_NOT_SUPPORTED: "SOP class not supported",
    NOT_AUTHORISED: "not authorised",
    UNRECOGNISED_OPERATION: "unrecognised operation",
    MISTYPED_ARGUMENT: "mistyped argument",
    RESOURCE_LIMITATION: "resource limitation",
    CANCELLED: "cancelled",
    PENDING: "pending",
    PENDING_WITH_WARNING: "pending, optional keys not supported",
}

_CLASSES = {0xA7: "out of resources", 0xA9: "data set does not match SOP class", 0xB0: "accepted with a warning"}

_LATER = frozenset({PROCESSING_FAILURE, RESOURCE_LIMITATION, CANCELLED})


def known() -> dict[int, str]:
    """Every status that has words of its own, in order."""
    return dict(sorted(_WORDS.items()))


def is_warning(status: int) -> bool:
    """Whether `status` is of the class Warning (PS3.7 C.1.3: 0x0001, 0x0107, 0x0116 and 0xBxxx)."""
    return status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116)


def is_pending(status: int) -> bool:
    """Whether more responses to the same request follow."""
    return status in (PENDING, PENDING_WITH_WARNING)


def verdict(status: int) -> Verdict:
    """What a C-STORE response status means for the object sent; what is not known stops, so that a person sees it."""
    if status in (SUCCESS, DUPLICATE_INSTANCE) or is_warning(status):
        return Verdict.DELIVERED
    if status >> 8 == OUT_OF_RESOURCES >> 8 or status in _LATER:
        return Verdict.RETRY
    return Verdict.STOP


def refuses_class(status: int) -> bool:
    """Whether a C-STORE response says that no object of this SOP class is taken, so that another form may be."""
    return status in (CLASS_NOT_SUPPORTED, NO_SUCH_CLASS) or status >> 8 == DATA_SET_DOES_NOT_MATCH >> 8


def is_passing(status: int) -> bool:
    """Whether the same request may be answered otherwise later."""
    return verdict(status) is Verdict.RETRY


def explain_status(status: int) -> str:
    """The status as an admin reads it in a log: number and words."""
    words = _WORDS.get(status) or _CLASSES.get(status >> 8)
    if words is None and status >> 12 == CANNOT_UNDERSTAND >> 12:
        words = "cannot understand the data set, or another failure of the peer's own"
    return f"0x{status:04X} ({words or 'a status that this node does not know'})"
