"""Peers that hold sockets, lie about lengths or talk nonsense: they are cut off, and honest ones are always served."""

import contextlib
import random
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import flood
from tests.bench.loads import MR_IMAGE, Kind, made
from tests.e2e.processes import until

from .conftest import OURS, SENDER, House

SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)
REQUEST = flood.association_request(SENDER, OURS, MR_IMAGE)


@contextlib.contextmanager
def sockets(house: House, count: int, first_bytes: bytes) -> Iterator[list[socket.socket]]:
    held = []
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", house.port), timeout=10))
            held[-1].sendall(first_bytes)
        yield held
    finally:
        for one in held:
            one.close()


def served_within(house: House, limit_s: float) -> None:
    started = time.monotonic()
    house.echo()
    items = made(SMALL, 1, seed=int(started * 1000) % 100_000)
    assert flood.send(house.port, [items], calling=SENDER, called=OURS).statuses == (0,)
    assert time.monotonic() - started < limit_s


@pytest.mark.parametrize(
    ("count", "first_bytes"),
    [
        pytest.param(40, b"", id="40 silent sockets"),
        pytest.param(10, REQUEST[:60], id="10 half association requests"),
        pytest.param(200, REQUEST[:7], id="200 headers of a request"),
        pytest.param(40, b"\1\0\xff\xff\xff\xff", id="40 requests said to have 4 GB"),
        pytest.param(40, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="40 browsers"),
    ],
)
def test_honest_peers_are_served_while_others_hold_sockets(
    new_house: Callable[..., House], count: int, first_bytes: bytes
) -> None:
    house = new_house(max_associations=10)
    with sockets(house, count, first_bytes):
        for _ in range(3):
            served_within(house, 5.0)


@pytest.mark.parametrize(
    "first_bytes",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(REQUEST[:60], id="half a request"),
    ],
)
def test_a_connection_that_does_not_become_an_association_is_closed_in_time(
    new_house: Callable[..., House], first_bytes: bytes
) -> None:
    house = new_house(request_timeout_s=0.5)
    with sockets(house, 1, first_bytes) as (peer,):
        peer.settimeout(10)
        started = time.monotonic()
        while peer.recv(64):
            pass
        assert time.monotonic() - started < 8


def test_a_silent_association_is_aborted_in_time(new_house: Callable[..., House]) -> None:
    house = new_house(idle_timeout_s=0.5)
    with sockets(house, 1, REQUEST) as (peer,):
        peer.settimeout(10)
        received = b""
        while data := peer.recv(4096):
            received += data
    assert received[0] == 2
    assert received[-10] == 7  # A-ABORT


def test_an_object_that_trickles_is_cut_off_in_time(new_house: Callable[..., House]) -> None:
    house = new_house(object_timeout_s=1.0, idle_timeout_s=30)
    item = made(SMALL, 1)[0]

    def slowly(peer: socket.socket, buffers: list[bytes | memoryview]) -> None:
        for byte in b"".join(buffers)[:4000]:
            peer.sendall(bytes([byte]))
            time.sleep(0.01)

    started = time.monotonic()
    with pytest.raises((OSError, AssertionError)):
        flood.send(house.port, [[item]], calling=SENDER, called=OURS, write=slowly)
    assert time.monotonic() - started < 20
    assert house.kept() == {}


NONSENSE = {
    "a PDU of an unknown type": b"\x09\0\0\0\0\4\0\0\0\0",
    "a second association request": REQUEST,
    "an association answer": b"\2\0" + REQUEST[2:],
    "P-DATA said to have 4 GB": b"\4\0\xff\xff\xff\xff",
    "P-DATA over the negotiated length": struct.pack(">BxL", 4, 200_000) + bytes(1000),
    "a PDV longer than its PDU": struct.pack(">BxLLBB", 4, 10, 5000, 1, 3) + bytes(4),
    "a PDV of length zero": struct.pack(">BxLL", 4, 4, 0),
    "a context that is not in force": struct.pack(">BxLLBB", 4, 10, 6, 99, 3) + bytes(4),
    "a data set without a command": struct.pack(">BxLLBB", 4, 10, 6, 1, 2) + bytes(4),
    "a command that is noise": struct.pack(">BxLLBB", 4, 70, 66, 1, 3) + bytes(range(64)),
    "an endless command": struct.pack(">BxLLBB", 4, 100_006, 100_002, 1, 1) + bytes(100_000),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_within_an_association_ends_it_and_nothing_else(new_house: Callable[..., House], name: str) -> None:
    house = new_house(pdu_timeout_s=1.0, idle_timeout_s=2.0)
    with sockets(house, 1, REQUEST + NONSENSE[name]) as (peer,):
        peer.settimeout(15)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := peer.recv(4096):
                received += data
    assert received[:1] == b"\2"
    served_within(house, 5.0)


def test_mutated_association_requests_never_take_the_listener_off_the_air(new_house: Callable[..., House]) -> None:
    house = new_house(request_timeout_s=0.5)
    chance = random.Random(7)
    for round_ in range(150):
        mutated = bytearray(REQUEST)
        for _ in range(chance.randint(1, 6)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        with sockets(house, 1, bytes(mutated[: chance.randint(1, len(mutated))])):
            pass
        if round_ % 50 == 49:
            served_within(house, 5.0)


def test_a_lying_length_takes_no_memory(new_house: Callable[..., House]) -> None:
    house = new_house()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with sockets(house, 20, REQUEST + struct.pack(">BxL", 4, 131_000)):
        served_within(house, 5.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_sockets_and_threads_of_cut_off_peers_are_given_back(new_house: Callable[..., House]) -> None:
    house = new_house(request_timeout_s=0.3)
    before = descriptors()
    with sockets(house, 50, REQUEST[:20]):
        pass
    until(lambda: descriptors() <= before + 2, 10, "descriptors are given back")
