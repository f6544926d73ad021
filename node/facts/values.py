"""Tolerant reading of single values: whatever a sender wrote, an answer or nothing, never an exception.

Works on values as pydicom keeps them before anybody asks (bytes), so that a wrong VR, a wrong length or a wrong
character set is ours to judge, and on data sets made in memory. Not for pixels.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import BaseTag, Tag

from node.facts import charset

MAX_VALUE_BYTES = 65536
"""More of a value is not looked at: no attribute that we decide on is longer."""
MAX_ITEMS = 20000

_NUMBERS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "OF": "f", "OD": "d",
    "OW": "H", "OL": "L",
}  # fmt: skip
_ODD_GROUP = 0x00010000
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF
_PADDING = " \x00\t\r\n"
_SPECIFIC_CHARACTER_SET = Tag(0x0008, 0x0005)


class Code(NamedTuple):
    """A coded concept (PS3.3 8.1)."""

    scheme: str
    value: str
    meaning: str


class Notes:
    """Sentences about an image that an admin should read: contradictions, unreadable values. Never a value from a text
    field, which may hold anything, a patient's name included."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """Keep a sentence once."""
        self._sentences[sentence] = None

    def all(self) -> tuple[str, ...]:
        """In the order they were added."""
        return tuple(self._sentences)


class Reader:
    """One data set or sequence item. Keywords name public attributes; `private` finds the tag of a private one."""

    def __init__(self, ds: Dataset, notes: Notes, declared: tuple[str, ...] = ()) -> None:
        self.notes = notes
        self._ds = ds
        self._known: dict[BaseTag, tuple[str, ...]] = {}
        self._creators: dict[tuple[int, str], int] | None = None
        self._declared = declared
        self._declared = self.texts("SpecificCharacterSet") or declared

    @property
    def declares_characters(self) -> bool:
        """Whether *Specific Character Set* (0008,0005) holds here."""
        return any(self._declared)

    def has(self, name: str | BaseTag) -> bool:
        """Whether the attribute is there and not empty."""
        return self._value(_tag(name)) not in (None, b"", "", [])

    def text(self, name: str | BaseTag) -> str:
        """The first value as text without padding, "" when there is none."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str | BaseTag) -> tuple[str, ...]:
        """All values as text; empty ones in between are kept, so that places count (*Image Type* (0008,0008))."""
        whole = self.readings(name)[0]
        return tuple(part.strip(_PADDING) for part in whole.split("\\")) if whole.strip(_PADDING) else ()

    def term(self, name: str | BaseTag) -> str:
        """The first value in capitals, for defined terms."""
        return self.text(name).upper()

    def terms(self, name: str | BaseTag) -> tuple[str, ...]:
        """All values in capitals."""
        return tuple(part.upper() for part in self.texts(name))

    def readings(self, name: str | BaseTag) -> tuple[str, ...]:
        """What the whole value may say, best guess first (node/facts/charset.py)."""
        tag = _tag(name)
        if tag not in self._known:
            self._known[tag] = self._readings(tag)
        return self._known[tag]

    def _readings(self, tag: BaseTag) -> tuple[str, ...]:
        value = self._value(tag)
        if isinstance(value, bytes):
            declared = () if tag == _SPECIFIC_CHARACTER_SET else self._declared
            return charset.readings(value[:MAX_VALUE_BYTES].rstrip(b" \x00"), declared)
        if value is None or isinstance(value, ItemSequence):
            return ("",)
        return charset.again("\\".join(map(str, _parts(value)))[:MAX_VALUE_BYTES], self._declared)

    def raw(self, name: str | BaseTag) -> bytes:
        """The bytes of a value that is bytes, b"" otherwise."""
        value = self._value(_tag(name))
        return value if isinstance(value, bytes) else b""

    def number(self, name: str | BaseTag, vr: str = "") -> float | None:
        """The first value as a finite number; None (and a note, if something is there) when it is none."""
        return next(iter(self.numbers(name, vr)), None)

    def numbers(self, name: str | BaseTag, vr: str = "") -> tuple[float, ...]:
        """All values as finite numbers, () as soon as one of them is not.

        Parameters
        ----------
        name
            Keyword or tag.
        vr
            How to understand bytes of a private attribute whose VR the data set does not tell.
        """
        tag = _tag(name)
        try:
            found = tuple(self._numbers(tag, vr))
        except (ValueError, TypeError, OverflowError, struct.error):
            found = (math.nan,)
        if all(math.isfinite(number) for number in found):
            return found
        self.notes.add(
            f"{name if isinstance(name, str) else tag} holds a value that is not a finite number; it is ignored."
        )
        return ()

    def integer(self, name: str | BaseTag) -> int | None:
        """The first value as a whole number."""
        number = self.number(name)
        return round(number) if number is not None and abs(number) < 2**53 else None

    def items(self, name: str | BaseTag) -> "tuple[Reader, ...]":
        """The items of a sequence; () when it is none or cannot be taken apart."""
        tag = _tag(name)
        try:
            value = self._ds[tag].value if tag in self._ds else None
        except Exception:  # noqa: BLE001  pydicom raises whatever a hostile sequence provokes
            self.notes.add(
                f"{name if isinstance(name, str) else tag} is a sequence that cannot be read; it is ignored."
            )
            return ()
        if not isinstance(value, ItemSequence):
            return ()
        return tuple(Reader(item, self.notes, self._declared) for item in list(value)[:MAX_ITEMS])

    def item(self, name: str | BaseTag) -> "Reader | None":
        """The first item of a sequence."""
        return next(iter(self.items(name)), None)

    def codes(self, name: str | BaseTag) -> tuple[Code, ...]:
        """The items of a code sequence."""
        return tuple(
            Code(
                item.text("CodingSchemeDesignator").upper(),
                item.text("CodeValue") or item.text("LongCodeValue"),
                item.text("CodeMeaning"),
            )
            for item in self.items(name)
        )

    def private(self, group: int, creator: str, element: int, maker: str = "") -> BaseTag | None:
        """The tag of a private attribute, found by its *Private Creator* (PS3.5 7.8.1), wherever its block lies.

        De-identification often takes the creators away and leaves the values. Where a group has no creator at all and
        *Manufacturer* (0008,0070) begins with `maker`, the value is looked for in the first block, with a note.
        """
        if self._creators is None:
            self._creators = dict(self._find_creators())
        block = self._creators.get((group, creator.upper()))
        if block is not None:
            return Tag(group, block << 8 | element)
        tag = Tag(group, _FIRST_BLOCK << 8 | element)
        if not maker or tag not in self._ds or any(known == group for known, _ in self._creators):
            return None
        if not self.term("Manufacturer").startswith(maker):
            return None
        self.notes.add("Private values have lost their Private Creator; they are read from their maker's usual place.")
        return tag

    def _find_creators(self) -> Iterator[tuple[tuple[int, str], int]]:
        for tag in self._ds.keys():  # noqa: SIM118  iterating a Dataset would convert every value
            if tag & _ODD_GROUP and _FIRST_BLOCK <= tag.element <= _LAST_BLOCK:
                yield (tag.group, self.text(tag).upper()), tag.element

    def _element(self, tag: BaseTag) -> DataElement | RawDataElement | None:
        try:
            return self._ds.get_item(tag, keep_deferred=True)
        except Exception:  # noqa: BLE001  absent (KeyError), or damaged in a way that only pydicom knows
            return None

    def _value(self, tag: BaseTag) -> object:
        element = self._element(tag)
        return None if element is None else element.value

    def _numbers(self, tag: BaseTag, vr: str) -> Iterator[float]:
        element = self._element(tag)
        value = None if element is None else element.value
        if element is None or value is None or isinstance(value, ItemSequence):
            return
        if isinstance(value, bytes):
            little = element.is_little_endian if isinstance(element, RawDataElement) else True
            yield from _numbers_in(value[:MAX_VALUE_BYTES], _vr_of(element, tag, vr), little)
            return
        for part in _parts(value):
            if part not in (None, ""):
                yield float(str(part))


def _parts(value: object) -> tuple[object, ...]:
    """The values that pydicom wrapped in one, or the one."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)


