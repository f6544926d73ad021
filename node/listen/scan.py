"""Walks an encoded data set as it arrives: what its header says, and whether its structure holds to the last byte.

Pure and security-critical: every byte comes from a stranger. It is iterative, copies nothing but the few values it
wants, keeps at most a kilobyte between two pieces, and skips what has a length without looking into it. It decodes no
value; what an image means is decided much later, in another process. Not for Deflated and Big Endian encodings.
"""

import hashlib
import re
import struct
from dataclasses import dataclass

from node.statuses import CANNOT_UNDERSTAND

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
UNWALKABLE = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.95"})
"""Deflated, Big Endian, and JPIP deflated transfer syntaxes."""

MAX_DEPTH = 256
"""Nested sequences of undefined length."""
MAX_ELEMENTS = 4_000_000
UID_LIMIT = 64
_IDENTIFIER_LIMIT = 1024

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
MODALITY = 0x00080060
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

_NAMES = {
    SOP_CLASS_UID: "SOP Class UID (0008,0016)",
    SOP_INSTANCE_UID: "SOP Instance UID (0008,0018)",
    MODALITY: "Modality (0008,0060)",
    PATIENT_ID: "Patient ID (0010,0020)",
    ISSUER_OF_PATIENT_ID: "Issuer of Patient ID (0010,0021)",
    STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
}
_LIMITS = dict.fromkeys(_NAMES, UID_LIMIT) | {PATIENT_ID: _IDENTIFIER_LIMIT, ISSUER_OF_PATIENT_ID: _IDENTIFIER_LIMIT}

_PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_FIRST_GROUP = 0x0008  # groups below belong to commands, files and directories (PS3.5 7.1, PS3.10)
_UNDEFINED = 0xFFFFFFFF

_EXPLICIT = struct.Struct("<HH2sH")
_PLAIN = struct.Struct("<HHI")
_LENGTH = struct.Struct("<I")

# PS3.5 7.1.2: bytes before the value, by VR
_SHORT = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_HEADS = dict.fromkeys(_SHORT.split(), 8) | dict.fromkeys(_LONG.split(), 12)
_UNKNOWN = frozenset({b"  ", b"??"})
"""What some modalities write where the dictionary leaves a choice (US or SS); that is of pixels, from group 0028 on."""
_FIRST_CHOICE = 0x00280000

# What the walk is inside of; the bottom of the stack is the data set itself.
_EXPLICIT_ELEMENTS = 0
_IMPLICIT_ELEMENTS = 1
_EXPLICIT_ITEMS = 2
_IMPLICIT_ITEMS = 3
_FRAGMENTS = 4

