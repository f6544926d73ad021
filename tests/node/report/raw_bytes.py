"""Elements spelled byte for byte: what real senders write and no library would."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from struct import pack, unpack_from

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.node.report.made_cases import Case

LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})


def spelled(case: Case, values: Mapping[str, bytes | None]) -> Case:
    """The case with these bytes in every header of its first source; None removes an element."""
    source = case.sources[0]
    datasets = tuple(respelled(ds, values) for ds in source.datasets)
    return replace(case, sources=(replace(source, datasets=datasets), *case.sources[1:]))


def respelled(ds: Dataset, values: Mapping[str, bytes | None]) -> Dataset:
    """The data set written, changed in its bytes and read again; Explicit VR Little Endian only."""
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    data = buffer.getvalue()
    elements = _elements(data)
    for keyword, value in values.items():
        tag = Tag(keyword)
        elements.pop(int(tag), None)
        if value is not None:
            padded = value + b" " * (len(value) % 2)
            vr = dictionary_VR(tag).encode()
            elements[int(tag)] = pack("<HH2sH", tag.group, tag.element, vr, len(padded)) + padded
    return pydicom.dcmread(BytesIO(data[:132] + b"".join(elements[tag] for tag in sorted(elements))))


def raw(ds: Dataset, keyword: str) -> bytes | None:
    """The bytes of an element without padding, before anything was decoded; None when absent."""
    if keyword not in ds:
        return None
    element = ds.get_item(Tag(keyword))
    if isinstance(element, RawDataElement):
        return (element.value or b"").rstrip(b" \0")
    value = ds[keyword].value or ""  # what reading itself decodes: UIDs and the character set, both ASCII
    return ("\\".join(value) if not isinstance(value, str) else value).encode("ascii")


def _elements(data: bytes) -> dict[int, bytes]:
    """Top-level elements of a file by tag, each with its header."""
    found: dict[int, bytes] = {}
    at = 132
    while at < len(data):
        group, element, vr = unpack_from("<HH2s", data, at)
        length, head = (
            (unpack_from("<I", data, at + 8)[0], 12) if vr in LONG else (unpack_from("<H", data, at + 6)[0], 8)
        )
        found[group << 16 | element] = data[at : at + head + length]
        at += head + length
    return found
