"""What a report, a segmentation or a key object note of somebody else says of our results. Pure.

Recognised by the tracking UID (112040) of a measurement group, the *Tracking UID* (0062,0021) of a segment, the
*Predecessor Documents* of a report and references to our SOP instances. How the judgement is found:

* A code that is known (node/report/verdicts.py), first in the group of a lesion, then anywhere in the document outside
  of groups.
* A group or a segment with one of our tracking UIDs that brings coordinates, numbers or a segment of its own is a
  corrected version: modified. So is a report that names one of ours as its predecessor.
* A segmentation without tracking UIDs that refers to one of ours is a corrected version of that.
* Whatever else refers to a result of ours: unknown. A selection of key images is no assessment.

A document may be made to do harm: this runs in the analysing child, looks at `MAX_ITEMS` items at most, `MAX_DEPTH`
deep, and keeps nothing of what it reads but UIDs and codes. Names of persons are not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from models.encoded import READING_FAULTS
from node.identity import MANUFACTURER, MODEL_NAME
from node.report.verdicts import REJECTIONS, Code, worst_of
from storage.returned import Judgement, Said

MAX_ITEMS = 200_000
"""A segmentation of 2000 slices with ten segments has about as many."""
MAX_DEPTH = 48
MAX_UID = 64

_KOS = "1.2.840.10008.5.1.4.1.1.88.59"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_GROUP = "125007"
_TRACKING_UID = "112040"
_VERSION_TYPES = frozenset({"SCOORD", "SCOORD3D", "NUM", "IMAGE"})
"""Value types of what a group brings where it says something itself; a mere opinion has codes and texts."""


class TooMuch(Exception):
    """The document has more items, or is nested deeper, than any that means well."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What of this study is ours to be spoken of."""

    tracked: Mapping[str, str]
    """By tracking UID, the SOP Instance UID of the newest report that has it."""
    results: frozenset[str]
    """SOP Instance UIDs of all results of the study."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says of our results, and which series a segmentation was drawn on."""

    said: tuple[Said, ...]
    source_series_uid: str = ""


@dataclass(slots=True)
class _Group:
    """A measurement group, or the rest of a document, while it is read."""

    tracking_uids: list[str] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    is_version: bool = False


def read(ds: Dataset, ours: Ours, known: Mapping[Code, Judgement]) -> Reading:
    """What a document says.

    Raises
    ------
    TooMuch
    READING_FAULTS
        It is not what it says it is.
    """
    if _text(ds, "SOPInstanceUID") in ours.results or _is_of_a_node(ds):
        return Reading(())
    kind = _text(ds, "SOPClassUID")
    if kind in _SEGMENTATIONS:
        return Reading(_of_segmentation(ds, ours), _source_series(ds))
    if kind == _KOS:
        return Reading(_of_note(ds, ours))
    return Reading(_of_report(ds, ours, known))


def _is_of_a_node(ds: Dataset) -> bool:
    """Whether a node made it, this or another one, and no person has verified it: that is a result, no assessment."""
    maker = _text(ds, "Manufacturer"), _text(ds, "ManufacturerModelName")
    return maker == (MANUFACTURER, MODEL_NAME) and _text(ds, "VerificationFlag") != "VERIFIED"


def _of_segmentation(ds: Dataset, ours: Ours) -> tuple[Said, ...]:
    tracked = [_text(item, "TrackingUID") for item in _items(ds, "SegmentSequence")]
    said = tuple(Said(Judgement.MODIFIED, uid, ours.tracked[uid]) for uid in tracked if uid in ours.tracked)
    return said or tuple(Said(Judgement.MODIFIED, "", uid) for uid in _references(ds) if uid in ours.results)


def _of_note(ds: Dataset, ours: Ours) -> tuple[Said, ...]:
    if not any(code in REJECTIONS for code in _codes(ds, "ConceptNameCodeSequence")):
        return ()
    return tuple(Said(Judgement.REJECTED, "", uid) for uid in _references(ds) if uid in ours.results)


def _of_report(ds: Dataset, ours: Ours, known: Mapping[Code, Judgement]) -> tuple[Said, ...]:
    rest, groups = _groups(ds)
    replaced = [uid for item in _items(ds, "PredecessorDocumentsSequence") for uid in _references(item)]
    replaced = [uid for uid in replaced if uid in ours.results]
    overall = worst_of(rest.codes, known)
    said = [
        Said(worst_of(group.codes, known) or overall or _unsaid(group.is_version), uid, ours.tracked[uid])
        for group in (*groups, rest)
        for uid in group.tracking_uids
        if uid in ours.tracked
    ]
    if not said:
        said += [Said(overall or Judgement.MODIFIED, "", uid) for uid in replaced]
    if not said:
        said += [Said(overall or Judgement.UNKNOWN, "", uid) for uid in _references(ds) if uid in ours.results]
    return tuple(said)


def _unsaid(is_version: bool) -> Judgement:
    return Judgement.MODIFIED if is_version else Judgement.UNKNOWN


def _groups(ds: Dataset) -> tuple[_Group, list[_Group]]:
    """The measurement groups of a report, and what stands outside of them."""
    rest, groups = _Group(), []
    count = 0
    waiting = [(item, 1, rest) for item in _items(ds, "ContentSequence")]
    while waiting:
        item, depth, group = waiting.pop()
        count = _counted(count, depth)
        concept = next(_codes(item, "ConceptNameCodeSequence"), ("", ""))[1]
        if concept == _GROUP and group is rest:
            group = _Group()
            groups.append(group)
        group.codes += _codes(item, "ConceptCodeSequence")
        if concept == _TRACKING_UID:
            group.tracking_uids.append(_text(item, "UID"))
        group.is_version |= _text(item, "ValueType") in _VERSION_TYPES
        waiting += [(child, depth + 1, group) for child in _items(item, "ContentSequence")]
    return rest, groups


def _references(ds: Dataset) -> list[str]:
    """Every *Referenced SOP Instance UID* (0008,1155) of a data set, in whichever sequence."""
    found: dict[str, None] = {}
    count = 0
    waiting: list[tuple[Dataset, int]] = [(ds, 0)]
    while waiting:
        item, depth = waiting.pop()
        count = _counted(count, depth)
        uid = _text(item, "ReferencedSOPInstanceUID")
        if uid:
            found[uid] = None
        for element in item:
            if isinstance(element.value, Items):
                waiting += [(child, depth + 1) for child in element.value]
    return list(found)


def _counted(count: int, depth: int) -> int:
    if count >= MAX_ITEMS:
        raise TooMuch(f"it has more than {MAX_ITEMS} items")
    if depth > MAX_DEPTH:
        raise TooMuch(f"its sequences are nested more than {MAX_DEPTH} deep")
    return count + 1


def _source_series(ds: Dataset) -> str:
    """The one series that a segmentation was drawn on; "" where it names none, or several."""
    named = {_text(item, "SeriesInstanceUID") for item in _items(ds, "ReferencedSeriesSequence")} - {""}
    return named.pop() if len(named) == 1 else ""


def _codes(item: Dataset, keyword: str) -> Iterator[Code]:
    for each in _items(item, keyword):
        yield _text(each, "CodingSchemeDesignator"), _text(each, "CodeValue")


def _items(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    value = ds.get(keyword)
    return value if isinstance(value, Items) else ()


def _text(ds: Dataset, keyword: str) -> str:
    """A short value as text; "" where it is absent, several, or longer than a UID."""
    try:
        value = ds.get(keyword)
    except READING_FAULTS:
        return ""
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= MAX_UID else ""