def _vr_of(element: DataElement | RawDataElement, tag: BaseTag, hint: str) -> str:
    """The VR to understand bytes by: the one declared, unless it says nothing."""
    declared = str(element.VR or "")
    if declared not in ("", "UN", "None"):
        return declared
    if hint:
        return hint
    try:
        return dictionary_VR(tag).split(" ")[0]
    except KeyError:
        return "UN"


def _numbers_in(raw: bytes, vr: str, little: bool) -> Iterator[float]:
    if vr not in _NUMBERS:
        text = raw.decode("latin-1").strip(_PADDING)
        yield from (float(_plain_number(part)) for part in text.split("\\") if part.strip(_PADDING))
        return
    size = struct.calcsize(f"<{_NUMBERS[vr]}")
    count = len(raw) // size
    yield from struct.unpack_from(f"{'<' if little else '>'}{count}{_NUMBERS[vr]}", raw)


def _plain_number(text: str) -> str:
    """A decimal comma, as some senders write it, becomes a point."""
    text = text.strip(_PADDING)
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def _tag(name: str | BaseTag) -> BaseTag:
    return name if isinstance(name, BaseTag) else _tag_of(name)


@cache
def _tag_of(name: str) -> BaseTag:
    tag = tag_for_keyword(name)
    if tag is None:
        raise ValueError(f"{name} is no DICOM keyword")
    return Tag(tag)
