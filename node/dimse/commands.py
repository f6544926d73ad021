"""Command sets (PS3.7 6.3.1, Annex E): Implicit VR Little Endian, group 0000 only, read with strict limits.

A codec of its own, because a command arrives with every image and pydicom takes some 40 times as long to read one.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from node.dimse.wire import INVALID_PARAMETER
from node.errors import ProtocolBroken

COMMAND_LIMIT = 16384
NO_DATA_SET = 0x0101
_HAS_DATA_SET = 0x0001
_RESPONSE = 0x8000
_COMMENT_LIMIT = 64  # VR LO

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")


class Operation(IntEnum):
    """Command Field (0000,0100) of requests, PS3.7 Table E.1-1; a response has bit 15 set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


# Elements (0000,eeee) that we read or write, PS3.7 Table E.1-1
_GROUP_LENGTH = 0x0000
_AFFECTED_CLASS = 0x0002
_REQUESTED_CLASS = 0x0003
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_INSTANCE = 0x1000
_REQUESTED_INSTANCE = 0x1001
_EVENT_TYPE = 0x1002
_ACTION_TYPE = 0x1008

_NUMBERS = frozenset(
    {_COMMAND_FIELD, _MESSAGE_ID, _RESPONDED_TO, _PRIORITY, _DATA_SET_TYPE, _STATUS, _EVENT_TYPE, _ACTION_TYPE}
)
_UIDS = frozenset({_AFFECTED_CLASS, _REQUESTED_CLASS, _AFFECTED_INSTANCE, _REQUESTED_INSTANCE})


@dataclass(frozen=True, slots=True)
class Command:
    """A command set; UIDs are as received without padding and not checked."""

    field: int
    message_id: int
    """Of the request, or the one that a response answers."""
    sop_class_uid: str = ""
    """Affected, else requested SOP Class UID."""
    sop_instance_uid: str = ""
    has_data_set: bool = False
    status: int | None = None
    error_comment: str = ""
    event_or_action: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.field & _RESPONSE)


def decode_command(data: bytes | bytearray | memoryview) -> Command:
    """Read a command set.

    Raises
    ------
    ProtocolBroken
        When it is too long, cut off, out of order, of another group, or has no command field or message id.
    """
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    position, end, last = 0, len(data), -1
    if end > COMMAND_LIMIT:
        raise ProtocolBroken(f"A command set has {end} bytes; {COMMAND_LIMIT} are allowed.", INVALID_PARAMETER)
    while position < end:
        if end - position < 8:
            raise ProtocolBroken("A command set is cut off.", INVALID_PARAMETER)
        group, element, length = _ELEMENT.unpack_from(data, position)
        position += 8
        if group != 0 or element <= last or length > end - position:
            raise ProtocolBroken(
                f"A command set holds the element ({group:04X},{element:04X}) of {length} bytes at a wrong place.",
                INVALID_PARAMETER,
            )
        last = element
        if element in _NUMBERS:
            if length != 2:
                raise ProtocolBroken(f"The command element (0000,{element:04X}) is not a number.", INVALID_PARAMETER)
            numbers[element] = _US.unpack_from(data, position)[0]
        elif element in _UIDS or element == _ERROR_COMMENT:
            value = bytes(data[position : position + length])
            texts[element] = value.rstrip(b"\0 ").decode("ascii", "backslashreplace")
        position += length
    return _command(numbers, texts)


def store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """A C-STORE-RQ of medium priority (PS3.7 9.3.1.1)."""
    return _encoded(
        {
            _AFFECTED_CLASS: _uid(sop_class_uid),
            _COMMAND_FIELD: _US.pack(Operation.C_STORE),
            _MESSAGE_ID: _US.pack(message_id),
            _PRIORITY: _US.pack(0),
            _DATA_SET_TYPE: _US.pack(_HAS_DATA_SET),
            _AFFECTED_INSTANCE: _uid(sop_instance_uid),
        }
    )


def echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """A C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _encoded(
        {
            _AFFECTED_CLASS: _uid(sop_class_uid),
            _COMMAND_FIELD: _US.pack(Operation.C_ECHO),
            _MESSAGE_ID: _US.pack(message_id),
            _DATA_SET_TYPE: _US.pack(NO_DATA_SET),
        }
    )


def find_request(message_id: int, sop_class_uid: str) -> bytes:
    """A C-FIND-RQ of medium priority (PS3.7 9.3.2.1); the identifier follows as data set."""
    return _encoded(
        {
            _AFFECTED_CLASS: _uid(sop_class_uid),
            _COMMAND_FIELD: _US.pack(Operation.C_FIND),
            _MESSAGE_ID: _US.pack(message_id),
            _PRIORITY: _US.pack(0),
            _DATA_SET_TYPE: _US.pack(_HAS_DATA_SET),
        }
    )


def action_request(message_id: int, sop_class_uid: str, sop_instance_uid: str, action: int) -> bytes:
    """An N-ACTION-RQ (PS3.7 10.3.5.1); the action information follows as data set."""
    return _encoded(
        {
            _REQUESTED_CLASS: _uid(sop_class_uid),
            _COMMAND_FIELD: _US.pack(Operation.N_ACTION),
            _MESSAGE_ID: _US.pack(message_id),
            _DATA_SET_TYPE: _US.pack(_HAS_DATA_SET),
            _REQUESTED_INSTANCE: _uid(sop_instance_uid),
            _ACTION_TYPE: _US.pack(action),
        }
    )


def response(request: Command, status: int, comment: str = "") -> bytes:
    """The response without data set to `request`; a comment is cut to the 64 characters that fit."""
    elements = {
        _COMMAND_FIELD: _US.pack(request.field | _RESPONSE),
        _RESPONDED_TO: _US.pack(request.message_id),
        _DATA_SET_TYPE: _US.pack(NO_DATA_SET),
        _STATUS: _US.pack(status),
    }
    if request.sop_class_uid:
        elements[_AFFECTED_CLASS] = _uid(request.sop_class_uid)
    if request.sop_instance_uid:
        elements[_AFFECTED_INSTANCE] = _uid(request.sop_instance_uid)
    if request.field == Operation.N_EVENT_REPORT and request.event_or_action is not None:
        elements[_EVENT_TYPE] = _US.pack(request.event_or_action)
    if comment:
        text = comment[:_COMMENT_LIMIT].encode("ascii", "replace").replace(b"\\", b"/")
        elements[_ERROR_COMMENT] = text + b" " * (len(text) % 2)
    return _encoded(elements)


def _command(numbers: dict[int, int], texts: dict[int, str]) -> Command:
    field = numbers.get(_COMMAND_FIELD)
    data_set_type = numbers.get(_DATA_SET_TYPE)
    if field is None or data_set_type is None:
        raise ProtocolBroken("A command set has no Command Field or no Command Data Set Type.", INVALID_PARAMETER)
    names_another = field & _RESPONSE or field == Operation.C_CANCEL
    message_id = numbers.get(_RESPONDED_TO if names_another else _MESSAGE_ID)
    if message_id is None:
        raise ProtocolBroken("A command set has no message identifier.", INVALID_PARAMETER)
    return Command(
        field=field,
        message_id=message_id,
        sop_class_uid=texts.get(_AFFECTED_CLASS) or texts.get(_REQUESTED_CLASS, ""),
        sop_instance_uid=texts.get(_AFFECTED_INSTANCE) or texts.get(_REQUESTED_INSTANCE, ""),
        has_data_set=data_set_type != NO_DATA_SET,
        status=numbers.get(_STATUS),
        error_comment=texts.get(_ERROR_COMMENT, ""),
        event_or_action=numbers.get(_EVENT_TYPE, numbers.get(_ACTION_TYPE)),
    )


def _encoded(elements: dict[int, bytes]) -> bytes:
    body = b"".join(
        _ELEMENT.pack(0, element, len(elements[element])) + elements[element] for element in sorted(elements)
    )
    return _ELEMENT.pack(0, _GROUP_LENGTH, 4) + struct.pack("<I", len(body)) + body


def _uid(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)
