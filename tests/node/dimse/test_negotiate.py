"""What is proposed and accepted, checked against pynetdicom's own classes at the other end."""

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from node.dimse import items, negotiate
from node.dimse.negotiate import AcceptedContext, Context, Offer
from node.errors import ProtocolBroken
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
J2K = "1.2.840.10008.1.2.4.90"
OFFER = Offer(frozenset({MR, negotiate.VERIFICATION}), (EXPLICIT, IMPLICIT, J2K), 131072)


def request(contexts: list[tuple[str, list[str]]], extra: list[object] | None = None) -> bytes:
    """A request as pynetdicom encodes it, without the six bytes of PDU header."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = negotiate.APPLICATION_CONTEXT_NAME
    primitive.calling_ae_title, primitive.called_ae_title = "CALLER", "OSTEON"
    for place, (abstract, syntaxes) in enumerate(contexts):
        context = build_context(abstract, syntaxes)
        context.context_id = 2 * place + 1
        primitive.presentation_context_definition_list += [context]
    maximum, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    maximum.maximum_length_received = 16382
    implementation.implementation_class_uid = "1.2.3"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "THEIRS"
    primitive.user_information = [maximum, implementation, version, *(extra or [])]
    return bytes(A_ASSOCIATE_RQ(primitive).encode()[6:])


def answered(body: bytes, offer: Offer = OFFER) -> tuple[negotiate.Answer, A_ASSOCIATE_AC]:
    answer = negotiate.answer(body, negotiate.decode_request(body), offer)
    pdu = A_ASSOCIATE_AC()
    pdu.decode(answer.pdu)
    return answer, pdu


def test_the_titles_are_read_before_anything_else() -> None:
    body = request([(MR, [EXPLICIT])])
    assert negotiate.titles(body) == negotiate.Titles(1, "OSTEON", "CALLER")
    hostile = body[:4] + b"\xff\x1b[31m\n\0".ljust(16) + body[20:]
    assert negotiate.titles(hostile).called_ae.isascii()


def test_our_order_of_transfer_syntaxes_decides() -> None:
    answer, pdu = answered(request([(MR, [BIG_ENDIAN, J2K, IMPLICIT, EXPLICIT]), (MR, [J2K, IMPLICIT]), (MR, [J2K])]))
    assert [context.transfer_syntax for context in answer.contexts.values()] == [EXPLICIT, IMPLICIT, J2K]
    assert [(c.context_id, c.result, c.transfer_syntax) for c in pdu.presentation_context] == [
        (1, 0, EXPLICIT),
        (3, 0, IMPLICIT),
        (5, 0, J2K),
    ]


def test_what_is_not_offered_is_refused_with_its_result() -> None:
    answer, pdu = answered(request([(CT, [EXPLICIT]), (MR, [BIG_ENDIAN]), (negotiate.VERIFICATION, [IMPLICIT])]))
    assert [c.result for c in pdu.presentation_context] == [3, 4, 0]
    assert answer.contexts == {5: AcceptedContext(negotiate.VERIFICATION, IMPLICIT)}


@pytest.mark.checklist(10)
def test_the_answer_says_who_we_are() -> None:
    _, pdu = answered(request([(MR, [EXPLICIT])]))
    assert pdu.user_information.maximum_length == 131072
    assert pdu.user_information.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert pdu.user_information.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert (pdu.reserved_aet.strip(), pdu.reserved_aec.strip()) == ("OSTEON", "CALLER")
    assert pdu.user_information.async_ops_window is None
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_one_operation_at_a_time_is_answered_to_a_proposed_window() -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 0
    _, pdu = answered(request([(MR, [EXPLICIT])], [window]))
    theirs = pdu.user_information.async_ops_window
    assert (theirs.max_operations_invoked, theirs.max_operations_performed) == (1, 1)


def test_a_requestor_may_be_scu_and_not_scp() -> None:
    roles = [build_role(MR, scu_role=True, scp_role=True), build_role(negotiate.VERIFICATION, scp_role=True)]
    answer, pdu = answered(request([(MR, [EXPLICIT]), (negotiate.VERIFICATION, [EXPLICIT])], list(roles)))
    role = pdu.user_information.role_selection[MR]
    assert (role.scu, role.scp) == (1, 0)
    assert list(answer.contexts) == [1]
    assert [c.result for c in pdu.presentation_context] == [0, 1]


def test_identity_and_extended_negotiation_are_left_unanswered() -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"user", b"secret"
    identity.positive_response_requested = True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = MR, b"\x02\0\x03\0\x01\0"
    _, pdu = answered(request([(MR, [EXPLICIT])], [identity, extended]))
    assert pdu.user_information.user_identity is None
    assert pdu.user_information.ext_neg == []


def test_unknown_items_are_ignored() -> None:
    body = request([(MR, [EXPLICIT])])
    body += items.item(0x99, b"what is this") + items.item(items.USER_INFORMATION, items.item(0x77, b"?"))
    assert list(negotiate.decode_request(body).contexts) == [1]


def test_unreadable_user_items_are_ignored() -> None:
    broken = items.item(items.ROLE, b"\xff\xff1.2") + items.item(items.MAXIMUM_LENGTH, b"\0")
    broken += items.item(items.IMPLEMENTATION_VERSION, b"") + items.item(items.MAXIMUM_LENGTH, struct.pack(">I", 4096))
    assert items.decode_user_information(broken).max_pdu == 4096


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 67,
        request([(MR, [EXPLICIT])])[:-1],
        request([(MR, [EXPLICIT])]) + b"\x20",
        request([(MR, [EXPLICIT])]) + items.item(items.CONTEXT_RQ, b"\x01\0\0\0"),
        request([(MR, [EXPLICIT])]) + items.item(items.CONTEXT_RQ, b"\x02\0\0\0"),
        request([(MR, [EXPLICIT])]) + items.item(items.CONTEXT_RQ, b""),
        request([(MR, [EXPLICIT])]) + items.item(items.CONTEXT_RQ, b"\x03\0\0\0\x30\0\xff\xff1.2"),
        request([(MR, [EXPLICIT])]) + items.item(items.USER_INFORMATION, items.item(0x77, b"") * 1000),
    ],
    ids=["empty", "short", "cut", "half an item", "twice", "even", "no identifier", "overlong", "a thousand items"],
)
def test_a_malformed_request_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        negotiate.titles(body)
        negotiate.decode_request(body)


@settings(max_examples=300, deadline=None)
@given(st.integers(68, 400), st.binary(max_size=6), st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_broken_protocol(place: int, patch: bytes, tail: bytes) -> None:
    body = bytearray(request([(MR, [EXPLICIT]), (CT, [IMPLICIT, J2K])], [build_role(MR, scp_role=True)]))
    body[place : place + len(patch)] = patch
    for mutated in (bytes(body), bytes(body[:place]) + tail):
        try:
            negotiate.answer(mutated, negotiate.decode_request(mutated), OFFER)
        except ProtocolBroken:
            continue


def test_the_largest_request_costs_milliseconds() -> None:
    syntaxes = [f"1.2.840.10008.1.2.4.{n}" for n in range(50, 95)]
    contexts = [(f"1.2.840.10008.5.1.4.1.1.{n}", syntaxes) for n in range(128)]
    body = request(contexts)
    assert len(body) > 150_000
    begin = time.process_time()
    negotiate.answer(body, negotiate.decode_request(body), OFFER)
    assert time.process_time() - begin < 0.1  # pynetdicom's own decoding takes some 200 ms


def test_our_request_is_read_by_pynetdicom() -> None:
    contexts = (Context(MR, (EXPLICIT, IMPLICIT)), Context(CT, (J2K,)))
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(negotiate.request_pdu("OSTEON", "PACS", contexts, 32768))
    assert (pdu.calling_ae_title.strip(), pdu.called_ae_title.strip()) == ("OSTEON", "PACS")
    assert [(c.context_id, c.abstract_syntax, c.transfer_syntax) for c in pdu.presentation_context] == [
        (1, MR, [EXPLICIT, IMPLICIT]),
        (3, CT, [J2K]),
    ]
    assert pdu.user_information.maximum_length == 32768


@pytest.mark.parametrize("count", [0, 129])
def test_none_or_too_many_contexts_cannot_be_proposed(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 128"):
        negotiate.request_pdu("OSTEON", "PACS", [Context(MR, (EXPLICIT,))] * count, 32768)


def test_our_own_answer_is_read_back() -> None:
    contexts = (Context(MR, (IMPLICIT, EXPLICIT)), Context(CT, (J2K,)), Context(MR, (BIG_ENDIAN,)))
    body = negotiate.request_pdu("OSTEON", "PACS", contexts, 32768)[6:]
    answer = negotiate.answer(body, negotiate.decode_request(body), OFFER)
    agreement = negotiate.decode_accept(answer.pdu[6:], contexts)
    assert agreement.contexts == {1: AcceptedContext(MR, EXPLICIT)}
    assert agreement.refused == {3: 3, 5: 4}
    assert agreement.user.max_pdu == 131072


def test_an_accepted_syntax_that_was_not_proposed_counts_as_refused() -> None:
    body = negotiate.request_pdu("OSTEON", "PACS", [Context(MR, (IMPLICIT,))], 32768)[6:]
    pdu = negotiate.answer(body, negotiate.decode_request(body), OFFER).pdu.replace(
        b"\x40\0\0\x11" + IMPLICIT.encode(), b"\x40\0\0\x11" + b"1.2.840.10008.9.9"
    )
    agreement = negotiate.decode_accept(pdu[6:], [Context(MR, (IMPLICIT,))])
    assert agreement.contexts == {}
    assert list(agreement.refused) == [1]


def test_a_context_that_was_not_proposed_breaks_the_protocol() -> None:
    body = negotiate.request_pdu("OSTEON", "PACS", [Context(MR, (IMPLICIT,))] * 2, 32768)[6:]
    pdu = negotiate.answer(body, negotiate.decode_request(body), OFFER).pdu
    with pytest.raises(ProtocolBroken, match="not proposed"):
        negotiate.decode_accept(pdu[6:], [Context(MR, (IMPLICIT,))])


def test_a_rejection_is_read_by_pynetdicom() -> None:
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(negotiate.reject_pdu(1, 1, 7))
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (1, 1, 7)


def test_all_storage_classes_are_taken_current_and_retired() -> None:
    classes = negotiate.storage_classes()
    assert {MR, CT, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"} <= classes
    assert "1.2.840.10008.5.1.4.1.1.6" in classes  # ultrasound as archives of the nineties hold it
    assert negotiate.VERIFICATION not in classes
    assert len(classes) > 180


def test_objects_of_one_kind_share_a_context() -> None:
    pairs = [(MR, EXPLICIT), (MR, J2K), (MR, EXPLICIT)]
    assert negotiate.storage_contexts(pairs) == (Context(MR, (EXPLICIT,)), Context(MR, (J2K,)))
    assert negotiate.storage_contexts({MR: EXPLICIT}) == (Context(MR, (EXPLICIT,)),)
