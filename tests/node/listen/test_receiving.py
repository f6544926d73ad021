"""What is kept is what was sent, to the byte, however the sender cuts its writes; and who may send what."""

import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from node.listen.scan import Refusal
from node.listen.store import Store
from storage import studies
from storage.engine import reading
from storage.errors import DiskFull
from storage.journal import Journal
from tests.bench import flood
from tests.bench.loads import MR256, MR_IMAGE, Item, Kind, made, written
from tests.e2e import radiographs
from tests.e2e.processes import system_tool, until

from .conftest import OURS, SENDER, House

SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)
ODD_PLACES = (0, 1, 5, 6, 7, 11, 12, 13)


def same(house: House, items: list[Item]) -> None:
    """The journal holds exactly these objects with exactly these bytes."""
    kept = house.kept()
    assert set(kept) == {item.sop_instance_uid for item in items}
    for item in items:
        assert kept[item.sop_instance_uid] == item.data


def rows(house: House) -> set[str]:
    with reading(house.engine) as conn:
        return {uid for uid, _ in studies.held(conn)}


@pytest.mark.parametrize("cut", ODD_PLACES, ids=lambda cut: f"{cut} bytes after each PDU")
def test_a_dripping_sender_damages_nothing(new_house: Callable[..., House], cut: int) -> None:
    house = new_house()
    items = made(MR256, 4)
    sent = flood.send(house.port, [items], calling=SENDER, called=OURS, write=flood.dripping(cut))
    assert set(sent.statuses) == {0}
    same(house, items)


def test_a_sender_that_writes_byte_by_byte_damages_nothing(new_house: Callable[..., House]) -> None:
    house = new_house()
    items = made(SMALL, 1)

    def trickle(peer: socket.socket, buffers: list[bytes | memoryview]) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"".join(buffers):
            peer.send(bytes([byte]))

    flood.send(house.port, [items], calling=SENDER, called=OURS, write=trickle)
    same(house, items)


@pytest.mark.parametrize("max_pdu", [4096, 16384, 1048576], ids=str)
def test_eight_senders_at_once_keep_apart(new_house: Callable[..., House], max_pdu: int) -> None:
    house = new_house(max_pdu_bytes=max_pdu)
    loads = [made(SMALL, 12, seed=seed) for seed in range(8)]
    sent = flood.send(house.port, loads, calling=SENDER, called=OURS)
    assert sent.statuses == (0,) * 96
    items = [item for load in loads for item in load]
    same(house, items)
    until(lambda: len(rows(house)) == len(items), 20, "every object has its row")


def pdv(flags: int, data: bytes) -> bytes:
    return struct.pack(">LBB", len(data) + 2, 1, flags) + data


def pdu(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


def associated(house: House, item: Item) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", house.port), timeout=10)
    peer.sendall(flood.association_request(SENDER, OURS, item.sop_class_uid))
    head = peer.recv(6, socket.MSG_WAITALL)
    assert head[0] == 2
    peer.recv(struct.unpack(">L", head[2:])[0], socket.MSG_WAITALL)
    return peer


def answered(peer: socket.socket) -> bytes:
    head = peer.recv(6, socket.MSG_WAITALL)
    assert head[:1] == b"\4"
    return peer.recv(struct.unpack(">L", head[2:])[0], socket.MSG_WAITALL)


def command_of(item: Item) -> bytes:
    """The command set alone, out of the sender's first PDU (12 bytes of headers before it)."""
    return bytes(next(iter(flood.store_request(item, 1, 1024))))[12:]


def test_any_division_into_fragments_is_one_object(new_house: Callable[..., House]) -> None:
    house = new_house()
    first, second, third = made(SMALL, 3)
    with associated(house, first) as peer:
        peer.sendall(pdu(pdv(3, command_of(first)), pdv(0, first.data[:100]), pdv(2, first.data[100:])))
        answered(peer)
        command = command_of(second)
        peer.sendall(pdu(pdv(1, command[:7])) + pdu(pdv(1, b"")) + pdu(pdv(3, command[7:])))
        peer.sendall(pdu(pdv(0, b"")) + pdu(pdv(0, second.data[:1]), pdv(0, b""), pdv(2, second.data[1:])))
        answered(peer)
        peer.sendall(pdu(pdv(3, command_of(third))) + pdu(pdv(0, third.data)) + pdu(pdv(2, b"")))
        answered(peer)
    same(house, [first, second, third])


@pytest.mark.checklist(47)
def test_an_abort_in_the_middle_of_an_object_keeps_what_was_acknowledged(new_house: Callable[..., House]) -> None:
    house = new_house()
    whole, cut = made(SMALL, 2)
    with associated(house, whole) as peer:
        peer.sendall(pdu(pdv(3, command_of(whole)), pdv(2, whole.data)))
        answered(peer)
        peer.sendall(pdu(pdv(3, command_of(cut)), pdv(0, cut.data[:500])) + b"\7\0\0\0\0\4\0\0\0\0")
    until(lambda: rows(house) == {whole.sop_instance_uid}, 10, "the acknowledged object has its row")
    same(house, [whole])
    later = made(SMALL, 3, seed=5)
    flood.send(house.port, [later], calling=SENDER, called=OURS)
    same(house, [whole, *later])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=lambda uid: uid.name)
