"""Storage commitment as messages: the request, and the report on the same association, early, late or never."""

import time
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_role

from node.dimse import commands, commitment, identifiers, messages, negotiate, wire
from node.dimse.client import Association
from node.dimse.commands import Command
from node.errors import Disconnected, NotAccepted, ProtocolBroken
from tests.commitment_scp import CommittingArchive

from .made_peers import EXPLICIT, IMPLICIT, MR, open_to, reply, request_of, scripted
from .test_negotiate import answered, request

TRANSACTION = "2.25.99"
OBJECTS = [(MR, "1.2.3"), (MR, "1.2.4")]


def asked(association: Association, heard: list[commitment.Report]) -> int:
    def on_event(command: Command, what: Dataset) -> int:
        heard.append(commitment.report(command.event_or_action, what))
        return 0

    what = commitment.request(TRANSACTION, OBJECTS)
    status = association.action(negotiate.STORAGE_COMMITMENT, commitment.INSTANCE, commitment.REQUEST, what, on_event)
    if status == 0 and not heard:
        association.await_event(time.monotonic() + 3, lambda: False, on_event)
    return status


@pytest.mark.checklist(58)
def test_a_report_is_taken_on_the_association_of_its_request(archive: Callable[..., CommittingArchive]) -> None:
    peer = archive(kept={uid: (MR, b"") for _, uid in OBJECTS}, failing={"1.2.4": 0x0110})
    heard: list[commitment.Report] = []
    with open_to(peer.port, negotiate.commitment_contexts()) as association:
        assert asked(association, heard) == 0
    assert peer.asked == [(TRANSACTION, ("1.2.3", "1.2.4"))]
    assert heard == [commitment.Report(TRANSACTION, frozenset({"1.2.3"}), {"1.2.4": 0x0110})]
    assert peer.answered == [0]


def test_a_refused_request_is_told_by_its_status(archive: Callable[..., CommittingArchive]) -> None:
    peer = archive(answers="refuses", status=0x0213)
    heard: list[commitment.Report] = []
    with open_to(peer.port, negotiate.commitment_contexts()) as association:
        assert asked(association, heard) == 0x0213
    assert not heard


def test_a_peer_that_does_not_commit_is_named(archive: Callable[..., CommittingArchive]) -> None:
    peer = archive(answers="none")
    contexts = (*negotiate.commitment_contexts(), *negotiate.VERIFICATION_CONTEXTS)
    with open_to(peer.port, contexts) as association, pytest.raises(NotAccepted, match="Storage Commitment"):
        asked(association, [])


def test_no_report_ends_the_waiting_at_its_time_and_the_association_goes_on() -> None:
    def script(connection: wire.Connection) -> None:
        context_id, command = request_of(connection)
        reply(connection, context_id, commands.response(command, 0))
        assert messages.receive_command(connection, time.monotonic() + 5) == wire.RELEASE_RQ

    with (
        scripted(script, offers=(negotiate.STORAGE_COMMITMENT,)) as port,
        open_to(port, negotiate.commitment_contexts()) as association,
    ):
        what = commitment.request(TRANSACTION, OBJECTS)
        sop_class = negotiate.STORAGE_COMMITMENT
        assert association.action(sop_class, commitment.INSTANCE, 1, what, lambda *_: 0) == 0
        begun = time.monotonic()
        assert not association.await_event(begun + 0.3, lambda: False, lambda *_: 0)
        assert 0.2 < time.monotonic() - begun < 3
        assert not association.await_event(time.monotonic() + 9, lambda: True, lambda *_: 0)


def test_a_report_that_comes_before_the_answer_is_taken() -> None:
    answers: list[int | None] = []

    def script(connection: wire.Connection) -> None:
        context_id, command = request_of(connection)
        what = Dataset()
        what.TransactionUID = TRANSACTION
        event = event_request(5, commitment.ALL_COMMITTED)
        messages.send_command(connection, context_id, event, 16384, 5)
        data = memoryview(identifiers.encoded(what, EXPLICIT))
        messages.send_data_set(connection, context_id, [data], 16384, 5)
        received = messages.receive_command(connection, time.monotonic() + 5)
        assert not isinstance(received, int)
        answers.extend([received[1].field, received[1].message_id, received[1].event_or_action])
        reply(connection, context_id, commands.response(command, 0))

    heard: list[commitment.Report] = []
    with (
        scripted(script, offers=(negotiate.STORAGE_COMMITMENT,)) as port,
        open_to(port, negotiate.commitment_contexts()) as association,
    ):
        assert asked(association, heard) == 0
    assert [one.transaction_uid for one in heard] == [TRANSACTION]
    assert heard[0].names_none
    assert answers == [0x8100, 5, 1]


