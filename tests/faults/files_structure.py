"""Objects whose structure lies: cut off, too deep, wrong lengths, wrong order, wrong encoding, not DICOM at all."""

import struct
import zlib
from collections.abc import Callable, Iterator

from tests.faults.cases import ENDED, FOR_GOOD, Author, Case, Verdict
from tests.faults.octets import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_END,
    PIXEL_DATA,
    SEQUENCE_END,
    STUDY,
    UNDEFINED,
    bare,
    element,
    nested,
)

REFUSE, STORE, EITHER = Verdict.REFUSE, Verdict.STORE, Verdict.EITHER
_CUTS = 16


def cases(seed: int) -> Iterator[Case]:
    """All of this file."""
    yield from _cut_off(Author("cut off", seed))
    yield from _lengths(Author("lengths that lie", seed))
    yield from _depth(Author("nesting", seed))
    yield from _numbers(Author("many elements", seed))
    yield from _delimiters(Author("delimiters", seed))
    yield from _order(Author("order and groups", seed))
    yield from _encodings(Author("encodings", seed))
    yield from _strangers(Author("not DICOM", seed))
    yield from _representations(Author("value representations", seed))


def _replacing(tag: int, new: bytes) -> Callable[[bytes], bytes]:
    """Put `new` where the element begins that has this tag, and drop what is behind it."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return lambda data: data[: data.index(head)] + new


def _before(tag: int, new: bytes) -> Callable[[bytes], bytes]:
    """Put `new` in front of the element of this tag."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return lambda data: data.replace(head, new + head, 1)


def _cut_within(data: bytes, share: float) -> bytes:
    """The share of the header that is kept, cut within an element: what ends between two may be legal."""
    place = int(share * (len(data) - 524))
    start = 0
    while start < place:  # the header holds short explicit elements only
        start += 8 + struct.unpack_from("<H", data, start + 6)[0]
    return data[: place + 1 if start == place else place]


def _cut_off(author: Author) -> Iterator[Case]:
    pixels = 512 + 12
    for number in range(_CUTS):
        keep = author.chance.random()
        yield author.case(f"cut {number}", REFUSE, spoil=lambda data, keep=keep: _cut_within(data, keep))
    for left in (1, 3, 5, 7, 9, 11, 13, 300, 511):
        yield author.case(f"cut {left} bytes into the last element", REFUSE,
                          spoil=lambda data, left=left: data[: len(data) - pixels + left])  # fmt: skip
    yield author.case("without its last byte", REFUSE, spoil=lambda data: data[:-1])
    yield author.case("ends before the pixels", EITHER, spoil=lambda data: data[:-pixels])
    for extra in (b"\0", b"\0\0\0", b"\xff" * 7, bytes(8)):
        yield author.case(f"{len(extra)} bytes too many, {extra[:1].hex()}", REFUSE,
                          spoil=lambda data, extra=extra: data + extra)  # fmt: skip
    yield author.case("trailing padding", STORE, {0xFFFCFFFC: (b"OB", bytes(64))})


