"""What the listener answers to each kind of message, and to objects that contradict their request."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from node.dimse import commands, messages, negotiate, wire
from node.dimse.client import Association, Timeouts, associate
from node.dimse.commands import Command
from node.dimse.negotiate import Context
from tests.bench.loads import EXPLICIT_LE, MR256, MR_IMAGE, Item, Kind, made

from .conftest import OURS, SENDER, House

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)
CONTEXTS = (
    *negotiate.VERIFICATION_CONTEXTS,
    Context(MR_IMAGE, (EXPLICIT_LE,)),
    Context(CT_IMAGE, (EXPLICIT_LE,)),
)
MR_CONTEXT = 3


@dataclass(frozen=True)
class Line:
    """An association on which a test says what it likes."""

    association: Association
    connection: wire.Connection

    def ask(self, context_id: int, command: bytes, data: bytes | None = None) -> Command:
        """Send a message; the answer."""
        self.say(context_id, command, data)
        received = messages.receive_command(self.connection, time.monotonic() + 5)
        assert not isinstance(received, int)
        assert received[0] == context_id
        return received[1]

    def say(self, context_id: int, command: bytes, data: bytes | None = None) -> None:
        """Send a message to which no answer is due."""
        messages.send_command(self.connection, context_id, command, 131072, 5)
        if data is not None:
            messages.send_data_set(self.connection, context_id, [memoryview(data)], 131072, 5)


@pytest.fixture
def house(new_house: Callable[..., House]) -> House:
    return new_house()


@pytest.fixture
def line(house: House) -> Iterator[Line]:
    timeouts = Timeouts(connect_s=5, response_s=5, idle_s=5)
    with associate(
        "127.0.0.1", house.port, calling=SENDER, called=OURS, contexts=CONTEXTS, timeouts=timeouts
    ) as association:
        yield Line(association, association._connection)
        association.echo()  # whatever happened, the association goes on


def good() -> Item:
    return made(SMALL, 1)[0]


@pytest.mark.parametrize("field", [0x0010, 0x0020, 0x0021, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150])
@pytest.mark.parametrize("data", [None, b"some identifier"], ids=["without data set", "with data set"])
def test_an_operation_that_is_not_ours_is_unrecognised(line: Line, field: int, data: bytes | None) -> None:
    request = bytearray(commands.find_request(7, MR_IMAGE))
    place = request.index(b"\0\0\0\x01\x02\0\0\0") + 8
    request[place : place + 2] = field.to_bytes(2, "little")
    if data is None:
        request[-2:] = commands.NO_DATA_SET.to_bytes(2, "little")
    answer = line.ask(MR_CONTEXT, bytes(request), data)
    assert (answer.field, answer.message_id, answer.status) == (field | 0x8000, 7, 0x0211)


def test_a_cancel_and_an_answer_to_nothing_are_ignored(line: Line) -> None:
    cancel = commands.response(Command(0x0FFF, 9), 0).replace((0x8FFF).to_bytes(2, "little"), b"\xff\x0f", 1)
    line.say(MR_CONTEXT, cancel)
    line.say(MR_CONTEXT, commands.response(Command(0x0001, 9, MR_IMAGE), 0))
    assert line.association.store(MR_IMAGE, good().sop_instance_uid, EXPLICIT_LE, good().data) == 0


def test_an_object_of_another_class_than_its_context_is_not_supported(line: Line, house: House) -> None:
    item = good()
    answer = line.ask(MR_CONTEXT, commands.store_request(1, CT_IMAGE, item.sop_instance_uid), item.data)
    assert answer.status == 0x0122
    assert house.kept() == {}


@pytest.mark.checklist(45)
def test_an_object_of_another_class_than_its_request_does_not_match(line: Line, house: House) -> None:
    item = good()
    assert line.association.store(CT_IMAGE, item.sop_instance_uid, EXPLICIT_LE, item.data) == 0xA900
    assert house.kept() == {}


@pytest.mark.checklist(45)
def test_an_object_of_another_uid_than_its_request_does_not_match(line: Line, house: House) -> None:
    item = good()
    assert line.association.store(MR_IMAGE, item.sop_instance_uid + "0", EXPLICIT_LE, item.data) == 0xA900
    assert house.kept() == {}


@pytest.mark.parametrize("uid", ["", "../../etc/passwd", "..", "1.2.3;DROP", "1.2\n3", "1" * 70, "/tmp/x", "1.2.3\\4"])
def test_a_request_with_a_hostile_uid_is_not_understood(line: Line, house: House, uid: str) -> None:
    answer = line.ask(MR_CONTEXT, commands.store_request(1, MR_IMAGE, uid), good().data)
    assert answer.status == 0xC000
    assert answer.error_comment
    assert house.kept() == {}


def test_a_request_without_data_set_is_not_understood(line: Line) -> None:
    request = bytearray(commands.store_request(1, MR_IMAGE, "1.2.3"))
    place = request.index(b"\0\0\0\x08\x02\0\0\0") + 8
    request[place : place + 2] = commands.NO_DATA_SET.to_bytes(2, "little")
    assert line.ask(MR_CONTEXT, bytes(request)).status == 0xC000


@pytest.mark.checklist(45)
@pytest.mark.parametrize("size", [0, 1, 7, 100, 400, 130_000])
def test_an_object_that_is_cut_off_is_not_understood(line: Line, house: House, size: int) -> None:
    item = made(MR256, 1)[0]
    assert line.association.store(MR_IMAGE, item.sop_instance_uid, EXPLICIT_LE, item.data[:size]) == 0xC000
    assert house.kept() == {}


@pytest.mark.checklist(48)
def test_the_same_object_again_is_a_success_and_other_bytes_under_its_uid_are_too(line: Line, house: House) -> None:
    item = good()
    other = item.data[:-2] + b"\xff\xff"
    for data in (item.data, item.data, other):
        assert line.association.store(MR_IMAGE, item.sop_instance_uid, EXPLICIT_LE, data) == 0


def test_a_refused_object_leaves_the_next_one_whole(line: Line, house: House) -> None:
    bad, fine = made(SMALL, 2)
    assert line.association.store(MR_IMAGE, bad.sop_instance_uid, EXPLICIT_LE, bad.data[:-1]) == 0xC000
    assert line.association.store(MR_IMAGE, fine.sop_instance_uid, EXPLICIT_LE, fine.data) == 0
    assert house.kept() == {fine.sop_instance_uid: fine.data}
