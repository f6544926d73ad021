"""What goes instead of an object whose class a PACS refuses, and what the study says of it."""

from collections.abc import Callable

import pytest

from node.config import SendSection
from storage.fallbacks import in_its_place
from storage.states import DeliveryState, Outcome, StudyState
from tests.commitment_scp import CommittingArchive
from tests.node.made_outbox import GSPS, PLAIN_SR, SC, SEG, SR, Outbox, Stand, uid

Archive = Callable[..., CommittingArchive]
NewOutbox = Callable[..., Outbox]
CHAIN = (
    Stand("seg", SEG),
    Stand("gsps", GSPS, instead_of=(0,), in_reserve=True),
    Stand("sc", SC, instead_of=(1,), in_reserve=True),
    Stand("sr", SR),
)
REPORTS = (Stand("seg", SEG), Stand("sr", SR), Stand("sr", PLAIN_SR, instead_of=(1,), in_reserve=True))
PENDING, DELIVERED, RESERVE, REPLACED, PARKED = (
    DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.RESERVE, DeliveryState.REPLACED,
    DeliveryState.PARKED,
)  # fmt: skip


def classes_sent(pacs: CommittingArchive) -> list[str]:
    return [sop_class for sop_class, _, _ in pacs.came]


def test_what_is_in_reserve_never_goes_where_nothing_is_refused(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive()
    outbox = new_outbox(pacs.port, CHAIN)
    outbox.send()
    assert classes_sent(pacs) == [SEG, SR]
    assert outbox.states() == [DELIVERED, RESERVE, RESERVE, DELIVERED]
    assert outbox.state()[0] is StudyState.DELIVERED
    assert outbox.study().explanation == "found"
    assert not outbox.send()


@pytest.mark.checklist(56)
@pytest.mark.parametrize("how", ["no presentation context", "0x0122", "0xA900", "0xA9FF"])
def test_a_pacs_that_refuses_segmentations_gets_the_fallback_before_the_report_and_the_study_says_so(
    archive: Archive, new_outbox: NewOutbox, how: str
) -> None:
    status = 0 if how == "no presentation context" else int(how, 16)
    pacs = archive(
        classes=None if status else (GSPS, SC, SR),
        store_status=lambda sop_class: status if sop_class == SEG else 0,
    )
    outbox = new_outbox(pacs.port, CHAIN)
    assert outbox.send()
    assert classes_sent(pacs)[-2:] == [GSPS, SR]
    assert outbox.states() == [REPLACED, DELIVERED, RESERVE, DELIVERED]
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert "pacs does not take the seg; it got gsps instead." in outbox.study().explanation.splitlines()
    [told] = outbox.told("replaced")
    assert "in its place goes: gsps" in told
    line = outbox.lines()[0]
    assert (line.stand_ins, line.status) == (("gsps",), status or None)
    assert outbox.lines()[1].instead_of == ("seg",)


@pytest.mark.checklist(56)
def test_a_chain_is_followed_to_what_the_pacs_takes(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(classes=(SC, SR))
    outbox = new_outbox(pacs.port, CHAIN)
    outbox.send()
    assert classes_sent(pacs) == [SC, SR]
    assert outbox.states() == [REPLACED, REPLACED, DELIVERED, DELIVERED]
    assert outbox.state()[0] is StudyState.DELIVERED


def test_a_chain_that_is_refused_to_its_end_holds_the_report_back_and_begins_again_on_retry(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    refused = {SEG, GSPS, SC}
    pacs = archive(store_status=lambda sop_class: 0x0122 if sop_class in refused else 0)
    outbox = new_outbox(pacs.port, CHAIN)
    outbox.send()
    assert classes_sent(pacs) == [SEG, GSPS, SC]
    assert outbox.states() == [REPLACED, REPLACED, PARKED, PARKED]
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_SEND)
    assert "held back, because the sc before it was not taken" in outbox.lines()[3].error
    refused.remove(SEG)
    assert outbox.retry() is StudyState.SENDING
    assert outbox.states() == [PENDING, RESERVE, RESERVE, PENDING]
    outbox.send()
    assert classes_sent(pacs)[3:] == [SEG, SR]
    assert pacs.kept[uid(0)][1] == outbox.files[0]
    assert outbox.state()[0] is StudyState.DELIVERED
    assert outbox.study().explanation == "found"


def test_a_report_that_is_refused_goes_in_a_plainer_class_and_the_study_is_delivered_with_a_remark(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(classes=(SEG, PLAIN_SR))
    outbox = new_outbox(pacs.port, REPORTS)
    outbox.send()
    assert classes_sent(pacs) == [SEG, PLAIN_SR]
    assert outbox.state()[0] is StudyState.DELIVERED
    assert outbox.study().explanation.splitlines() == [
        "found",
        "pacs does not take the sr; it got the same in another form instead.",
    ]


def test_an_object_that_goes_anyway_may_stand_in_for_a_refused_one(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(classes=(GSPS, SR))
    outbox = new_outbox(pacs.port, (Stand("seg", SEG), Stand("gsps", GSPS, instead_of=(0,)), Stand("sr", SR)))
    outbox.send()
    assert classes_sent(pacs) == [GSPS, SR]
    assert outbox.states() == [REPLACED, DELIVERED, DELIVERED]


def test_a_companion_that_stands_in_for_a_refused_object_is_no_companion_any_more(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(store_status=lambda sop_class: {SEG: 0x0122, GSPS: 0xC000}.get(sop_class, 0))
    outbox = new_outbox(pacs.port, (Stand("seg", SEG), Stand("gsps", GSPS, instead_of=(0,)), Stand("sr", SR)))
    outbox.send()
    assert outbox.states() == [REPLACED, PARKED, PARKED]
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_SEND)


def test_an_object_that_is_refused_for_itself_is_not_replaced(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(store_status=lambda sop_class: 0xC000 if sop_class == SEG else 0)
    outbox = new_outbox(pacs.port, CHAIN)
    outbox.send()
    assert outbox.states() == [PARKED, RESERVE, RESERVE, PARKED]


def test_a_fallback_that_was_interrupted_goes_on_where_it_was(archive: Archive, new_outbox: NewOutbox) -> None:
    statuses = {SEG: 0x0122, GSPS: 0xA700}
    pacs = archive(store_status=lambda sop_class: statuses.get(sop_class, 0))
    settings = SendSection(connect_timeout_s=2, response_timeout_s=2, first_retry_s=0.1)
    outbox = new_outbox(pacs.port, CHAIN, settings=settings)
    outbox.send()
    assert outbox.states() == [REPLACED, PENDING, RESERVE, PENDING]
    statuses.clear()
    outbox.retry()
    outbox.send()
    assert classes_sent(pacs) == [SEG, GSPS, GSPS, SR]
    assert outbox.state()[0] is StudyState.DELIVERED
    assert "it got gsps instead" in outbox.study().explanation


def test_a_fallback_is_confirmed_like_everything_else(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(store_status=lambda sop_class: 0x0122 if sop_class == SEG else 0)
    outbox = new_outbox(pacs.port, CHAIN, confirm="commitment")
    outbox.send()
    assert outbox.state()[0] is StudyState.SENDING
    outbox.ask()
    assert [objects for _, objects in pacs.asked] == [(uid(1), uid(3))]
    assert outbox.states() == [REPLACED, DELIVERED, RESERVE, DELIVERED]
    assert outbox.state()[0] is StudyState.DELIVERED
    assert "it got gsps instead" in outbox.study().explanation


def test_what_is_in_the_place_of_what_is_found_through_refusals() -> None:
    edges = {1: (2, 3), 2: (4,), 4: (5,)}
    states = dict.fromkeys(range(1, 6), RESERVE)
    assert in_its_place(1, edges, states) == {2, 3}
    states |= {2: REPLACED, 3: PARKED}
    assert in_its_place(1, edges, states) == {4}
    states |= {4: REPLACED, 5: PARKED}
    assert in_its_place(1, edges, states) == frozenset()
    assert in_its_place(5, edges, states) == frozenset()
