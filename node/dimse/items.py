"""The variable items of association PDUs (PS3.8 9.3.2, PS3.7 Annex D), walked with limits.

A request with 128 contexts takes the classes of pynetdicom 17 to 80 ms of CPU, which an unknown caller could ask for,
and this walk about 1 ms; and a listener that does not load pynetdicom and pydicom is there half a second sooner after a
crash. A sub-item of user information that cannot be read is left out, as PS3.8 9.3.1 asks of unknown ones.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from node.dimse.wire import INVALID_PARAMETER
from node.errors import ProtocolBroken
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT = 0x10
CONTEXT_RQ = 0x20
CONTEXT_AC = 0x21
ABSTRACT_SYNTAX = 0x30
TRANSFER_SYNTAX = 0x40
USER_INFORMATION = 0x50
MAXIMUM_LENGTH = 0x51
IMPLEMENTATION_CLASS = 0x52
ASYNCHRONOUS = 0x53
ROLE = 0x54
IMPLEMENTATION_VERSION = 0x55
USER_IDENTITY = 0x58
USER_IDENTITY_ANSWER = 0x59
NAME, NAME_AND_PASSCODE = 1, 2
"""Values of User-Identity-Type, PS3.7 Table D.3-14."""

_ITEM = struct.Struct(">BxH")
_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">I")
_WINDOW = struct.Struct(">HH")
_FIXED = {MAXIMUM_LENGTH: _LONG.size, ASYNCHRONOUS: _WINDOW.size}
_MAX_USER_ITEMS = 600  # two for each of 256 classes and some


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """For whom a requestor says it acts (PS3.7 D.3.3.7); its fields are in no representation, and so in no log."""

    kind: int
    """1 a name, 2 a name and a passcode; others name other means."""
    wants_response: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)

    @property
    def is_known(self) -> bool:
        """A name, or a name and a passcode: what this node can judge."""
        return self.kind in (NAME, NAME_AND_PASSCODE)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """What a peer says of itself (PS3.7 D.3.3)."""

    max_pdu: int = 0
    """The longest data PDU that it takes; 0 is no limit."""
    implementation: str = ""
    """Its implementation version name, for logs."""
    wants_window: bool = False
    """It proposed an asynchronous operations window."""
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    """Per SOP class: whether the requestor may be SCU, SCP."""
    identity: UserIdentity | None = None


def walk(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item; items that pass the end are refused."""
    end = len(data)
    while start < end:
        if end - start < _ITEM.size:
            raise ProtocolBroken("An association item is cut off.", INVALID_PARAMETER)
        kind, length = _ITEM.unpack_from(data, start)
        start += _ITEM.size
        if length > end - start:
            raise ProtocolBroken(
                f"An association item of type {kind:#04x} is longer than what holds it.", INVALID_PARAMETER
            )
        yield kind, data[start : start + length]
        start += length


def item(kind: int, value: bytes) -> bytes:
    """One item, encoded."""
    return _ITEM.pack(kind, len(value)) + value


def uid(value: bytes) -> str:
    """A UID from the wire without its padding; not checked, for it is only compared."""
    return value.rstrip(b"\0 ").decode("ascii", "backslashreplace")


def decode_user_information(data: bytes) -> UserInformation:
    """The sub-items that we act on; unknown and unreadable ones are ignored."""
    found: dict[int, bytes] = {}
    roles: dict[str, tuple[bool, bool]] = {}
    identity: UserIdentity | None = None
    for number, (kind, value) in enumerate(walk(data)):
        if number >= _MAX_USER_ITEMS:
            raise ProtocolBroken("The user information has too many items.", INVALID_PARAMETER)
        if kind == ROLE:
            roles |= _role(value)
        elif kind == USER_IDENTITY:
            identity = _identity(value) or identity
        elif len(value) == _FIXED.get(kind, len(value)):
            found[kind] = value
    return UserInformation(
        max_pdu=_LONG.unpack(found[MAXIMUM_LENGTH])[0] if MAXIMUM_LENGTH in found else 0,
        implementation=uid(found.get(IMPLEMENTATION_VERSION, b"")),
        wants_window=ASYNCHRONOUS in found,
        roles=roles,
        identity=identity,
    )


def encode_user_information(
    max_pdu: int, *, with_window: bool, roles: dict[str, tuple[bool, bool]], confirms_identity: bool = False
) -> bytes:
    """Our user information item; the window is one operation at a time (PS3.7 D.3.3.3).

    Parameters
    ----------
    confirms_identity
        Answer that the user is believed, which for a name and a passcode is an empty response (PS3.7 D.3.3.7.2).
    """
    parts = [
        item(MAXIMUM_LENGTH, _LONG.pack(max_pdu)),
        item(IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS_UID.encode()),
    ]
    if with_window:
        parts.append(item(ASYNCHRONOUS, _WINDOW.pack(1, 1)))
    for sop_class_uid, (is_scu, is_scp) in roles.items():
        name = sop_class_uid.encode("ascii", "replace")
        parts.append(item(ROLE, _SHORT.pack(len(name)) + name + bytes((is_scu, is_scp))))
    parts.append(item(IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION_NAME.encode()))
    if confirms_identity:
        parts.append(item(USER_IDENTITY_ANSWER, _SHORT.pack(0)))
    return item(USER_INFORMATION, b"".join(parts))


def _role(value: bytes) -> dict[str, tuple[bool, bool]]:
    """SOP class → whether the requestor may be SCU, SCP (PS3.7 D.3.3.4.1); empty when it cannot be read."""
    name, rest = _counted(value)
    if name is None or len(rest) != 2 or not name.isascii():
        return {}
    return {uid(name): (rest[0] == 1, rest[1] == 1)}


def _identity(value: bytes) -> UserIdentity | None:
    """PS3.7 D.3.3.7.1; None when it cannot be read."""
    primary, rest = _counted(value[2:])
    secondary, rest = _counted(rest)
    if primary is None or secondary is None or rest:
        return None
    return UserIdentity(value[0], value[1] == 1, primary, secondary)


def _counted(value: bytes) -> tuple[bytes | None, bytes]:
    """A field that begins with its length in two bytes, and what follows it; None when it is cut off."""
    if len(value) < 2:
        return None, b""
    end = 2 + _SHORT.unpack_from(value)[0]
    return (value[2:end], value[end:]) if end <= len(value) else (None, b"")
