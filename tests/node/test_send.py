"""Sending to a real peer over loopback: the same bytes, SEG before SR, and what each answer of the peer leads to."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node import send
from storage import closing, deliveries, parcels, studies
from storage.engine import Connection, begin
from storage.errors import Busy
from storage.states import DeliveryState, Outcome, StudyState
from tests.node.made_outbox import SEG, SR, Outbox


@dataclass
class Pacs:
    """A storage SCP that answers what the test wants and keeps what came."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    came: list[tuple[str, bytes]] = field(default_factory=list)

    def store(self, event: Event) -> int:
        self.came.append((str(event.request.AffectedSOPClassUID), event.request.DataSet.getvalue()))
        return self.statuses.pop(0) if self.statuses else 0x0000


@pytest.fixture
def serve_pacs() -> Iterator[Callable[..., Pacs]]:
    servers = []

    def start(*statuses: int, classes: tuple[str, ...] = (SEG, SR)) -> Pacs:
        pacs = Pacs(statuses=list(statuses))
        ae = AE("PACS")
        for sop_class in classes:
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        servers.append(ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, pacs.store)]))
        pacs.port = servers[-1].server_address[1]
        return pacs

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture
def outbox_for(new_outbox: Callable[..., Outbox]) -> Callable[[int], Outbox]:
    return new_outbox


@pytest.mark.checklist(55)
def test_objects_arrive_in_order_with_the_bytes_that_were_stored(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]
) -> None:
    pacs = serve_pacs()
    outbox = outbox_for(pacs.port)
    assert outbox.send()
    assert pacs.came == [(SEG, outbox.files[0]), (SR, outbox.files[1])]
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert not outbox.send()


def test_a_warning_counts_as_delivered(serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]) -> None:
    outbox = outbox_for(serve_pacs(0xB000, 0xB007).port)
    outbox.send()
    assert outbox.state()[0] is StudyState.DELIVERED


@pytest.mark.checklist(55, 57)
def test_a_peer_that_is_full_is_tried_again_later_and_the_report_waits(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]
) -> None:
    pacs = serve_pacs(0xA700)
    outbox = outbox_for(pacs.port)
    outbox.send()
    assert [sop_class for sop_class, _ in pacs.came] == [SEG]
    assert [line.state for line in outbox.lines()] == [DeliveryState.PENDING] * 2
    assert outbox.lines()[0].due_at > time.time() + 5
    assert "0xA700 (out of resources)" in outbox.lines()[0].error
    assert outbox.state()[0] is StudyState.SENDING


@pytest.mark.checklist(57)
def test_a_peer_that_refuses_an_object_parks_the_study_for_a_person_and_retry_sends_the_same_bytes(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]
) -> None:
    pacs = serve_pacs(0xA900)
    outbox = outbox_for(pacs.port)
    outbox.send()
    assert [line.state for line in outbox.lines()] == [DeliveryState.PARKED] * 2
    assert "held back, because the SEG" in outbox.lines()[1].error
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_SEND)
    with begin(outbox.engine) as conn:
        assert studies.retry(conn, outbox.study_id, time.time()) is StudyState.SENDING
    assert outbox.send()
    assert [data for _, data in pacs.came] == [outbox.files[0], *outbox.files]
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)


def test_a_peer_that_does_not_take_the_class_is_named(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]
) -> None:
    outbox = outbox_for(serve_pacs(classes=(SR,)).port)
    outbox.send()
    assert "Segmentation Storage" in outbox.lines()[0].error
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_SEND)


def test_nobody_at_the_port_is_tried_again_later(outbox_for: Callable[[int], Outbox]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outbox = outbox_for(port)
    assert not outbox.send()
    assert [line.state for line in outbox.lines()] == [DeliveryState.PENDING] * 2
    assert outbox.state()[0] is StudyState.SENDING


def test_a_result_file_that_was_changed_is_never_sent(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox]
) -> None:
    pacs = serve_pacs()
    outbox = outbox_for(pacs.port)
    for path in outbox.config.results_folder.glob("??/*.dcm"):
        path.write_bytes(b"something else")
    outbox.send()
    assert pacs.came == []
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_SEND)


def test_a_slow_peer_keeps_its_parcel_and_a_sender_that_lost_its_own_stops(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "LEASE_S", 0.0)
    asked: list[int] = []

    def renew(_conn: object, parcel: parcels.Parcel, _lease_s: float, _now: float) -> bool:
        asked.append(parcel.id)
        return len(asked) < 2

    monkeypatch.setattr(parcels, "renew", renew)
    pacs = serve_pacs()
    outbox = outbox_for(pacs.port)
    assert outbox.send()
    assert len(asked) == 2
    assert [sop_class for sop_class, _ in pacs.came] == [SEG]
    assert outbox.lines()[0].state is DeliveryState.DELIVERED


@pytest.mark.parametrize(
    ("classes", "statuses"),
    [pytest.param((SR,), (), id="its class is not taken"), pytest.param((SEG, SR), (0xA900,), id="it is refused")],
)
def test_a_companion_that_is_not_taken_holds_back_nothing(
    serve_pacs: Callable[..., Pacs],
    outbox_for: Callable[[int], Outbox],
    monkeypatch: pytest.MonkeyPatch,
    classes: tuple[str, ...],
    statuses: tuple[int, ...],
) -> None:
    """The first object stands for a presentation state."""
    monkeypatch.setattr(closing, "COMPANIONS", frozenset({"SEG"}))
    pacs = serve_pacs(*statuses, classes=classes)
    outbox = outbox_for(pacs.port)
    assert outbox.send()
    assert pacs.came[-1][0] == SR
    assert [line.state for line in outbox.lines()] == [DeliveryState.PARKED, DeliveryState.DELIVERED]
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)


def test_an_object_that_was_taken_while_the_database_was_busy_is_not_sent_again(
    serve_pacs: Callable[..., Pacs], outbox_for: Callable[[int], Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    truly, failures = deliveries.delivered, [Busy("held"), Busy("held")]

    def delivered(conn: Connection, delivery_id: int, status: int, now: float) -> None:
        if failures:
            raise failures.pop()
        truly(conn, delivery_id, status, now)

    monkeypatch.setattr(deliveries, "delivered", delivered)
    pacs = serve_pacs()
    outbox = outbox_for(pacs.port)
    assert outbox.send()
    assert len(pacs.came) == 2
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        pytest.param(0x0000, DeliveryState.DELIVERED, id="the report is accepted"),
        pytest.param(0xA700, DeliveryState.PENDING, id="the report must wait"),
        pytest.param(0xC000, DeliveryState.PARKED, id="the report is refused"),
    ],
)
def test_a_companion_that_was_accepted_is_recorded_with_what_comes_after_it(
    serve_pacs: Callable[..., Pacs],
    outbox_for: Callable[[int], Outbox],
    monkeypatch: pytest.MonkeyPatch,
    answer: int,
    left: DeliveryState,
) -> None:
    monkeypatch.setattr(closing, "COMPANIONS", frozenset({"SEG"}))
    pacs = serve_pacs(0x0000, answer)
    outbox = outbox_for(pacs.port)
    outbox.send()
    assert len(pacs.came) == 2
    assert [line.state for line in outbox.lines()] == [DeliveryState.DELIVERED, left]
