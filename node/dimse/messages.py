"""DIMSE messages as fragments (PS3.7 6.3, PS3.8 Annex E): a command set, then perhaps a data set, for both ends."""

import time
from collections.abc import Iterable, Iterator

from node.dimse.commands import COMMAND_LIMIT, Command, decode_command
from node.dimse.wire import INVALID_PARAMETER, UNEXPECTED_PDU, Connection, Fragment
from node.errors import ProtocolBroken

_COMMAND = 0x01
_LAST = 0x02
_FRAGMENT_OVERHEAD = 6  # length, context and flags of a PDV count into the PDU length
_MAX_FRAGMENT = 131072


def receive_command(connection: Connection, deadline: float) -> tuple[int, Command] | int:
    """Context and command of the next message, or the type of the PDU that came instead of one.

    Raises
    ------
    Disconnected, TimedOut, ProtocolBroken
    """
    fragment = connection.read_fragment(deadline)
    if isinstance(fragment, int):
        return fragment
    context_id, received = fragment.context_id, bytearray()
    while True:
        if not fragment.is_command or fragment.context_id != context_id:
            raise ProtocolBroken("A data set came where a command set was due.", UNEXPECTED_PDU)
        received += fragment.data
        if fragment.is_last:
            return context_id, decode_command(received)
        if len(received) > COMMAND_LIMIT:
            raise ProtocolBroken(f"A command set is longer than {COMMAND_LIMIT} bytes.", INVALID_PARAMETER)
        fragment = _next_fragment(connection, deadline)


def data_set_pieces(connection: Connection, context_id: int, deadline: float, idle_s: float) -> Iterator[memoryview]:
    """The data set of the message whose command was just received; each piece is valid until the next is asked for.

    Raises
    ------
    Disconnected, TimedOut, ProtocolBroken
    """
    is_last = False
    while not is_last:
        fragment = _next_fragment(connection, min(deadline, time.monotonic() + idle_s))
        if fragment.is_command or fragment.context_id != context_id:
            raise ProtocolBroken("A command set came before the data set of the one before ended.", UNEXPECTED_PDU)
        is_last = fragment.is_last
        if fragment.data:
            yield fragment.data


def send_command(connection: Connection, context_id: int, command: bytes, max_pdu: int, idle_s: float) -> None:
    """Write a command set in fragments that the peer takes; it may take `idle_s` for each."""
    _send(connection, context_id, _COMMAND, [memoryview(command)], max_pdu, idle_s)


def send_data_set(
    connection: Connection, context_id: int, pieces: Iterable[memoryview], max_pdu: int, idle_s: float
) -> None:
    """Write a data set, its bytes exactly as they are in `pieces`; the peer may take `idle_s` for each fragment."""
    _send(connection, context_id, 0, pieces, max_pdu, idle_s)


def fragment_bytes(max_pdu: int) -> int:
    """How many bytes of a message go into one PDU for a peer that takes `max_pdu` (0: no limit)."""
    return max(1, min(max_pdu or _MAX_FRAGMENT, _MAX_FRAGMENT) - _FRAGMENT_OVERHEAD)


def _send(
    connection: Connection, context_id: int, flags: int, pieces: Iterable[memoryview], max_pdu: int, idle_s: float
) -> None:
    """Write every piece, each cut to the size allowed; the fragment held back last carries the last-flag."""
    size = fragment_bytes(max_pdu)
    held: memoryview = memoryview(b"")
    for piece in pieces:
        for start in range(0, len(piece), size):
            if held:
                connection.send_fragment(context_id, flags, held, time.monotonic() + idle_s)
            held = piece[start : start + size]
    connection.send_fragment(context_id, flags | _LAST, held, time.monotonic() + idle_s)


def _next_fragment(connection: Connection, deadline: float) -> Fragment:
    fragment = connection.read_fragment(deadline)
    if isinstance(fragment, int):
        raise ProtocolBroken(f"A PDU of type {fragment} came within a message.", UNEXPECTED_PDU)
    return fragment
