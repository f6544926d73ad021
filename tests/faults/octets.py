"""Data sets written byte by byte, so that they can be wrong in every way that a toolkit would not let us be.

An object is a dictionary tag → (VR, value); `encoded` puts it in order and writes it in the encoding asked for.
"""

import struct
from collections.abc import Mapping

from tests.bench.uids import uid

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_BASELINE, JPEG_2000, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
MR_IMAGE, DX_IMAGE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1.1"

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})

Value = tuple[bytes, bytes]
Elements = dict[int, Value]


def padded(vr: bytes, value: bytes) -> bytes:
    """The value with an even length (PS3.5 6.2)."""
    return value + (b"\0" if vr in (b"UI", b"OB", b"UN") else b" ") * (len(value) % 2)


def element(tag: int, vr: bytes, value: bytes, *, length: int | None = None, syntax: str = EXPLICIT) -> bytes:
    """One element as it stands; `length` is what it claims, when that is a lie."""
    claimed = len(value) if length is None else length
    end = ">" if syntax == BIG_ENDIAN else "<"
    if syntax == IMPLICIT:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, claimed & 0xFFFFFFFF) + value
    if vr in _LONG:
        return struct.pack(end + "HH2s2xI", tag >> 16, tag & 0xFFFF, vr, claimed & 0xFFFFFFFF) + value
    return struct.pack(end + "HH2sH", tag >> 16, tag & 0xFFFF, vr, claimed & 0xFFFF) + value


def bare(tag: int, length: int = 0) -> bytes:
    """An item or a delimiter (PS3.5 7.5)."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def encoded(elements: Mapping[int, Value], syntax: str = EXPLICIT) -> bytes:
    """The elements in ascending order of their tags."""
    return b"".join(element(tag, vr, padded(vr, value), syntax=syntax) for tag, (vr, value) in sorted(elements.items()))


def us(value: int) -> Value:
    """An unsigned short."""
    return b"US", struct.pack("<H", value & 0xFFFF)


def honest(*identity: object, modality: str = "MR", rows: int = 16, columns: int = 16) -> Elements:
    """An image with nothing wrong; its UIDs follow from `identity`. MR of an abdomen, which no model answers, or DX."""
    sop_class = MR_IMAGE if modality == "MR" else DX_IMAGE
    study = uid("faults", "study", *identity)
    texts: dict[int, tuple[bytes, str]] = {
        0x00080005: (b"CS", "ISO_IR 100"),
        0x00080008: (b"CS", "ORIGINAL\\PRIMARY"),
        SOP_CLASS: (b"UI", sop_class),
        SOP_INSTANCE: (b"UI", uid(study, "instance")),
        0x00080020: (b"DA", "20260102"),
        0x00080030: (b"TM", "101112"),
        0x00080050: (b"SH", "CANARYACC"),
        0x00080060: (b"CS", modality),
        0x00080070: (b"LO", "FAULTS"),
        0x00100010: (b"PN", "CANARY^SINGING"),
        0x00100020: (b"LO", "CANARY-4711"),
        0x00100030: (b"DA", "19700101"),
        0x00100040: (b"CS", "O"),
        0x00180015: (b"CS", "ABDOMEN" if modality == "MR" else "KNEE"),
        0x00185101: (b"CS", "AP"),
        STUDY: (b"UI", study),
        SERIES: (b"UI", uid(study, "series")),
        0x00200010: (b"SH", "1"),
        0x00200011: (b"IS", "1"),
        0x00200013: (b"IS", "1"),
        0x00280004: (b"CS", "MONOCHROME2"),
    }
    if modality == "DX":
        texts |= {0x00080068: (b"CS", "FOR PRESENTATION"), 0x00181164: (b"DS", "0.15\\0.15")}
    numbers = {0x00280002: 1, 0x00280010: rows, 0x00280011: columns}
    numbers |= {0x00280100: 16, 0x00280101: 12, 0x00280102: 11, 0x00280103: 0}
    made: Elements = {tag: (vr, text.encode()) for tag, (vr, text) in texts.items()}
    made |= {tag: us(number) for tag, number in numbers.items()}
    made[PIXEL_DATA] = (b"OW", bytes(range(256)) * (rows * columns * 2 // 256))
    return made


def nested(depth: int, *, syntax: str = EXPLICIT, defined: bool = False, closed: bool = True) -> bytes:
    """A private sequence that holds itself `depth` times, with or without lengths; `closed` is whether it ends."""
    tag = 0x00091001
    head = 8 if syntax == IMPLICIT else 12
    if not defined:
        opening = element(tag, b"SQ", b"", length=UNDEFINED, syntax=syntax) + bare(ITEM, UNDEFINED)
        closing = bare(ITEM_END) + bare(SEQUENCE_END)
        return opening * depth + (closing * depth if closed else b"")
    levels = []
    for level in range(depth):  # the outermost holds all the others
        inside = (depth - level - 1) * (head + 8)
        levels.append(element(tag, b"SQ", b"", length=inside + 8, syntax=syntax) + bare(ITEM, inside))
    return b"".join(levels)


def fragments(*parts: bytes, table: bytes = b"", ended: bool = True) -> bytes:
    """Encapsulated pixel data (PS3.5 A.4) with a basic offset table and the fragments."""
    items = b"".join(bare(ITEM, len(part)) + part for part in (table, *parts))
    return element(PIXEL_DATA, b"OB", b"", length=UNDEFINED) + items + (bare(SEQUENCE_END) if ended else b"")
