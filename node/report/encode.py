"""From a data set to the bytes that are stored, sent and compared: Explicit VR Little Endian, group 2 apart.

Elements of our own are ASCII; what a source gave (node/report/patient.py) is set in as the bytes it was.
"""

import struct
import unicodedata
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from node.part10 import file_head
from node.report.kind import Kind
from storage.results import ResultFile, Role

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """One result, ready for the disk and the wire."""

    kind: Kind
    order: int
    """Its place among the results of the study: they are sent in this order."""
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    data: bytes
    """The data set as it goes over the wire, without preamble and file meta information."""
    roles: tuple[Role, ...] = ()
    """Which profiles get it, and how."""

    def kept_at(self, path: str, sha256: str) -> ResultFile:
        """The same as a row, its bytes on stable storage under that path."""
        return ResultFile(
            kind=self.kind.value,
            order=self.order,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            series_instance_uid=self.series_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            path=path,
            size=len(self.data),
            sha256=sha256,
            roles=self.roles,
        )


def encoded(ds: Dataset, carried: Mapping[BaseTag, bytes]) -> bytes:
    """The data set with the elements of its source, in the order of tags.

    Parameters
    ----------
    carried
        Elements already encoded; each replaces the data set's own.
    """
    parts = elements(ds, carried)
    return b"".join(parts[tag] for tag in sorted(parts))


def elements(ds: Dataset, carried: Mapping[BaseTag, bytes]) -> dict[BaseTag, bytes]:
    """The same element by element: what other objects of a series can carry in their turn."""
    if "ContentSequence" not in ds:  # a document has no element whose VR hangs on another
        correct_ambiguous_vr(ds, True)
    parts = {element.tag: _element(element) for element in ds if element.tag not in carried}
    parts.update(carried)
    return parts


def part10(result: EncodedObject) -> bytes:
    """The same as a file (PS3.10 7.1), with our own implementation class."""
    return file_head(result.sop_class_uid, result.sop_instance_uid, result.transfer_syntax_uid) + result.data


def result_of(kind: Kind, order: int, ds: Dataset, carried: Mapping[BaseTag, bytes]) -> EncodedObject:
    """Encode a finished data set."""
    return EncodedObject(
        kind=kind,
        order=order,
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        data=encoded(ds, carried),
    )


def ascii_text(text: str, longest: int = 10_240) -> str:
    """Our own words in the characters that every character set contains, at most `longest` of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", errors="ignore").decode("ascii")
    return "".join(character if character.isprintable() else " " for character in plain).replace("\\", "/")[:longest]


def _element(element: DataElement) -> bytes:
    """One element, Explicit VR Little Endian (PS3.5 7.1.2), sequences and items with explicit lengths."""
    tag, vr = element.tag, str(element.VR)
    value = _value(vr, element.value)
    head = struct.pack("<HH2s", tag.group, tag.element, vr.encode("ascii"))
    if vr in EXPLICIT_VR_LENGTH_32:
        return b"".join((head, struct.pack("<2xI", len(value)), value))
    return b"".join((head, struct.pack("<H", len(value)), value))


def _value(vr: str, value: Any) -> bytes:
    """The value, padded to even length.

    Raises
    ------
    UnicodeEncodeError
        When a string of ours is not ASCII: it could not be read under every character set.
    """
    if vr == "SQ":
        return b"".join(map(_item, value or ()))
    if value is None or value == "":
        return b""
    several = list(value) if isinstance(value, MutableSequence) else [value]
    if vr in _NUMBERS:
        return struct.pack(f"<{len(several)}{_NUMBERS[vr]}", *several)
    if vr == "AT":
        return b"".join(struct.pack("<HH", Tag(each).group, Tag(each).element) for each in several)
    if isinstance(value, bytes):
        return value + b"\0" * (len(value) % 2)
    text = "\\".join(map(str, several)).encode("ascii")
    return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)


def _item(item: Dataset) -> bytes:
    body = b"".join(map(_element, item))
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
