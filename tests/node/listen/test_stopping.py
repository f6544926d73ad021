"""Told to stop, the listener lets objects in transit arrive, makes their rows, and goes."""

import socket
import threading
import time
from collections.abc import Callable

from node.dimse import wire
from storage import studies
from storage.engine import reading
from tests.bench import flood
from tests.bench.loads import MR256, MR_IMAGE, Kind, made
from tests.e2e.processes import until

from .conftest import OURS, SENDER, House

SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)
REQUEST = flood.association_request(SENDER, OURS, MR_IMAGE)


def associated(house: House) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", house.port), timeout=10)
    peer.sendall(REQUEST)
    head = peer.recv(6, socket.MSG_WAITALL)
    assert head[0] == wire.ASSOCIATE_AC
    peer.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
    return peer


def everything(peer: socket.socket) -> bytes:
    received = b""
    while data := peer.recv(65536):
        received += data
    return received


def test_an_object_in_transit_is_answered_before_the_association_is_aborted(new_house: Callable[..., House]) -> None:
    house = new_house(stop_patience_s=10)
    (item,) = made(MR256, 1)
    stream = b"".join(bytes(part) for part in flood.store_request(item, 1, 16384))
    with associated(house) as peer:
        peer.sendall(stream[: len(stream) // 2])
        until(lambda: list(house.folder.iterdir()), 5, "the object begins to arrive")
        stopping = threading.Thread(target=house.server.stop)
        stopping.start()
        until(house.server._stopping.is_set, 5, "the listener is stopping")
        peer.sendall(stream[len(stream) // 2 :])
        received = everything(peer)
        stopping.join()
    assert received[0] == wire.DATA
    assert received[-10:] == wire.abort_pdu(wire.SERVICE_USER, wire.NOT_SPECIFIED)
    assert house.kept() == {item.sop_instance_uid: item.data}


def test_silent_associations_and_half_open_connections_do_not_delay_the_end(new_house: Callable[..., House]) -> None:
    house = new_house(stop_patience_s=10)
    with associated(house) as idle, socket.create_connection(("127.0.0.1", house.port), timeout=10) as half:
        half.sendall(REQUEST[:30])
        until(lambda: len(house.server._living()) == 2, 5, "both are there")
        started = time.monotonic()
        stopping = threading.Thread(target=house.server.stop)
        stopping.start()
        assert everything(idle) == wire.abort_pdu(wire.SERVICE_USER, wire.NOT_SPECIFIED)
        half.settimeout(5)
        assert half.recv(10) == b""
        idle.close()
        stopping.join()
        assert time.monotonic() - started < 6


def test_an_object_that_does_not_arrive_is_cut_off_when_patience_ends(new_house: Callable[..., House]) -> None:
    house = new_house(stop_patience_s=0.5)
    (item,) = made(MR256, 1)
    with associated(house) as peer:
        peer.sendall(b"".join(bytes(part) for part in flood.store_request(item, 1, 16384))[:50_000])
        until(lambda: list(house.folder.iterdir()), 5, "the object begins to arrive")
        started = time.monotonic()
        house.server.stop()
        assert time.monotonic() - started < 6
    assert house.kept() == {}


def test_every_acknowledged_object_has_its_row_when_the_listener_has_stopped(new_house: Callable[..., House]) -> None:
    house = new_house(stop_patience_s=5)
    items = made(SMALL, 200)
    sent = flood.send(house.port, [items[start::4] for start in range(4)], calling=SENDER, called=OURS)
    assert set(sent.statuses) == {0}
    house.server.stop()
    with reading(house.engine) as conn:
        assert {uid for uid, _ in studies.held(conn)} == {item.sop_instance_uid for item in items}


def test_fifty_associations_at_once_are_all_served(new_house: Callable[..., House]) -> None:
    house = new_house()
    loads = [made(SMALL, 6, seed=seed) for seed in range(50)]
    sent = flood.send(house.port, loads, calling=SENDER, called=OURS)
    assert sent.statuses == (0,) * 300
    until(lambda: len(house.kept()) == 300, 10, "everything is kept")