_UID = re.compile(rb"[0-9]+(?:\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header says; UIDs are checked, the patient is a hash."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    patient_key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object is not taken: the status to answer, and a sentence without a value of the data set."""

    status: int
    reason: str


def is_uid(value: bytes) -> bool:
    """Digits and dots, at most 64 (PS3.5 9.1); leading zeros in a component pass, for archives hold such UIDs."""
    return len(value) <= UID_LIMIT and _UID.fullmatch(value) is not None


class Scanner:
    """Fed the pieces of one data set in order; a piece is not kept."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        is_implicit = transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN
        self._stack = [_IMPLICIT_ELEMENTS if is_implicit else _EXPLICIT_ELEMENTS]
        self._values: dict[int, bytes] = {}
        self._carry = b""
        self._skip = 0
        self._last = -1  # tag of the last element of the data set itself
        self._count = 0
        self._refusal: Refusal | None = None

    def feed(self, piece: memoryview | bytes) -> Refusal | None:
        """Take the next piece; a refusal is final."""
        size = len(piece)
        if self._refusal is not None:
            return self._refusal
        if self._skip >= size:
            self._skip -= size
            return None
        data: memoryview | bytes = piece
        position, self._skip = self._skip, 0
        if self._carry:
            data = self._carry + bytes(piece)
            size = len(data)
        position = self._walk(data, position, size)
        if position > size:
            self._skip, position = position - size, size
        self._carry = bytes(data[position:])
        if self._count > MAX_ELEMENTS:
            self._refuse(f"The data set has more than {MAX_ELEMENTS} elements.")
        return self._refusal

    def finish(self) -> Facts | Refusal:
        """The verdict, when no more pieces come."""
        if self._refusal is None and (self._skip or self._carry or len(self._stack) > 1):
            self._refuse("The data set ends before its last element does: it is cut off.")
        missing = [name for tag, name in _NAMES.items() if _is_required(tag) and not self._value(tag)]
        if self._refusal is None and missing:
            self._refuse(f"The data set has no {' and no '.join(missing)}.")
        if self._refusal is not None:
            return self._refusal
        for tag in filter(_is_required, _NAMES):
            if not is_uid(self._value(tag)):
                return Refusal(CANNOT_UNDERSTAND, f"{_NAMES[tag]} is not a UID: only digits and dots are allowed.")
        identity = self._value(PATIENT_ID) + b"\0" + self._value(ISSUER_OF_PATIENT_ID)
        return Facts(
            sop_class_uid=self._value(SOP_CLASS_UID).decode(),
            sop_instance_uid=self._value(SOP_INSTANCE_UID).decode(),
            study_instance_uid=self._value(STUDY_INSTANCE_UID).decode(),
            series_instance_uid=self._value(SERIES_INSTANCE_UID).decode(),
            modality=self._value(MODALITY).decode("ascii", "replace"),
            patient_key=hashlib.sha256(identity).hexdigest(),
        )

    def _value(self, tag: int) -> bytes:
        """A wanted value without its padding: one NUL after a UID, spaces around a text (PS3.5 6.2)."""
        return self._values.get(tag, b"").removesuffix(b"\0").strip(b" ")

    def _refuse(self, reason: str) -> None:
        if self._refusal is None:
            self._refusal = Refusal(CANNOT_UNDERSTAND, reason)

    def _walk(self, data: memoryview | bytes, position: int, size: int) -> int:
        """Go on until more bytes are needed; the first position that is not dealt with."""
        steps = (self._explicit, self._implicit, self._items, self._items, self._items)
        before = -1
        while position > before and self._refusal is None:  # no step forward: the rest of an element is still to come
            before = position
            position = steps[self._stack[-1]](data, position, size)
        return position

    def _explicit(self, data: memoryview | bytes, position: int, size: int) -> int:
        """Elements with explicit VR (PS3.5 7.1.2), until the walk enters or leaves a sequence."""
        is_top, last = len(self._stack) == 1, self._last
        unpack = _EXPLICIT.unpack_from
        while size - position >= 8:
            group, element, vr, length = unpack(data, position)
            tag = group << 16 | element
            head = _HEADS.get(vr)
            if head == 12:
                if size - position < 12:
                    break
                length = _LENGTH.unpack_from(data, position + 8)[0]
                if length == _UNDEFINED:
                    self._last = last
                    return self._enter(tag, vr, position + 12)
            elif head is None:
                if vr not in _UNKNOWN or tag < _FIRST_CHOICE:
                    return self._leave(tag, position)
                head = 8
            end = position + head + length
            if is_top:
                if tag <= last or group < _FIRST_GROUP:
                    return self._misplaced(tag, last, position)
                if tag in _LIMITS and not self._keep(tag, data, position + head, end, size):
                    break
                last = tag
            self._count += 1
            position = end
        self._last = last
        return position

    def _implicit(self, data: memoryview | bytes, position: int, size: int) -> int:
        """Elements with implicit VR (PS3.5 7.1.3), until the walk enters or leaves a sequence."""
        is_top, last = len(self._stack) == 1, self._last
        unpack = _PLAIN.unpack_from
        while size - position >= 8:
            group, element, length = unpack(data, position)
            tag = group << 16 | element
            if group == 0xFFFE:
                return self._leave(tag, position)
            if length == _UNDEFINED:
                self._last = last
                return self._enter(tag, b"", position + 8)
            end = position + 8 + length
            if is_top:
                if tag <= last or group < _FIRST_GROUP:
                    return self._misplaced(tag, last, position)
                if tag in _LIMITS and not self._keep(tag, data, position + 8, end, size):
                    break
                last = tag
            self._count += 1
            position = end
        self._last = last
        return position

    def _items(self, data: memoryview | bytes, position: int, size: int) -> int:
        """Items of a sequence, or fragments of pixel data (PS3.5 7.5, A.4), until the walk enters one or leaves."""
        kind = self._stack[-1]
        while size - position >= 8:
            group, element, length = _PLAIN.unpack_from(data, position)
            tag = group << 16 | element
            position += 8
            if tag == _SEQUENCE_END:
                self._stack.pop()
                return position
            if tag != _ITEM or (length == _UNDEFINED and kind == _FRAGMENTS):
                self._refuse(f"A sequence holds the element {_shown(tag)} where an item is due.")
                return position
            self._count += 1
            if length == _UNDEFINED:
                self._stack.append(_EXPLICIT_ELEMENTS if kind == _EXPLICIT_ITEMS else _IMPLICIT_ELEMENTS)
                return position
            position += length
        return position

    def _enter(self, tag: int, vr: bytes, value: int) -> int:
        """Go into an element of undefined length, whose value starts at `value`."""
        if len(self._stack) == 1:
            if tag <= self._last or tag >> 16 < _FIRST_GROUP:
                return self._misplaced(tag, self._last, value)
            self._last = tag
        if vr in (b"OB", b"OW") or (not vr and tag == _PIXEL_DATA):
            self._stack.append(_FRAGMENTS)
        elif vr == b"SQ":
            self._stack.append(_EXPLICIT_ITEMS)
        elif vr in (b"", b"UN"):  # PS3.5 6.2.2 note 2: UN of undefined length holds implicit VR
            self._stack.append(_IMPLICIT_ITEMS)
        else:
            self._refuse(f"The element {_shown(tag)} has no length, which its VR does not allow.")
        if len(self._stack) > 2 * MAX_DEPTH + 1:
            self._refuse(f"Sequences are nested more than {MAX_DEPTH} deep.")
        self._count += 1
        return value

    def _leave(self, tag: int, position: int) -> int:
        """Go out of an item; whatever else has no VR that we know does not belong here."""
        if tag == _ITEM_END and len(self._stack) > 1:
            self._stack.pop()
            return position + 8
        if tag >> 16 == 0xFFFE:
            self._refuse(f"The delimiter {_shown(tag)} stands where no sequence is open.")
        else:
            self._refuse(f"The element {_shown(tag)} has no VR of explicit VR encoding.")
        return position

    def _misplaced(self, tag: int, last: int, position: int) -> int:
        if tag >> 16 < _FIRST_GROUP:
            self._refuse(f"The data set holds the element {_shown(tag)}, which does not belong into a data set.")
        else:
            self._refuse(f"The element {_shown(tag)} comes after {_shown(last)}: the data set is not in order.")
        return position

    def _keep(self, tag: int, data: memoryview | bytes, start: int, end: int, size: int) -> bool:
        """Keep a wanted value; False when it has not arrived completely (or is refused)."""
        if end - start > _LIMITS[tag]:
            self._refuse(f"{_NAMES[tag]} has {end - start} bytes; {_LIMITS[tag]} are allowed.")
            return False
        if end > size:
            return False
        self._values[tag] = bytes(data[start:end])
        return True


def _is_required(tag: int) -> bool:
    return tag in (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)


def _shown(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
