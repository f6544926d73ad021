"""Command sets, checked against pydicom's reading and pynetdicom's writing of them."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom.dimse_messages import C_FIND_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_FIND, C_STORE
from pynetdicom.dsutils import encode

from node.dimse.commands import (
    COMMAND_LIMIT,
    Command,
    Operation,
    decode_command,
    echo_request,
    find_request,
    response,
    store_request,
)
from node.errors import ProtocolBroken

MR = "1.2.840.10008.5.1.4.1.1.4"


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


def read(command: bytes) -> Dataset:
    return read_dataset(io.BytesIO(command), is_implicit_VR=True, is_little_endian=True)


def theirs(message: object, primitive: object) -> bytes:
    """A command set as pynetdicom encodes it."""
    message.primitive_to_message(primitive)
    encoded = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert encoded
    return bytes(encoded)


def test_a_store_request_of_pynetdicom_is_read() -> None:
    primitive = C_STORE()
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = MR, "1.2.3.45"
    primitive.MessageID, primitive.Priority, primitive.DataSet = 513, 0, io.BytesIO(b"xx")
    primitive.MoveOriginatorApplicationEntityTitle, primitive.MoveOriginatorMessageID = "MOVER", 3
    assert decode_command(theirs(C_STORE_RQ(), primitive)) == Command(
        field=Operation.C_STORE, message_id=513, sop_class_uid=MR, sop_instance_uid="1.2.3.45", has_data_set=True
    )


def test_a_find_request_of_pynetdicom_is_read() -> None:
    primitive = C_FIND()
    primitive.AffectedSOPClassUID, primitive.MessageID, primitive.Identifier = MR, 7, io.BytesIO(b"xx")
    command = decode_command(theirs(C_FIND_RQ(), primitive))
    assert (command.field, command.message_id, command.has_data_set) == (Operation.C_FIND, 7, True)


@pytest.mark.parametrize(
    ("command", "field", "has_data_set"),
    [
        (store_request(9, MR, "1.2.3"), 0x0001, True),
        (echo_request(9, "1.2.840.10008.1.1"), 0x0030, False),
        (find_request(9, MR), 0x0020, True),
    ],
    ids=["store", "echo", "find"],
)
def test_our_requests_are_read_by_pydicom_and_by_us(command: bytes, field: int, has_data_set: bool) -> None:
    ds = read(command)
    assert ds.CommandGroupLength == len(command) - 12
    assert (ds.CommandField, ds.MessageID) == (field, 9)
    assert (ds.CommandDataSetType != 0x0101) == has_data_set
    ours = decode_command(command)
    assert (ours.field, ours.message_id, ours.has_data_set, ours.is_response) == (field, 9, has_data_set, False)


def test_a_response_names_its_request_and_says_why() -> None:
    request = decode_command(store_request(65535, MR, "1.2.3"))
    answer = response(request, 0xA700, "The disk is nearly full: 3 MB are free, 64 MB stay in reserve, and so on.")
    ds = read(answer)
    assert (ds.CommandField, ds.MessageIDBeingRespondedTo, ds.Status) == (0x8001, 65535, 0xA700)
    assert (ds.AffectedSOPClassUID, ds.AffectedSOPInstanceUID) == (MR, "1.2.3")
    assert ds.ErrorComment.startswith("The disk is nearly full")
    assert len(ds.ErrorComment) <= 64
    ours = decode_command(answer)
    assert (ours.is_response, ours.status, ours.message_id) == (True, 0xA700, 65535)


def test_a_response_has_no_empty_elements() -> None:
    ds = read(response(Command(field=0x0130, message_id=1), 0x0211))
    assert "ErrorComment" not in ds
    assert "AffectedSOPInstanceUID" not in ds


FIELD, IDENTIFIER, KIND = element(0x0100, b"\x01\0"), element(0x0110, b"\x01\0"), element(0x0800, b"\x01\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FIELD + IDENTIFIER,
        IDENTIFIER + KIND,
        FIELD + KIND,
        (FIELD + IDENTIFIER + KIND)[:-1],
        FIELD + IDENTIFIER + KIND + b"\0\0\0",
        IDENTIFIER + FIELD + KIND,
        FIELD + FIELD + IDENTIFIER + KIND,
        FIELD + IDENTIFIER + KIND + element(0x0010, b"X", group=8),
        element(0x0100, b"\x01\0\0\0") + IDENTIFIER + KIND,
        struct.pack("<HHI", 0, 0x0002, 0xFFFFFFFF) + FIELD,
        element(0x0002, bytes(COMMAND_LIMIT)) + FIELD + IDENTIFIER + KIND,
    ],
    ids=[
        "empty", "no data set type", "no field", "no message", "cut", "half an element", "out of order", "twice",
        "group 8", "four byte number", "endless", "too long",
    ],
)  # fmt: skip
def test_a_malformed_command_breaks_the_protocol(data: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        decode_command(data)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 120), st.binary(max_size=12), st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_broken_protocol(place: int, patch: bytes, noise: bytes) -> None:
    command = bytearray(store_request(1, MR, "1.2.3.4.5.6"))
    command[place : place + len(patch)] = patch
    for data in (bytes(command), noise):
        try:
            response(decode_command(data), 0)
        except ProtocolBroken:
            continue
