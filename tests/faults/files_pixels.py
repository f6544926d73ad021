"""Objects whose pixels lie: impossible sizes, wrong lengths, broken encapsulation, bombs for decoders.

The structure of most is whole, so that a receiver may keep them; what reads them afterwards must live. They call
themselves radiographs of a knee, so that Osteon hands them to its decoder and does not decline them unseen.
"""

import struct
from collections.abc import Iterator

from tests.faults.cases import ENDED, Author, Case, Verdict
from tests.faults.octets import (
    EXPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    PIXEL_DATA,
    RLE,
    SEQUENCE_END,
    UNDEFINED,
    Elements,
    bare,
    element,
    fragments,
    us,
)

REFUSE, STORE, EITHER = Verdict.REFUSE, Verdict.STORE, Verdict.EITHER
_SIZES: dict[str, Elements] = {
    "no rows": {0x00280010: us(0)},
    "65535 by 65535": {0x00280010: us(65535), 0x00280011: us(65535)},
    "one more row than pixels": {0x00280010: us(17)},
    "pixels of no bits": {0x00280100: us(0)},
    "pixels of one bit": {0x00280100: us(1), 0x00280101: us(1), 0x00280102: us(0)},
    "pixels of seven bits": {0x00280100: us(7)},
    "pixels of 65535 bits": {0x00280100: us(65535), 0x00280101: us(65535), 0x00280102: us(65534)},
    "more bits stored than allocated": {0x00280101: us(64)},
    "no samples": {0x00280002: us(0)},
    "65535 samples": {0x00280002: us(65535)},
    "colour in words, grey in bytes": {0x00280004: (b"CS", b"RGB "), 0x00280002: us(3), 0x00280006: us(7)},
    "two billion frames": {0x00280008: (b"IS", b"2147483647")},
    "minus one frame": {0x00280008: (b"IS", b"-1")},
    "frames of words": {0x00280008: (b"IS", b"many")},
    "a palette of 65535 entries that is not there": {
        0x00280004: (b"CS", b"PALETTE COLOR "),
        0x00281101: (b"US", struct.pack("<HHH", 65535, 0, 16)),
    },
    "an unknown photometric interpretation": {0x00280004: (b"CS", b"CANARYCHROME")},
    "a slope of zero": {0x00281052: (b"DS", b"0 "), 0x00281053: (b"DS", b"0 ")},
    "a slope without end": {0x00281052: (b"DS", b"1e400 "), 0x00281053: (b"DS", b"-1e400")},
    "a spacing of zero": {0x00181164: (b"DS", b"0\\0 ")},
    "float pixels beside the others": {0x7FE00008: (b"OF", bytes(64))},
    "an overlay as large as the sea": {0x60000010: us(65535), 0x60000011: us(65535), 0x60003000: (b"OW", bytes(8))},
}


def cases(seed: int) -> Iterator[Case]:
    """All of this file."""
    yield from _sizes(Author("pixel sizes", seed, "DX"))
    yield from _encapsulated(Author("encapsulation", seed, "DX"))


def _sizes(author: Author) -> Iterator[Case]:
    for words, changes in _SIZES.items():
        yield author.case(words, EITHER, changes)
    for length in (0, 1, 2, 511, 513, 100_000):
        yield author.case(f"{length} bytes of pixels", EITHER, {PIXEL_DATA: (b"OW", bytes(length))})
    yield author.case("no pixel data", EITHER, {PIXEL_DATA: None})
    yield author.case("an honest radiograph", STORE)


def _jpeg(rows: int, columns: int) -> bytes:
    """The head of a JPEG image of that size, with nothing behind it."""
    frame = struct.pack(">BHHB", 8, rows, columns, 1) + b"\x01\x11\x00"
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
        + b"\0" * 20
    )


def _jpeg_2000(width: int, height: int, components: int = 1, tile: int = 1) -> bytes:
    """The main header of a JPEG 2000 codestream."""
    size = (
        struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, tile, tile, 0, 0, components) + b"\x0b\x01\x01" * components
    )
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + b"\xff\x52\0\x0c\0\0\0\x01\0\x05\x04\x04\0\0"


def _encapsulated(author: Author) -> Iterator[Case]:
    either = frozenset({"C"}) | ENDED
    native = {PIXEL_DATA: None}

    def wrapped(name: str, syntax: str, pixels: bytes, verdict: Verdict = EITHER) -> Case:
        return author.case(name, verdict, native, syntax=syntax, encoding=EXPLICIT, refusals=either,
                           spoil=lambda data: data + pixels)  # fmt: skip

    picture = _jpeg(16, 16)
    broken = {
        "no fragment": fragments(),
        "an empty fragment": fragments(b""),
        "fragments of odd length": fragments(b"\xff\xd8\xff"),
        "a table of three bytes": fragments(picture, table=b"123"),
        "a table that points outside": fragments(picture, table=struct.pack("<I", 0xFFFFFF00)),
        "a table of 40000 frames": fragments(picture, table=bytes(160_000)),
        "10000 fragments": fragments(*([b"\xff\xd8"] * 10_000)),
        "noise for a picture": fragments(author.chance.randbytes(3000)),
        "a picture of 65535 by 65535": fragments(_jpeg(65535, 65535)),
        "a picture without an end": fragments(picture[:24]),
    }
    for words, pixels in broken.items():
        yield wrapped(words, JPEG_BASELINE, pixels)
    unfinished = {
        "no end of the fragments": fragments(picture, ended=False),
        "a fragment said to have 4 GB": fragments(ended=False) + bare(0xFFFEE000, 0xFFFFFFFE) + bytes(8),
        "a fragment of undefined length": fragments(ended=False) + bare(0xFFFEE000, UNDEFINED) + bare(SEQUENCE_END),
        "an element among the fragments": fragments(ended=False)
        + element(0x00080060, b"CS", b"MR")
        + bare(SEQUENCE_END),
    }
    for words, pixels in unfinished.items():
        yield wrapped(words, JPEG_BASELINE, pixels, REFUSE)
    codestreams = {
        "of 4 billion by 4 billion": _jpeg_2000(0xFFFFFFFF, 0xFFFFFFFF),
        "of 16384 components": _jpeg_2000(16, 16, components=16384, tile=16),
        "of 4 billion tiles": _jpeg_2000(65535, 65535, tile=1),
        "of no tiles": _jpeg_2000(16, 16, tile=0),
        "of noise": b"\xff\x4f\xff\x51" + author.chance.randbytes(2000),
    }
    for words, stream in codestreams.items():
        yield wrapped(f"a codestream {words}", JPEG_2000, fragments(stream + b"\0" * (len(stream) % 2)))
    header = struct.pack("<16I", 2, 64, 600, *([0] * 13))
    runs = {
        "255 segments": struct.pack("<16I", 255, *([0xFFFFFFFF] * 15)),
        "a segment that points outside": struct.pack("<16I", 2, 64, 0xFFFFFFF0, *([0] * 13)) + bytes(64),
        "a header that is cut off": bytes(30),
        "runs that never end": header + b"\x81\0" * 200_000,
        "copies beyond the end": header + b"\x7f" * 600,
    }
    for words, segment in runs.items():
        yield wrapped(f"run lengths with {words}", RLE, fragments(segment))
    yield wrapped("encapsulated pixels in a plain encoding", EXPLICIT, fragments(picture))
    yield wrapped("plain pixels in JPEG", JPEG_BASELINE, element(PIXEL_DATA, b"OW", bytes(512)))