def _lengths(author: Author) -> Iterator[Case]:
    pixels = element(PIXEL_DATA, b"OW", bytes(512))
    for words, length in {
        "two more": 514, "4 GB": 0xFFFFFFFE, "2 GB": 0x80000000, "2 GB less one": 0x7FFFFFFF, "64 kB": 65536,
    }.items():  # fmt: skip
        lie = element(PIXEL_DATA, b"OW", bytes(512), length=length)
        yield author.case(f"pixel data said to have {words}", REFUSE, spoil=_replacing(PIXEL_DATA, lie))
    short = element(PIXEL_DATA, b"OW", bytes(512), length=500)
    yield author.case("pixel data said to have less", REFUSE, spoil=_replacing(PIXEL_DATA, short))
    for length in (0xFFFF, 0xFFFE, 0x7FFF, 0x1001):
        lie = element(0x00100010, b"PN", b"CANARY^SINGING", length=length)
        yield author.case(f"name said to have {length} bytes", REFUSE, spoil=_before(0x00100020, lie))
    for words, length in {"one": 1, "odd": 13, "odd and long": 501}.items():
        odd = element(0x00104000, b"LT", b"x" * length)
        yield author.case(f"a text of odd length, {words}", EITHER, spoil=_before(0x00180015, odd))
    text = element(0x00184000, b"UT", b"words", length=UNDEFINED)
    yield author.case("a text of undefined length", REFUSE, spoil=_before(0x00185101, text))
    for vr in (b"UC", b"UR", b"OD"):
        value = element(0x00184000, vr, b"1234", length=UNDEFINED)
        yield author.case(f"{vr.decode()} of undefined length", EITHER, spoil=_before(0x00185101, value))
    item = bare(ITEM, 0xFFFFFFFE) + bytes(8)
    lie = element(0x00081140, b"SQ", item, length=UNDEFINED)
    yield author.case("an item said to have 4 GB", REFUSE, spoil=_before(0x00100010, lie))
    inner = element(0x00081140, b"SQ", bare(ITEM, 500) + bytes(8))
    yield author.case("an item longer than its sequence", EITHER, spoil=_before(0x00100010, inner))
    long = element(0x00081140, b"SQ", bare(ITEM), length=0x7FFFFFF0)
    yield author.case("a sequence longer than the object", REFUSE, spoil=_before(0x00100010, long))
    yield author.case("a study UID said to have 60000 bytes", REFUSE,
                      spoil=_replacing(STUDY, element(STUDY, b"UI", b"1.2.3.4", length=60000) + pixels))  # fmt: skip
    yield author.case("a patient's ID of 4096 bytes", EITHER, {0x00100020: (b"LO", b"C" * 4096)})


def _depth(author: Author) -> Iterator[Case]:
    tail = 0x00100010
    for depth, verdict in ((50, STORE), (200, STORE), (1000, EITHER), (50_000, EITHER)):
        yield author.case(f"{depth} sequences deep", verdict, spoil=_before(tail, nested(depth)))
    for depth in (200, 1000, 50_000):
        yield author.case(f"{depth} sequences of defined length deep", EITHER,
                          spoil=_before(tail, nested(depth, defined=True)))  # fmt: skip
    for depth in (200, 50_000):
        deep = nested(depth, syntax=IMPLICIT)
        yield author.case(f"{depth} sequences deep in implicit VR", EITHER, syntax=IMPLICIT,
                          spoil=_before(tail, deep))  # fmt: skip
        unknown = nested(depth, syntax=IMPLICIT).replace(struct.pack("<HHI", 9, 0x1001, UNDEFINED),
            element(0x00091001, b"UN", b"", length=UNDEFINED), 1)  # fmt: skip
        yield author.case(f"{depth} sequences deep in an unknown VR", EITHER, spoil=_before(tail, unknown))
    yield author.case("50000 sequences that never end", REFUSE, spoil=_before(tail, nested(50_000, closed=False)))
    yield author.case("50 sequences that never end", REFUSE, spoil=_before(tail, nested(50, closed=False)))
    wide = element(0x00091001, b"SQ", (bare(ITEM, UNDEFINED) + bare(ITEM_END)) * 60_000, length=UNDEFINED)
    yield author.case("60000 empty items", EITHER, spoil=_before(tail, wide + bare(SEQUENCE_END)))


