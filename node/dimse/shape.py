"""How deep and how many: the shape of a small data set, measured before a parser that recurses sees a byte of it.

Iterative, and looks into sequences whether or not they say their length. Not for objects that arrive: those are walked
by node/listen/scan.py, which keeps what their rows need and skips the rest.
"""

import struct

from node.errors import ProtocolBroken

MAX_DEPTH = 8
"""Sequences in sequences; a report of storage commitment has one, the answers of a query at most three."""
MAX_ELEMENTS = 50_000
"""Elements and items; a megabyte of references with UIDs of full length has some 30 000."""

_PLAIN = struct.Struct("<HHI")
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<I")
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


def check(data: bytes | bytearray, *, is_implicit: bool) -> None:
    """Refuse what is nested too deep or has too many elements; whether it is a data set at all is the parser's matter.

    In implicit VR nothing tells a sequence of stated length from another value but that it begins with an item: what
    looks like one is looked into.

    Raises
    ------
    ProtocolBroken
    """
    ends: list[int] = [len(data)]  # of the data set, and of the sequences and items that the walk is in
    position = count = 0
    while ends:
        if position + 8 > ends[-1]:
            end = ends.pop()
            if position > end and ends:
                raise ProtocolBroken("An identifier holds an element that is longer than what holds it.")
            position = end
            continue
        tag, vr, length, position = _head(data, position, is_implicit=is_implicit)
        count += 1
        if count > MAX_ELEMENTS:
            raise ProtocolBroken(f"An identifier has more than {MAX_ELEMENTS} elements.")
        if tag in (_ITEM_END, _SEQUENCE_END):
            if len(ends) > 1:
                ends.pop()
        elif length == _UNDEFINED or tag == _ITEM or _is_sequence(data, position, vr, length):
            ends.append(len(data) if length == _UNDEFINED else min(position + length, len(data)))
            if len(ends) > 2 * MAX_DEPTH + 1:
                raise ProtocolBroken(f"An identifier has sequences nested more than {MAX_DEPTH} deep.")
        else:
            position += length


def _head(data: bytes | bytearray, position: int, *, is_implicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR, length of an element, and where its value begins (PS3.5 7.1.2, 7.1.3, 7.5)."""
    group, element, length = _PLAIN.unpack_from(data, position)
    if is_implicit or group == 0xFFFE:
        return group << 16 | element, b"", length, position + 8
    _, _, vr, length = _EXPLICIT.unpack_from(data, position)
    if vr not in _LONG:
        return group << 16 | element, vr, length, position + 8
    if position + 12 > len(data):
        return group << 16 | element, vr, 0, len(data)
    return group << 16 | element, vr, _LENGTH.unpack_from(data, position + 8)[0], position + 12


def _is_sequence(data: bytes | bytearray, position: int, vr: bytes, length: int) -> bool:
    if vr == b"SQ":
        return True
    return vr in (b"", b"UN") and length >= 8 and data[position : position + 4] == b"\xfe\xff\x00\xe0"
