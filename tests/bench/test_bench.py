"""The bench itself: it sees damage, it drips where it says, and our listener keeps every byte under it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import card
from tests.bench import flood, loads, mr_studies, receive, receivers, tables
from tests.bench.loads import MR256, Kind
from tests.bench.receivers import AE_TITLE, CALLING, Receiver
from tests.e2e.processes import PROJECT

SMALL = Kind("small", loads.MR_IMAGE, "MR", 16, 16)


def holding(data: dict[str, bytes]) -> Receiver:
    """A receiver that holds these data sets."""
    return Receiver(0, None, lambda: iter(data.items()))  # type: ignore[arg-type]  # no process


def test_damaged_and_missing_objects_are_counted() -> None:
    items = loads.made(SMALL, 4)
    held = {item.sop_instance_uid: item.data for item in items}
    assert receive.faulty(holding(held), items) == 0
    damaged = bytearray(items[1].data)
    damaged[-1] ^= 1
    held[items[1].sop_instance_uid] = bytes(damaged)
    del held[items[2].sop_instance_uid]
    assert receive.faulty(holding(held), items) == 2


def test_no_two_images_of_a_load_are_the_same() -> None:
    items = [*loads.made(SMALL, 20), *loads.made(SMALL, 20, seed=1)]
    assert len({item.data for item in items}) == 40
    assert len({item.sop_instance_uid for item in items}) == 40


@pytest.mark.parametrize("cut", [0, 5, 11])
def test_a_dripping_sender_cuts_its_stream_behind_each_pdu_and_loses_nothing(cut: int) -> None:
    request = list(flood.store_request(loads.made(SMALL, 1)[0], 1, 100))
    whole = b"".join(request)
    ends, place = [], 0
    while place < len(whole):
        place += 6 + int.from_bytes(whole[place + 2 : place + 6], "big")
        ends.append(place + cut)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writing = threading.Thread(target=flood.dripping(cut, 0.02), args=(ours, request))
        writing.start()
        got = [theirs.recv(1 << 20)]
        while sum(map(len, got)) < len(whole):
            got.append(theirs.recv(1 << 20))
        writing.join()
    assert b"".join(got) == whole
    reached = {sum(map(len, got[: number + 1])) for number in range(len(got))}
    assert reached & set(ends[:-1]), "no read ended where the stream was cut"


def test_figures_are_written_with_the_digits_that_matter() -> None:
    assert [tables.number(value) for value in (1234.4, 123.4, 12.34, 1.234, 0.0123, 0)] == [
        "1234", "123", "12.3", "1.23", "0.012", "0",
    ]  # fmt: skip
    assert tables.spread([3.0, 1.0, 2.0]) == "2.00 (1.00-3.00)"
    assert tables.percentile([float(value) for value in range(1, 41)], 0.95) == 38.0
    assert tables.percentile([7.0], 0.5) == 7.0


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Receiver]:
    receiver = receivers.osteon(tmp_path)
    yield receiver
    receiver.child.kill()


def test_our_listener_keeps_every_byte_of_a_dripping_sender_and_of_eight_at_once(listener: Receiver) -> None:
    for cut in (0, 1, 5, 6, 11, 12):
        items = loads.made(MR256, 3, seed=cut)
        flood.send(listener.port, [items], calling=CALLING, called=AE_TITLE, write=flood.dripping(cut))
        assert receive.faulty(listener, items) == 0, f"damaged by a cut {cut} bytes after a PDU"
    items = loads.made(MR256, 40, seed=50)
    sent = flood.send(listener.port, [items[number::8] for number in range(8)], calling=CALLING, called=AE_TITLE)
    assert set(sent.statuses) == {0}
    assert receive.faulty(listener, items) == 0


def test_the_command_says_what_it_can_do() -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "tests" / "bench" / "run.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "receive" in done.stdout
    assert "--quick" in done.stdout


@pytest.mark.parametrize("one", mr_studies.SYSTEMS, ids=lambda one: one.system)
def test_a_study_of_each_system_has_the_slices_that_its_limit_is_stated_for(one: mr_studies.Measured) -> None:
    made = one.make(90_001)
    sizes = {"diffusion-unet": 2 * 35, "hand-deep-ht": 20, "spine-wff": 4 * 11, "limb-unet": 40}
    assert len(made) == sizes[one.system]
    known = {str(ds.StudyInstanceUID) for ds in made}, {str(ds.SOPInstanceUID) for ds in made}
    anew = mr_studies.again(made)
    assert len({ds.StudyInstanceUID for ds in anew}) == 1
    assert not {str(ds.StudyInstanceUID) for ds in anew} & known[0]
    assert not {str(ds.SOPInstanceUID) for ds in anew} & known[1]


def test_each_system_is_answered_on_the_bench_by_what_ships_or_by_a_tiny_network(tmp_path: Path) -> None:
    ships = mr_studies.shelf(tmp_path / "models")
    found = card.bundles(tmp_path / "models")
    assert not found.damaged
    assert {bundle.card.system for bundle in found.sound} == set(ships)
