"""Our requestor against peers that hang, abort, lie or talk nonsense: it ends in time and names them."""

import struct
import time
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from node.dimse import commands, messages, negotiate, wire
from node.errors import (
    Disconnected,
    PeerError,
    ProtocolBroken,
    TimedOut,
)

from .made_peers import EXPLICIT, MR, SHORT, mr_image, open_to, reply, request_of, scripted


def hang(connection: wire.Connection) -> None:
    request_of(connection)


def abort(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([wire.abort_pdu(0, 0)], time.monotonic() + 1)


def close(connection: wire.Connection) -> None:
    request_of(connection)
    connection.close()


def ask_release(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([wire.control_pdu(wire.RELEASE_RQ)], time.monotonic() + 1)


def answer_another(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    other = commands.Command(command.field, command.message_id + 1, command.sop_class_uid)
    reply(connection, context_id, commands.response(other, 0))


def answer_in_another_context(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    reply(connection, context_id + 2, commands.response(command, 0))


def answer_a_request(connection: wire.Connection) -> None:
    context_id, _ = request_of(connection)
    reply(connection, context_id, commands.echo_request(1, negotiate.VERIFICATION))


def answer_noise(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([bytes(range(200))], time.monotonic() + 1)


def answer_a_lie(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([struct.pack(">BxI", wire.DATA, 0xFFFFFFF0) + bytes(100)], time.monotonic() + 1)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (hang, TimedOut),
        (abort, Disconnected),
        (close, Disconnected),
        (ask_release, Disconnected),
        (answer_another, ProtocolBroken),
        (answer_in_another_context, ProtocolBroken),
        (answer_a_request, ProtocolBroken),
        (answer_noise, ProtocolBroken),
        (answer_a_lie, ProtocolBroken),
    ],
)
@pytest.mark.parametrize("operation", ["echo", "store", "find"])
def test_a_peer_that_misbehaves_ends_the_association_with_its_name(
    script: Callable[[wire.Connection], None], error: type[PeerError], operation: str
) -> None:
    with scripted(script) as port:
        association = open_to(port, timeouts=SHORT)
        with pytest.raises(error, match=f"^PEER at 127.0.0.1:{port}"):
            if operation == "echo":
                association.echo()
            elif operation == "store":
                association.store(MR, "1.2.3", EXPLICIT, mr_image("1.2.3"))
            else:
                association.find(Dataset())
        with pytest.raises(Disconnected, match="the association is over"):
            association.echo()


def test_a_peer_that_stops_reading_times_out() -> None:
    with scripted(lambda _: None) as port:
        association = open_to(port, timeouts=SHORT)
        begin = time.monotonic()
        with pytest.raises(TimedOut):
            association.store(MR, "1.2.3", EXPLICIT, bytes(80 << 20))
        assert time.monotonic() - begin < 4


def test_a_peer_that_does_not_answer_the_release_delays_only_for_the_time_out() -> None:
    with scripted(lambda _: None) as port:
        begin = time.monotonic()
        with open_to(port, timeouts=SHORT):
            pass
        assert time.monotonic() - begin < 3


def find_with_noise(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    pending = commands.response(command, 0xFF00).replace(b"\0\0\0\x08\x02\0\0\0\x01\x01", b"\0\0\0\x08\x02\0\0\0\x01\0")
    reply(connection, context_id, pending)
    messages.send_data_set(connection, context_id, [memoryview(b"\xff" * 40)], 16384, 5)


def test_an_unreadable_identifier_is_the_peers_fault() -> None:
    with scripted(find_with_noise) as port:
        association = open_to(port, timeouts=SHORT)
        with pytest.raises(ProtocolBroken, match="identifier"):
            association.find(Dataset())
