"""Small data sets are measured before they are parsed: how deep, how many, by whatever encoding."""

import random
import struct
import time
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.dimse import commitment, identifiers, shape
from node.errors import ProtocolBroken

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
UNDEFINED = 0xFFFFFFFF


def plain(group: int, number: int, value: bytes, length: int | None = None) -> bytes:
    """An element in implicit VR, or an item."""
    return struct.pack("<HHI", group, number, len(value) if length is None else length) + value


def nested(depth: int, *, stated: bool) -> bytes:
    """So many sequences, each in an item of the one before."""
    inner = plain(0x8, 0x50, b"")
    for _ in range(depth):
        if stated:
            inner = plain(0x8, 0x1199, plain(0xFFFE, 0xE000, inner))
        else:
            item = plain(0xFFFE, 0xE000, inner + plain(0xFFFE, 0xE00D, b""), UNDEFINED)
            inner = plain(0x8, 0x1199, item + plain(0xFFFE, 0xE0DD, b""), UNDEFINED)
    return inner


@pytest.mark.parametrize("stated", [True, False], ids=["stated lengths", "undefined lengths"])
def test_eight_levels_pass_and_nine_do_not(stated: bool) -> None:
    shape.check(nested(8, stated=stated), is_implicit=True)
    with pytest.raises(ProtocolBroken, match="more than 8 deep"):
        shape.check(nested(9, stated=stated), is_implicit=True)


def test_the_largest_report_passes() -> None:
    class_uid, instance_uid = b"1.2.840.10008.5.1.4.1.1.88.33\0", b"2.25.%d" % 10**38
    reference = plain(8, 0x1150, class_uid) + plain(8, 0x1155, instance_uid)
    items = plain(0xFFFE, 0xE000, reference) * (identifiers.IDENTIFIER_LIMIT // (len(reference) + 8) - 1)
    shape.check(plain(8, 0x1199, items), is_implicit=True)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT], ids=["implicit", "explicit"])
def test_a_report_passes_in_either_encoding(syntax: str) -> None:
    what = commitment.request("2.25.1", [("1.2.840.10008.5.1.4.1.1.88.33", f"2.25.{n}") for n in range(50)])
    data = identifiers.encoded(what, syntax)
    assert len(identifiers.decoded([data], syntax).ReferencedSOPSequence) == 50


def explicit_tree() -> Dataset:
    """Nine sequences, each in an item of the one before."""
    what = Dataset()
    for _ in range(9):
        outer = Dataset()
        outer.ReferencedSOPSequence = Sequence([what])
        what = outer
    return what


def megabyte(one: Callable[[int], bytes]) -> bytes:
    return b"".join(one(number) for number in range((1 << 17) - 2))


HOSTILE = {
    "nested by stated lengths": (nested(3000, stated=True), IMPLICIT),
    "nested by undefined lengths": (nested(3000, stated=False), IMPLICIT),
    "nested in explicit VR": (identifiers.encoded(explicit_tree(), EXPLICIT), EXPLICIT),
    "a megabyte of empty elements": (megabyte(lambda n: plain(0x10 + (n >> 16), n & 0xFFFF, b"")), IMPLICIT),
    "a megabyte of empty items": (plain(8, 0x1199, megabyte(lambda _: plain(0xFFFE, 0xE000, b""))[:-16]), IMPLICIT),
    "an element longer than its item": (
        plain(8, 0x1199, plain(0xFFFE, 0xE000, plain(8, 0x50, b"", 40)) + nested(9, stated=True)),
        IMPLICIT,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_cost_a_parser_much_is_refused_for_little(name: str) -> None:
    data, syntax = HOSTILE[name]
    begin = time.process_time()
    with pytest.raises(ProtocolBroken):
        identifiers.decoded([data], syntax)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("is_implicit", [True, False], ids=["implicit", "explicit"])
def test_no_bytes_raise_anything_else(is_implicit: bool) -> None:
    chance = random.Random(7)
    good = identifiers.encoded(explicit_tree(), IMPLICIT if is_implicit else EXPLICIT)
    for _ in range(3000):
        data = bytearray(good if chance.random() < 0.7 else chance.randbytes(chance.randint(0, 60)))
        for _ in range(chance.randint(0, 4) if data else 0):
            data[chance.randrange(len(data))] = chance.choice((0, 0xFE, 0xFF, chance.randrange(256)))
        try:
            shape.check(data, is_implicit=is_implicit)
        except ProtocolBroken:
            continue
