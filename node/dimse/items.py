"""The variable items of association PDUs (PS3.8 9.3.2, PS3.7 Annex D), walked with limits.

Presentation contexts are walked and built here: a request with 128 of them takes pynetdicom's classes 17 to 80 ms of
CPU, which an unknown caller could ask for at will, and this walk about 1 ms. The sub-items of user information, of
which there are few, are pynetdicom's, each decoded on its own; one that it does not understand is left out, as
PS3.8 9.3.1 asks.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pynetdicom.pdu_items import (
    AsynchronousOperationsWindowSubItem,
    ImplementationClassUIDSubItem,
    ImplementationVersionNameSubItem,
    MaximumLengthSubItem,
    SCP_SCU_RoleSelectionSubItem,
    UserIdentitySubItemAC,
    UserIdentitySubItemRQ,
)

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
NAME, NAME_AND_PASSCODE = 1, 2
"""Values of User-Identity-Type, PS3.7 Table D.3-14."""

_ITEM = struct.Struct(">BxH")
_USER_ITEMS = {
    MAXIMUM_LENGTH: MaximumLengthSubItem,
    IMPLEMENTATION_CLASS: ImplementationClassUIDSubItem,
    ASYNCHRONOUS: AsynchronousOperationsWindowSubItem,
    ROLE: SCP_SCU_RoleSelectionSubItem,
    IMPLEMENTATION_VERSION: ImplementationVersionNameSubItem,
    USER_IDENTITY: UserIdentitySubItemRQ,
}
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
    max_pdu, implementation, wants_window = 0, "", False
    identity: UserIdentity | None = None
    roles: dict[str, tuple[bool, bool]] = {}
    for number, (kind, value) in enumerate(walk(data)):
        if number >= _MAX_USER_ITEMS:
            raise ProtocolBroken("The user information has too many items.", INVALID_PARAMETER)
        entry = _decoded(kind, value)
        if isinstance(entry, MaximumLengthSubItem):
            max_pdu = int(entry.maximum_length_received or 0)
        elif isinstance(entry, ImplementationVersionNameSubItem):
            implementation = str(entry.implementation_version_name or "")
        elif isinstance(entry, AsynchronousOperationsWindowSubItem):
            wants_window = True
        elif isinstance(entry, SCP_SCU_RoleSelectionSubItem):
            roles[str(entry.sop_class_uid)] = (entry.scu_role == 1, entry.scp_role == 1)
        elif isinstance(entry, UserIdentitySubItemRQ):
            identity = UserIdentity(
                int(entry.user_identity_type or 0),
                entry.positive_response_requested == 1,
                bytes(entry.primary_field or b""),
                bytes(entry.secondary_field or b""),
            )
    return UserInformation(max_pdu, implementation, wants_window, roles, identity)


def _decoded(kind: int, value: bytes) -> object:
    """One sub-item of user information, or None when it is not one that we act on, or unreadable."""
    make = _USER_ITEMS.get(kind)
    if make is None:
        return None
    entry = make()
    try:
        entry.decode(item(kind, value))
    except Exception:  # noqa: BLE001  hostile bytes in a foreign decoder, which raises what it likes
        return None
    return entry


def encode_user_information(
    max_pdu: int, *, with_window: bool, roles: dict[str, tuple[bool, bool]], confirms_identity: bool = False
) -> bytes:
    """Our user information item; the window is one operation at a time (PS3.7 D.3.3.3).

    Parameters
    ----------
    confirms_identity
        Answer that the user is believed, which for a name and a passcode is an empty response (PS3.7 D.3.3.7.2).
    """
    maximum = MaximumLengthSubItem()
    maximum.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDSubItem()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameSubItem()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    parts = [maximum, implementation]
    if with_window:
        window = AsynchronousOperationsWindowSubItem()
        window.maximum_number_operations_invoked = 1
        window.maximum_number_operations_performed = 1
        parts.append(window)
    for sop_class_uid, (is_scu, is_scp) in roles.items():
        role = SCP_SCU_RoleSelectionSubItem()
        role.sop_class_uid = sop_class_uid
        role.scu_role = int(is_scu)
        role.scp_role = int(is_scp)
        parts.append(role)
    encoded = b"".join(part.encode() for part in [*parts, version])
    if confirms_identity:
        confirmed = UserIdentitySubItemAC()
        confirmed.server_response = b""
        encoded += confirmed.encode()
    return item(USER_INFORMATION, encoded)
