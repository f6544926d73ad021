"""Open files are shared out among those who may come in, and given back by those who have gone."""

import contextlib
import logging
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.dimse import wire
from node.listen.descriptors import Capacity, capacity, within
from node.listen.settings import ListenSettings
from node.listen.waiting import WaitingRoom
from tests.e2e.processes import until

from .conftest import House
from .test_stopping import associated

WANTED = Capacity(associations=100, waiting=256)


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        pytest.param(1024, WANTED, id="enough"),
        pytest.param(WANTED.descriptors, WANTED, id="just enough"),
        pytest.param(256, Capacity(84, 56), id="a quarter for those who wait"),
        pytest.param(64, Capacity(12, 8), id="64"),
        pytest.param(20, Capacity(1, 4), id="less than it needs itself"),
    ],
)
def test_open_files_are_shared_out(limit: int, found: Capacity) -> None:
    assert within(limit, WANTED) == found
    assert found.descriptors <= max(limit, 38)


@contextlib.contextmanager
def open_files(soft: int, hard: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1] if hard < 0 else hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_as_far_as_it_may_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = ListenSettings("OSTEON", tmp_path, (), max_associations=200)
    with open_files(128, -1):
        assert capacity(settings) == Capacity(200, 256)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == Capacity(200, 256).descriptors
    assert not caplog.records


def test_less_than_was_asked_for_is_said_with_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with caplog.at_level(logging.WARNING):
        assert capacity(ListenSettings("OSTEON", tmp_path, ())) == Capacity(12, 8)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "listen.max_associations is 100" in line
    assert "may open 64" in line
    assert "LimitNOFILE" in line


def test_who_is_released_and_does_not_hang_up_holds_a_limited_number_of_sockets(
    new_house: Callable[..., House],
) -> None:
    house = new_house(max_waiting_per_address=6)
    with contextlib.ExitStack() as held:
        for _ in range(25):
            peer = held.enter_context(associated(house))
            peer.sendall(wire.control_pdu(wire.RELEASE_RQ))
            assert peer.recv(10, socket.MSG_WAITALL)[0] == wire.RELEASE_RP
        until(lambda: len(house.server._living()) <= 7, 1, "the oldest are cut off")


def test_room_is_made_by_whoever_waits_longest() -> None:
    room = WaitingRoom(per_address=5, total=9)
    room.make_room()  # nobody is there
    with contextlib.ExitStack() as held:
        pairs = [socket.socketpair() for _ in range(3)]
        for ours, theirs in pairs:
            held.enter_context(ours)
            held.enter_context(theirs)
            theirs.settimeout(5)
            room.enter(wire.Connection(ours, max_pdu=16384, pdu_timeout_s=1), "192.0.2.1")
        room.make_room()
        assert pairs[0][1].recv(1) == b""
        pairs[1][1].setblocking(False)
        with pytest.raises(BlockingIOError):
            pairs[1][1].recv(1)