def test_pynetdicom_may_send(new_house: Callable[..., House], syntax: str) -> None:
    house = new_house()
    dataset = radiographs.radiograph(radiographs.any_pixels(64, 64))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    ae = AE(SENDER)
    ae.add_requested_context(dataset.SOPClassUID, syntax)
    assoc = ae.associate("127.0.0.1", house.port, ae_title=OURS)
    assert assoc.is_established
    assert assoc.send_c_store(dataset).Status == 0
    assoc.release()
    assert list(house.kept()) == [dataset.SOPInstanceUID]


@pytest.mark.parametrize("tool", ["dcmsend", "storescu"])
def test_dcmtk_may_send(new_house: Callable[..., House], tmp_path: Path, tool: str) -> None:
    house = new_house()
    items = made(SMALL, 5)
    files = [str(path) for path in written(items, tmp_path)]
    arguments = ["-aet", SENDER, "-aec", OURS, "127.0.0.1", str(house.port), *files]
    done = subprocess.run([system_tool(tool), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(house.kept()) == 5


def test_a_peer_that_may_only_ask_is_told_so(new_house: Callable[..., House]) -> None:
    house = new_house()
    sent = flood.send(house.port, [made(SMALL, 1)], calling="GUEST", called=OURS)
    assert sent.statuses == (0x0124,)
    assert house.kept() == {}


@pytest.mark.checklist(42)
@pytest.mark.parametrize(
    ("calling", "called", "why"),
    [
        pytest.param("NOBODY", OURS, (1, 1, 3), id="unknown calling AE title"),
        pytest.param("FAR", OURS, (1, 1, 3), id="a known title from another address"),
        pytest.param(SENDER, "OTHER", (1, 1, 7), id="wrong called AE title"),
    ],
)
def test_strangers_are_rejected_with_the_reason(
    new_house: Callable[..., House], calling: str, called: str, why: tuple[int, int, int]
) -> None:
    house = new_house()
    with pytest.raises(flood.Refused) as refused:
        flood.send(house.port, [made(SMALL, 1)], calling=calling, called=called)
    assert refused.value.why == why


@pytest.mark.checklist(49)
def test_an_association_over_the_limit_is_rejected_for_now_and_the_others_go_on(
    new_house: Callable[..., House],
) -> None:
    house = new_house(max_associations=1)
    items = made(SMALL, 1)
    with associated(house, items[0]) as first:
        with pytest.raises(flood.Refused) as refused:
            flood.send(house.port, [items], calling=SENDER, called=OURS)
        assert refused.value.why == (2, 3, 2)
        first.sendall(pdu(pdv(3, command_of(items[0])), pdv(2, items[0].data)))
        answered(first)
    same(house, items)


@pytest.mark.checklist(44)
def test_too_little_room_is_answered_with_a_status_that_asks_for_another_try(new_house: Callable[..., House]) -> None:
    house = new_house(reserve_bytes=1 << 60)
    assert flood.send(house.port, [made(SMALL, 2)], calling=SENDER, called=OURS).statuses == (0xA700,) * 2
    assert house.kept() == {}


@pytest.mark.checklist(44)
def test_a_disk_that_fills_up_loses_nothing_and_is_left_in_order(
    new_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = new_house()
    before, failing, after = (made(SMALL, 2, seed=seed) for seed in range(3))
    flood.send(house.port, [before], calling=SENDER, called=OURS)

    def full(_self: Journal, _meta: object) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "commit", full)
        statuses = flood.send(house.port, [failing], calling=SENDER, called=OURS).statuses
    assert statuses == (0xA700,) * 2
    assert flood.send(house.port, [after], calling=SENDER, called=OURS).statuses == (0, 0)
    same(house, [*before, *after])


@pytest.mark.checklist(45)
def test_a_fault_of_ours_is_a_status_and_never_a_dead_association(
    new_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = new_house()

    def broken(*_: object) -> Refusal | None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_finish", broken)
        assert flood.send(house.port, [made(SMALL, 2)], calling=SENDER, called=OURS).statuses == (0x0110,) * 2
    assert flood.send(house.port, [made(SMALL, 1)], calling=SENDER, called=OURS).statuses == (0,)


def test_an_object_over_the_limit_is_refused_and_the_next_is_taken(new_house: Callable[..., House]) -> None:
    house = new_house(max_object_bytes=20_000)
    large, small = made(MR256, 1)[0], made(SMALL, 1)[0]
    statuses = flood.send(house.port, [[large, small]], calling=SENDER, called=OURS).statuses
    assert statuses == (0xC000, 0)
    same(house, [small])


def test_no_file_is_named_after_what_a_sender_says(new_house: Callable[..., House]) -> None:
    house = new_house()
    items = made(SMALL, 2)
    flood.send(house.port, [items], calling=SENDER, called=OURS)
    names = " ".join(path.name for path in house.folder.iterdir())
    assert SENDER not in names
    assert not any(item.sop_instance_uid in names for item in items)
