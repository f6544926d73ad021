"""The walk over a data set of a stranger: what it finds, what it refuses, and that nothing brings it down."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.listen.scan import Facts, Refusal, Scanner, is_uid
from node.statuses import CANNOT_UNDERSTAND

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT"}
UNDEFINED = 0xFFFFFFFF


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    length = len(value) if length is None else length
    group, number = tag >> 16, tag & 0xFFFF
    if vr in LONG:
        return struct.pack("<HH2sHI", group, number, vr, 0, length) + value
    return struct.pack("<HH2sH", group, number, vr, length) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
HEAD = (
    element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.4")
    + element(0x00080018, b"UI", b"1.2.3.4")
    + element(0x00080060, b"CS", b"MR")
)
PATIENT = element(0x00100020, b"LO", b"ID 1")
STUDY = element(0x0020000D, b"UI", b"1.2.3") + element(0x0020000E, b"UI", b"1.2.3.1")
PIXELS = element(0x7FE00010, b"OW", bytes(64))
WHOLE = HEAD + PATIENT + STUDY + PIXELS


def scanned(data: bytes, syntax: str = EXPLICIT, piece: int = 1 << 20) -> Facts | Refusal:
    scanner = Scanner(syntax)
    for start in range(0, len(data), piece):
        refusal = scanner.feed(memoryview(data)[start : start + piece])
        if refusal is not None:
            return refusal
    return scanner.finish()


def facts(data: bytes, **how: object) -> Facts:
    found = scanned(data, **how)  # type: ignore[arg-type]
    assert isinstance(found, Facts), found
    return found


def test_the_values_of_the_row_are_found() -> None:
    found = facts(WHOLE)
    assert (found.sop_class_uid, found.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4")
    assert (found.study_instance_uid, found.series_instance_uid, found.modality) == ("1.2.3", "1.2.3.1", "MR")


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 11, 64])
def test_pieces_of_any_size_give_the_same(piece: int) -> None:
    nested = element(
        0x00081140, b"SQ", item(element(0x00081155, b"UI", b"9.9"), UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED
    )
    data = HEAD + nested + PATIENT + STUDY + PIXELS
    assert scanned(data, piece=piece) == scanned(data)


def test_what_is_inside_a_sequence_is_not_taken_for_the_header() -> None:
    inside = element(0x0020000D, b"UI", b"6.6.6") + element(0x00080018, b"UI", b"6.6.7")
    for nested in (
        element(0x00081140, b"SQ", item(inside)),
        element(0x00081140, b"SQ", item(inside, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED),
    ):
        found = facts(HEAD + nested + PATIENT + STUDY + PIXELS)
        assert (found.study_instance_uid, found.sop_instance_uid) == ("1.2.3", "1.2.3.4")


def test_two_patients_have_two_keys_and_no_key_shows_the_id() -> None:
    one, other = facts(WHOLE), facts(WHOLE.replace(b"ID 1", b"ID 2"))
    assert one.patient_key != other.patient_key
    assert "ID 1" not in one.patient_key


def test_implicit_encoding_is_walked() -> None:
    def plain(tag: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value

    data = plain(0x00080016, b"1.2.840.10008.5.1.4.1.1.4") + plain(0x00080018, b"1.2.3.4")
    data += plain(0x0020000D, b"1.2.3") + plain(0x0020000E, b"1.2.3.1") + plain(0x7FE00010, bytes(32))
    assert facts(data, syntax=IMPLICIT).sop_instance_uid == "1.2.3.4"


def test_encapsulated_pixels_are_walked_to_their_end() -> None:
    fragments = item(b"") + item(bytes(10)) + SEQUENCE_END
    data = HEAD + STUDY + element(0x7FE00010, b"OB", fragments, UNDEFINED)
    assert facts(data, syntax="1.2.840.10008.1.2.4.70").sop_instance_uid == "1.2.3.4"
    assert isinstance(scanned(data[:-8], syntax="1.2.840.10008.1.2.4.70"), Refusal)


def test_a_vr_that_a_modality_left_blank_is_let_pass() -> None:
    blank = struct.pack("<HH2sH", 0x0028, 0x0120, b"  ", 2) + b"\0\0"
    assert facts(HEAD + STUDY + blank + PIXELS).sop_instance_uid == "1.2.3.4"


@pytest.mark.parametrize("vr", [b"  ", b"??"])
def test_a_blank_vr_where_nothing_is_to_choose_is_refused(vr: bytes) -> None:
    """pydicom takes it for implicit VR and reads the next hundred kilobytes as one value; dcmtk reads two bytes."""
    blank = struct.pack("<HH2sH", 0x0010, 0x0010, vr, 4) + b"A^B "
    refused = scanned(HEAD + blank + STUDY + PIXELS)
    assert isinstance(refused, Refusal)
    assert "(0010,0010)" in refused.reason


def test_implicit_elements_in_an_unknown_sequence_are_walked() -> None:
    inside = struct.pack("<HHI", 0x0009, 0x0010, 4) + b"ABCD"
    unknown = element(0x00091001, b"UN", item(inside, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
    assert facts(HEAD + unknown + PATIENT + STUDY + PIXELS).sop_instance_uid == "1.2.3.4"


def test_two_hundred_legal_levels_are_walked_and_three_hundred_refused() -> None:
    def nested(levels: int) -> bytes:
        opened = (element(0x00081140, b"SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * levels
        return HEAD + opened + (ITEM_END + SEQUENCE_END) * levels + PATIENT + STUDY + PIXELS

    assert facts(nested(200)).sop_instance_uid == "1.2.3.4"
    assert isinstance(scanned(nested(300)), Refusal)


BAD = {
    "nothing": b"",
    "cut in a header": WHOLE[:33],
    "cut in the pixels": WHOLE[:-2],
    "a length past the end": HEAD + STUDY + element(0x7FE00010, b"OW", bytes(4), 1 << 30),
    "no Study Instance UID": HEAD + PATIENT + PIXELS,
    "an empty SOP Instance UID": HEAD.replace(element(0x00080018, b"UI", b"1.2.3.4"), element(0x00080018, b"UI", b""))
    + STUDY,
    "a path for a UID": WHOLE.replace(b"1.2.3.4\0", b"../../x\0"),
    "letters in a UID": WHOLE.replace(b"1.2.3.4\0", b"1.2.3.A\0"),
    "a newline in a UID": WHOLE.replace(b"1.2.3.4\0", b"1.2.3\n4\0"),
    "a UID of 66 characters": HEAD
    + element(0x0020000D, b"UI", b"1." * 33)
    + element(0x0020000E, b"UI", b"1.2")
    + PIXELS,
    "a command element": element(0x00000002, b"UI", b"1.2") + WHOLE,
    "file meta": element(0x00020010, b"UI", b"1.2") + WHOLE,
    "a VR that is none": HEAD + struct.pack("<HH2sH", 0x0010, 0x0010, b"\x01\x02", 4) + b"abcd" + STUDY,
    "an item outside a sequence": HEAD + item(bytes(4)) + STUDY,
    "an end that nothing began": HEAD + SEQUENCE_END + STUDY,
    "a sequence without an end": HEAD + element(0x00081140, b"SQ", item(b""), UNDEFINED) + STUDY,
    "50 000 nested sequences": HEAD + (element(0x00081140, b"SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * 50_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_data_set_is_refused_with_a_sentence(name: str) -> None:
    found = scanned(BAD[name])
    assert isinstance(found, Refusal)
    assert found.status == CANNOT_UNDERSTAND
    assert found.reason.endswith(".")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (b"1.2.840", True),
        (b"1." + b"2" * 62, True),
        (b"1." + b"2" * 63, False),
        (b"1", False),
        (b"", False),
        (b".1", False),
        (b"1..2", False),
        (b"1.2.", False),
        (b"../etc", False),
        (b"1.2\0", False),
        ("1.２".encode(), False),
    ],
)
def test_a_uid_is_digits_and_points_and_at_most_64_of_them(value: bytes, good: bool) -> None:
    assert is_uid(value) is good


@settings(max_examples=400, deadline=2000)
@given(st.binary(max_size=600), st.sampled_from([EXPLICIT, IMPLICIT]), st.integers(1, 50))
def test_no_bytes_bring_it_down(noise: bytes, syntax: str, piece: int) -> None:
    assert isinstance(scanned(noise, syntax, piece), Facts | Refusal)


@settings(max_examples=400, deadline=2000)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.integers(1, 99)
)
def test_no_mutation_brings_it_down(changes: list[tuple[int, int]], piece: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    assert isinstance(scanned(bytes(data), EXPLICIT, piece), Facts | Refusal)