@pytest.mark.parametrize("ends", ["releases", "closes", "talks nonsense"])
def test_a_peer_that_ends_instead_of_reporting_is_told_from_one_that_is_silent(ends: str) -> None:
    def script(connection: wire.Connection) -> None:
        context_id, command = request_of(connection)
        reply(connection, context_id, commands.response(command, 0))
        if ends == "releases":
            connection.send([wire.control_pdu(wire.RELEASE_RQ)], time.monotonic() + 5)
            assert messages.receive_command(connection, time.monotonic() + 5) == wire.RELEASE_RP
        elif ends == "closes":
            connection.cut()
        else:
            reply(connection, context_id, commands.echo_request(3, negotiate.VERIFICATION))

    with scripted(script, offers=(negotiate.STORAGE_COMMITMENT,)) as port:
        association = open_to(port, negotiate.commitment_contexts())
        what = commitment.request(TRANSACTION, OBJECTS)
        assert association.action(negotiate.STORAGE_COMMITMENT, commitment.INSTANCE, 1, what, lambda *_: 0) == 0
        if ends == "releases":
            assert not association.await_event(time.monotonic() + 3, lambda: False, lambda *_: 0)
            assert not association.await_event(time.monotonic() + 3, lambda: False, lambda *_: 0)
            association.release()
        else:
            with pytest.raises(Disconnected if ends == "closes" else ProtocolBroken):
                association.await_event(time.monotonic() + 3, lambda: False, lambda *_: 0)


@pytest.mark.parametrize(
    ("event_type", "what", "words"),
    [
        (3, {"TransactionUID": TRANSACTION}, "no event of type 3"),
        (None, {"TransactionUID": TRANSACTION}, "no event of type None"),
        (1, {}, "names no transaction"),
    ],
    ids=["another event", "no event", "no transaction"],
)
def test_a_report_that_is_none_is_refused(event_type: int | None, what: dict[str, str], words: str) -> None:
    identifier = Dataset()
    for keyword, value in what.items():
        setattr(identifier, keyword, value)
    with pytest.raises(ProtocolBroken, match=words):
        commitment.report(event_type, identifier)


def test_an_object_that_is_listed_twice_has_failed() -> None:
    what = Dataset()
    what.TransactionUID = TRANSACTION
    one = Dataset()
    one.ReferencedSOPInstanceUID = "1.2.3"
    what.ReferencedSOPSequence = [one]
    what.FailedSOPSequence = [one]
    found = commitment.report(2, what)
    assert (found.committed, found.failed) == (frozenset(), {"1.2.3": 0})


def test_an_identifier_that_is_too_long_or_broken_is_refused() -> None:
    with pytest.raises(ProtocolBroken, match="longer than"):
        identifiers.decoded([bytes(700_000)] * 2, EXPLICIT)
    with pytest.raises(ProtocolBroken, match="cannot be read"):
        identifiers.decoded([b"\x08\x00\x18\x00ZZ\xff\xff\xff\xff\xff\xff"], EXPLICIT)


@pytest.mark.checklist(58)
@pytest.mark.parametrize(
    ("roles", "result", "answer"),
    [
        pytest.param([(False, True)], 0, (0, 1), id="scp"),
        pytest.param([(True, True)], 0, (0, 1), id="both"),
        pytest.param([(True, False)], 1, (0, 0), id="scu only"),
        pytest.param([], 0, None, id="none named"),
    ],
)
def test_a_reporting_peer_is_let_in_as_scp_of_storage_commitment(
    roles: list[tuple[bool, bool]], result: int, answer: tuple[int, int] | None
) -> None:
    sop_class = negotiate.STORAGE_COMMITMENT
    offer = negotiate.Offer(frozenset({MR}), (EXPLICIT, IMPLICIT), 131072, reporting=frozenset({sop_class}))
    items = [build_role(sop_class, scu_role=scu, scp_role=scp) for scu, scp in roles]
    _, pdu = answered(request([(sop_class, [IMPLICIT]), (sop_class, ["1.2.840.10008.1.2.4.90"])], list(items)), offer)
    assert [context.result for context in pdu.presentation_context] == [result, 1 if result else 4]
    found = pdu.user_information.role_selection.get(sop_class)
    assert (None if found is None else (found.scu, found.scp)) == answer


def test_storage_commitment_is_not_offered_to_everybody() -> None:
    _, pdu = answered(request([(negotiate.STORAGE_COMMITMENT, [EXPLICIT])]))
    assert [context.result for context in pdu.presentation_context] == [3]


def event_request(message_id: int, event_type: int) -> bytes:
    """An N-EVENT-REPORT-RQ (PS3.7 10.3.1.1), which our own requestor never writes."""
    return commands._encoded(
        {
            commands._AFFECTED_CLASS: commands._uid(negotiate.STORAGE_COMMITMENT),
            commands._COMMAND_FIELD: (0x0100).to_bytes(2, "little"),
            commands._MESSAGE_ID: message_id.to_bytes(2, "little"),
            commands._DATA_SET_TYPE: b"\1\0",
            commands._AFFECTED_INSTANCE: commands._uid(commitment.INSTANCE),
            commands._EVENT_TYPE: event_type.to_bytes(2, "little"),
        }
    )
