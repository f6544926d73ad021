"""The last look at results before they are stored: of one patient, one study, and about nothing but what was read.

Pure, and on the encoded bytes, so that it sees what a receiver will see and trusts nothing of what made them. Any
fault here is ours; a wrong result that is stopped is an alarm, one that is sent is a wrong patient.
"""

import struct
from collections.abc import Collection, Generator, Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from node.errors import ResultRefused
from node.report.encode import EncodedObject
from node.report.patient import IDENTITY, carried
from node.report.request import Source

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SOP_INSTANCE_UID = 0x00080018
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_STUDY_INSTANCE_UID = 0x0020000D
_OTHER_SERVICES = frozenset({0x00081110, 0x00081111, 0x00081120})
"""Referenced Study, Performed Procedure Step and Patient Sequence: they refer to no object that an archive holds."""
_IDENTITY = {keyword: int(Tag(keyword)) for keyword in sorted(IDENTITY)}

Element = tuple[tuple[int, ...], int, bytes]
"""The sequences around it, its tag, its value; of a sequence no value."""


def check(objects: Sequence[EncodedObject], sources: Sequence[Source], others: Collection[str] = ()) -> None:
    """Return when every object is of the patient and study of the sources and refers to them and each other only.

    Parameters
    ----------
    others
        SOP Instance UIDs of earlier results of the study, which a newer one may name.

    Raises
    ------
    ResultRefused
        With the kind of object and what is wrong with it, in words without patient data.
    """
    datasets = [ds for source in sources for ds in source.datasets]
    if not datasets:
        raise ResultRefused("There are results and no source images of them. This is a fault of Osteon.")
    identity = _identity(datasets[0])
    if any(_identity(ds) != identity for ds in datasets[1:]):
        raise ResultRefused(
            "The source images of one result are of more than one patient or study. Part them in the PACS, then send "
            "each study under new UIDs."
        )
    inputs = _inputs(sources)
    known = inputs | {each.sop_instance_uid for each in objects} | set(others)
    for each in objects:
        _check_one(each, identity, inputs, known)


def _check_one(result: EncodedObject, identity: dict[int, bytes], inputs: set[str], known: set[str]) -> None:
    found: dict[int, bytes] = {}
    references: set[str] = set()
    for around, tag, value in elements(result.data):
        if not around:
            found[tag] = value
        elif tag == _STUDY_INSTANCE_UID and _plain(value) != _plain(identity[_STUDY_INSTANCE_UID]):
            raise _wrong(result, "refers to another study")
        elif tag == _REFERENCED_SOP_INSTANCE_UID and not _OTHER_SERVICES.intersection(around):
            references.add(_uid(value))
    for keyword, tag in _IDENTITY.items():
        if _plain(found.get(tag, b"")) != _plain(identity.get(tag, b"")):
            raise _wrong(result, f"has another {keyword} than its source images")
    if _uid(found.get(_SOP_INSTANCE_UID, b"")) != result.sop_instance_uid:
        raise _wrong(result, "has another SOP Instance UID than it is recorded under")
    if unknown := references - known:
        raise _wrong(result, f"refers to {len(unknown)} object(s) that are neither source images nor results")
    if not references & inputs:
        raise _wrong(result, "refers to no source image")


def _wrong(result: EncodedObject, what: str) -> ResultRefused:
    return ResultRefused(
        f"The {result.kind.value} {what}, so no result of the study is kept. This is a fault of Osteon; report it."
    )


def _identity(source: Dataset) -> dict[int, bytes]:
    """The elements that tell patient, order and study, by tag; absent ones are left out."""
    held = carried(source)
    return {tag: held[BaseTag(tag)][8:] for tag in _IDENTITY.values() if BaseTag(tag) in held}


def _inputs(sources: Sequence[Source]) -> set[str]:
    """The SOP Instance UIDs of everything that was read."""
    uids = {str(ds.SOPInstanceUID) for source in sources for ds in source.datasets}
    for source in sources:
        if source.adc is not None:
            uids |= {image.sop_instance_uid for images in source.adc.made_from for image in images}
    return uids


def elements(data: bytes) -> Iterator[Element]:
    """Every element of a data set in Explicit VR Little Endian (PS3.5 7.1.2), at any depth, in its order.

    Raises
    ------
    ResultRefused
        The bytes are no such data set.
    """
    try:
        yield from _walked(memoryview(data), 0, len(data), ())
    except struct.error as exc:
        raise _not_whole() from exc


def _walked(
    data: memoryview, at: int, end: int, around: tuple[int, ...], *, is_open: bool = False
) -> Generator[Element, None, int]:
    """The elements from `at` on, to `end`, or with `is_open` to the delimiter of the item; returns what follows."""
    while at < end:
        group, number, vr, length = struct.unpack_from("<HH2sH", data, at)
        tag, at = group << 16 | number, at + 8
        if tag == _ITEM_END and is_open:
            return at
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        if vr == b"SQ":
            at = yield from _sequence(data, at, *_stop(at, length, end), (*around, tag))
            continue
        if at + length > end:
            raise _not_whole()
        yield around, tag, bytes(data[at : at + length]) if length < 1024 else b""
        at += length
    if is_open:
        raise _not_whole()
    return at


def _sequence(
    data: memoryview, at: int, end: int, is_open: bool, around: tuple[int, ...]
) -> Generator[Element, None, int]:
    """The elements of the items of a sequence; returns where the next element begins."""
    while at < end:
        group, number, length = struct.unpack_from("<HHI", data, at)
        tag, at = group << 16 | number, at + 8
        if tag == _SEQUENCE_END and is_open:
            return at
        if tag != _ITEM:
            raise _not_whole()
        stop, goes_on = _stop(at, length, end)
        at = yield from _walked(data, at, stop, around, is_open=goes_on)
    if is_open:
        raise _not_whole()
    return at


def _stop(at: int, length: int, end: int) -> tuple[int, bool]:
    """Where a sequence or item that begins at `at` ends at the latest, and whether a delimiter ends it before."""
    if length == _UNDEFINED:
        return end, True
    if at + length > end:
        raise _not_whole()
    return at + length, False


def _not_whole() -> ResultRefused:
    return ResultRefused("A result is no whole data set. This is a fault of Osteon; report it.")


def _plain(value: bytes) -> bytes:
    return value.strip(b" \0")


def _uid(value: bytes) -> str:
    return _plain(value).decode("ascii", errors="replace")