def _numbers(author: Author) -> Iterator[Case]:
    def tiny(count: int) -> bytes:
        return b"".join(struct.pack("<HH2sH", 0x0009 + 2 * (n // 0xF000), 0x1000 + n % 0xF000, b"LO", 0)
                        for n in range(count))  # fmt: skip

    yield author.case("60000 private elements", EITHER, spoil=_before(0x00100010, tiny(60_000)[: 8 * 60_000]))
    inside = tiny(0xF000) * 5
    item = element(0x00081140, b"SQ", bare(ITEM, UNDEFINED) + inside + bare(ITEM_END), length=UNDEFINED)
    yield author.case("300000 elements in an item", EITHER, spoil=_before(0x00100010, item + bare(SEQUENCE_END)))

    def millions(data: bytes) -> bytes:
        inside = bare(ITEM, UNDEFINED) + tiny(0xF000) * 66 + bare(ITEM_END)
        item = element(0x00081140, b"SQ", inside, length=UNDEFINED)
        return _before(0x00100010, item + bare(SEQUENCE_END))(data)

    yield author.case("4 million elements in an item", EITHER, heavy=True, spoil=millions)
    yield author.case("a text of 20 MB", EITHER, {0x00091010: (b"UT", b"x" * 20_000_000)}, heavy=True)


def _delimiters(author: Author) -> Iterator[Case]:
    for words, stray in {
        "an item end": bare(ITEM_END), "a sequence end": bare(SEQUENCE_END), "an item": bare(ITEM, 0),
        "an item of undefined length": bare(ITEM, UNDEFINED),
    }.items():  # fmt: skip
        yield author.case(f"{words} where no sequence is open", REFUSE, spoil=_before(0x00100010, stray))
    head = element(0x00081140, b"SQ", b"", length=UNDEFINED)
    inside = {
        "an element instead of an item": element(0x00081150, b"UI", b"1.2.3\0") + bare(SEQUENCE_END),
        "the wrong end of an item": bare(ITEM, UNDEFINED) + bare(SEQUENCE_END) + bare(ITEM_END),
        "no end": bare(ITEM, UNDEFINED),
        "noise instead of an item": bytes(range(200, 216)) + bare(SEQUENCE_END),
    }
    for words, content in inside.items():
        verdict = EITHER if words == "the wrong end of an item" else REFUSE
        yield author.case(f"a sequence with {words}", verdict, spoil=_before(0x00100010, head + content))
    counted = bare(ITEM_END, 8) + bare(SEQUENCE_END, 8)
    yield author.case("delimiters with a length", EITHER,
                      spoil=_before(0x00100010, head + bare(ITEM, UNDEFINED) + counted))  # fmt: skip
    yield author.case("an empty sequence of each kind", STORE,
                      spoil=_before(0x00100010, head + bare(SEQUENCE_END)))  # fmt: skip


def _order(author: Author) -> Iterator[Case]:
    swapped = element(0x00100010, b"PN", b"A^B ") + element(0x00090010, b"LO", b"X ")
    yield author.case("tags out of order", REFUSE, {0x00100010: None}, spoil=_before(0x00100020, swapped))
    twice = element(0x00100020, b"LO", b"ANOTHER ")
    yield author.case("two patient IDs", REFUSE, spoil=_before(0x00100030, twice))
    pixels = element(PIXEL_DATA, b"OW", bytes(512))
    yield author.case("pixel data twice", REFUSE, spoil=lambda data: data + pixels)
    meta = element(0x00020010, b"UI", b"1.2.840.10008.1.2.2\0")
    yield author.case("file meta in the data set", REFUSE, spoil=lambda data: meta + data)
    yield author.case("file meta at the end", REFUSE, spoil=lambda data: data + meta)
    group = element(0x00000002, b"UI", b"1.2.840.10008.1.1\0")
    yield author.case("a command in the data set", REFUSE, spoil=lambda data: group + data)
    directory = element(0x00041500, b"CS", b"..\\..\\PASSWD ")
    yield author.case("a directory record in the data set", REFUSE, spoil=lambda data: directory + data)
    yield author.case("a group length", STORE, {0x00080000: (b"UL", struct.pack("<I", 4))})
    yield author.case("a group length that lies", EITHER, {0x00080000: (b"UL", struct.pack("<I", 0xFFFFFFF0))})
    yield author.case("the last tag there is", EITHER, {0xFFFFFFFF: (b"LO", b"x ")})
    yield author.case("a private element without a creator", STORE, {0x00111010: (b"LO", b"x ")})
    noise = author.chance.randbytes(4000)
    yield author.case("private noise", STORE, {0x00110010: (b"LO", b"NOISE "), 0x00111010: (b"UN", noise)})
    yield author.case("private noise said to be a sequence", EITHER, {
        0x00110010: (b"LO", b"NOISE "), 0x00111010: (b"SQ", noise)})  # fmt: skip
    yield author.case("a creator for a block of none", STORE, {0x001100FF: (b"LO", b"X ")})


def _encodings(author: Author) -> Iterator[Case]:
    ended = frozenset({"C"}) | ENDED
    yield author.case("big endian inside explicit little endian", REFUSE, encoding=BIG_ENDIAN)
    yield author.case("explicit inside implicit", REFUSE, syntax=IMPLICIT, encoding=EXPLICIT)
    yield author.case("implicit inside explicit", REFUSE, encoding=IMPLICIT)
    yield author.case("honest implicit", STORE, syntax=IMPLICIT)
    yield author.case("big endian as negotiated", EITHER, syntax=BIG_ENDIAN, refusals=ended)
    yield author.case("little endian inside big endian", REFUSE, syntax=BIG_ENDIAN, encoding=EXPLICIT, refusals=ended)

    def deflated(data: bytes) -> bytes:
        squeeze = zlib.compressobj(9, wbits=-15)
        return squeeze.compress(data) + squeeze.flush()

    def bomb(data: bytes) -> bytes:
        return deflated(data[:-524] + element(PIXEL_DATA, b"OW", bytes(300_000_000)))

    yield author.case("deflated", EITHER, syntax=DEFLATED, encoding=EXPLICIT, spoil=deflated, refusals=ended)
    yield author.case("deflated noise", REFUSE, syntax=DEFLATED, encoding=EXPLICIT, refusals=ended,
                      spoil=lambda _: author.chance.randbytes(500))  # fmt: skip
    yield author.case("deflated, cut off", REFUSE, syntax=DEFLATED, encoding=EXPLICIT, refusals=ended,
                      spoil=lambda data: deflated(data)[:-40])  # fmt: skip
    yield author.case("300 MB deflated to 300 kB", EITHER, syntax=DEFLATED, encoding=EXPLICIT, spoil=bomb,
                      refusals=ended)  # fmt: skip


def _strangers(author: Author) -> Iterator[Case]:
    meta = b"DICM" + element(0x00020010, b"UI", EXPLICIT.encode() + b"\0")
    heads = {
        "nothing": b"", "one byte": b"\x08", "four kB of zeros": bytes(4096), "four kB of ones": b"\xff" * 4096,
        "noise": author.chance.randbytes(5000), "a web page": b"<html><script>alert(1)</script></html>" * 20,
        "an archive": b"PK\x03\x04" + bytes(200), "another association": b"\x01\0\0\0\0\xcd" + bytes(205),
    }  # fmt: skip
    for words, head in heads.items():
        yield author.case(words, REFUSE, spoil=lambda _, head=head: head, refusals=FOR_GOOD)
    for words, preamble in {
        "a program for Windows": b"MZ\x90",
        "a program for Linux": b"\x7fELF",
        "a script": b"#!/bin/sh\n",
        "a picture": b"II*\0",
    }.items():
        yield author.case(f"a whole file whose preamble is {words}", REFUSE,
                          spoil=lambda data, preamble=preamble: preamble.ljust(128, b"\0") + meta + data)  # fmt: skip


def _representations(author: Author) -> Iterator[Case]:
    for vr in (b"ZZ", b"us", b"\0\0", b"\xff\xff", b"A1"):
        odd = struct.pack("<HH2sH", 0x0009, 0x1010, vr, 4) + b"1234"
        yield author.case(f"a VR of {vr.hex()}", EITHER if vr == b"\0\0" else REFUSE, spoil=_before(0x00100010, odd))
    for vr in (b"  ", b"??"):
        odd = struct.pack("<HH2sH", 0x0009, 0x1010, vr, 4) + b"1234"
        yield author.case(f"a VR of {vr.hex()}, which modalities write", EITHER, spoil=_before(0x00100010, odd))
    for words, change in {
        "rows as text": {0x00280010: (b"LO", b"many")},
        "rows as bytes": {0x00280010: (b"OB", b"\x10\0")},
        "rows of three bytes": {0x00280010: (b"US", b"\x10\0\0\0\0\0")},
        "a name as a sequence": {0x00100010: (b"SQ", b"A^B ")},
        "spacing of words": {0x00280030: (b"DS", b"one\\two ")},
        "spacing not a number": {0x00280030: (b"DS", b"NaN\\inf ")},
        "position of noise": {0x00200032: (b"DS", bytes(range(128, 160)))},
        "a date of words": {0x00080020: (b"DA", b"tomorrow")},
        "a number of 400 digits": {0x00200013: (b"IS", b"9" * 400)},
        "an age of minus one": {0x00101010: (b"AS", b"-01Y")},
        "a float of no bytes": {0x00189087: (b"FD", b"")},
        "a float of three bytes": {0x00189087: (b"FD", b"123 ")},
    }.items():
        yield author.case(words, EITHER, change)
