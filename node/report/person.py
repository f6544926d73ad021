"""Who a page of paper is about, in the letters that its fonts have.

A result carries the bytes of a name untouched (node/report/patient.py). Paper has to draw letters, and the fonts that
every reader of PDF has are those of western Europe. So of a name the first of its component groups (alphabetic,
ideographic, phonetic: PS3.5 6.2.1) that can be drawn is drawn; where none can, or where nobody says what its bytes
mean, the page says so and leaves the name out. The file carries it all the same, and the Patient ID identifies.
"""

import warnings
from collections.abc import Mapping

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import TEXT_VR_DELIMS, PersonName

from node.report.helvetica import is_drawable
from node.report.patient import CHARACTER_SET

_HEADER = 8
"""Bytes before the value of an element with a 16-bit length."""
NOT_DRAWABLE = "(name not printable here)"
_GROUPS = ("alphabetic", "ideographic", "phonetic")


def name_line(carried: Mapping[BaseTag, bytes]) -> str:
    """The name as one writes it, or that it cannot be drawn; empty where there is none."""
    value = _value(carried, "PatientName")
    if not value.strip(b"^= "):
        return ""
    encodings = _encodings(carried, value)
    if encodings is None:
        return NOT_DRAWABLE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = PersonName(value, encodings)
        groups = [str(getattr(name, group)) for group in _GROUPS]
    return next((written for group in groups if is_drawable(written := _written(group)) and written), NOT_DRAWABLE)


def text_line(carried: Mapping[BaseTag, bytes], keyword: str) -> str:
    """A text of patient or study; empty where there is none, or none that can be drawn."""
    value = _value(carried, keyword)
    encodings = _encodings(carried, value)
    if encodings is None:
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = decode_bytes(value, encodings, TEXT_VR_DELIMS).strip(" \0")
    return text if is_drawable(text) else ""


def day_line(carried: Mapping[BaseTag, bytes], keyword: str) -> str:
    """A date as 2026-03-01; empty where there is none."""
    day = text_line(carried, keyword)
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdigit() else ""


def _value(carried: Mapping[BaseTag, bytes], keyword: str) -> bytes:
    return carried.get(Tag(keyword), b"")[_HEADER:].rstrip(b" \0")


def _encodings(carried: Mapping[BaseTag, bytes], value: bytes) -> list[str] | None:
    """What the declared character sets are called here; None where the bytes could mean anything."""
    declared = carried.get(CHARACTER_SET, b"")[_HEADER:].decode("ascii", errors="replace")
    names = [name.strip(" \0") for name in declared.split("\\")]
    is_plain = value.isascii() and b"\x1b" not in value
    if not any(names):
        return ["ascii"] if is_plain else None
    if any(name not in python_encoding for name in names):
        return ["ascii"] if is_plain else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(convert_encodings(names))


def _written(group: str) -> str:
    """Family name first, as lists of patients have it."""
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    others = " ".join(each for each in (prefix, given, middle, suffix) if each.strip())
    return ", ".join(each.strip() for each in (family, others) if each.strip())
