"""Storage commitment, the SCU's part (PS3.4 Annex J): what is asked for, and what a report says."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.errors import ProtocolBroken

INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known instance of the class, PS3.4 J.3.5."""
REQUEST = 1
"""Action Type ID of a request, PS3.4 Table J.3-1."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of a report, PS3.4 Table J.3-2."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer reports of one request."""

    transaction_uid: str
    committed: frozenset[str]
    """SOP Instance UIDs that it will keep."""
    failed: dict[str, int]
    """SOP Instance UID → *FailureReason* (0008,1197) of those that it will not."""

    @property
    def names_none(self) -> bool:
        """Whether it lists no object at all."""
        return not self.committed and not self.failed


def request(transaction_uid: str, objects: Iterable[tuple[str, str]]) -> Dataset:
    """The action information of a request for these (SOP Class UID, SOP Instance UID), PS3.4 Table J.3-1."""
    what = Dataset()
    what.TransactionUID = transaction_uid
    what.ReferencedSOPSequence = [_referenced(*one) for one in objects]
    return what


def report(event_type: int | None, what: Dataset) -> Report:
    """A report, PS3.4 Table J.3-2.

    Raises
    ------
    ProtocolBroken
        It is of another event type, or names no transaction.
    """
    if event_type not in (ALL_COMMITTED, SOME_FAILED):
        raise ProtocolBroken(f"Storage commitment has no event of type {event_type}; it has 1 and 2.")
    transaction_uid = str(what.get("TransactionUID") or "")
    if not transaction_uid:
        raise ProtocolBroken("The report of a storage commitment names no transaction.")
    committed = frozenset(_uid(one) for one in _items(what, "ReferencedSOPSequence"))
    failed = {_uid(one): _reason(one) for one in _items(what, "FailedSOPSequence")}
    return Report(transaction_uid, committed - failed.keys(), failed)


def _referenced(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID = sop_class_uid
    one.ReferencedSOPInstanceUID = sop_instance_uid
    return one


def _uid(one: Dataset) -> str:
    return str(one.get("ReferencedSOPInstanceUID") or "")


def _items(what: Dataset, keyword: str) -> list[Dataset]:
    found = what.get(keyword)
    return list(found) if isinstance(found, Sequence) else []


def _reason(one: Dataset) -> int:
    """0 for a reason that is missing or no number."""
    found = one.get("FailureReason")
    return found if isinstance(found, int) else 0
