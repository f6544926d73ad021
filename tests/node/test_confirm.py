"""A peer that accepted results is asked whether it keeps them: every answer that it can give, and none."""

import time
from collections.abc import Callable

import pytest

from node.config import SendSection
from storage import confirmations
from storage.engine import begin, reading
from storage.states import DeliveryState, Outcome, StudyState
from tests.commitment_scp import CommittingArchive
from tests.node.made_outbox import SEG, SR, Outbox, uid

Archive = Callable[..., CommittingArchive]
NewOutbox = Callable[..., Outbox]
IMPATIENT = SendSection(
    connect_timeout_s=2, response_timeout_s=2, commit_hold_s=0.2, commit_answer_s=0.1, commit_asks=2, find_wait_s=0,
    resend_after_s=0, max_resends=2, first_retry_s=0.1,
)  # fmt: skip
PATIENT = SendSection(connect_timeout_s=2, response_timeout_s=2, commit_hold_s=5, find_wait_s=0, resend_after_s=0)


def all_are(outbox: Outbox, state: DeliveryState) -> bool:
    return outbox.states() == [state] * len(outbox.files)


def ask_until_ended(outbox: Outbox) -> None:
    """Send and ask, as a node does, until the study has ended."""
    deadline = time.monotonic() + 20
    while outbox.state()[0] is StudyState.SENDING:
        outbox.send()
        outbox.ask()
        assert time.monotonic() < deadline, f"still {outbox.states()}"


@pytest.mark.checklist(58)
def test_a_study_is_delivered_when_the_archive_has_reported_on_the_same_association(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive()
    outbox = new_outbox(pacs.port, confirm="commitment", settings=PATIENT)
    assert outbox.send()
    assert all_are(outbox, DeliveryState.ACCEPTED)
    assert outbox.state()[0] is StudyState.SENDING
    assert outbox.lines()[0].asks_at is not None
    begun = time.monotonic()
    assert outbox.ask()
    assert time.monotonic() - begun < 4, "the association was held although everything was said"
    assert [objects for _, objects in pacs.asked] == [(uid(0), uid(1))]
    assert all_are(outbox, DeliveryState.DELIVERED)
    assert {line.confirmed_by for line in outbox.lines()} == {"commitment"}
    assert all(line.accepted_at <= line.confirmed_at for line in outbox.lines())  # type: ignore[operator]
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert pacs.answered == [0]
    assert not outbox.ask()
    assert not outbox.send()


@pytest.mark.checklist(58)
def test_what_the_archive_reports_as_lost_is_sent_again_with_the_same_bytes(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(failing={uid(0): 0x0112})
    outbox = new_outbox(pacs.port, confirm="commitment", settings=PATIENT)
    outbox.send()
    outbox.ask()
    assert outbox.states() == [DeliveryState.PENDING, DeliveryState.DELIVERED]
    assert "ARCHIVE" not in outbox.lines()[0].error
    assert "pacs does not keep it: 0x0112 (no such object instance)" in outbox.lines()[0].error
    ask_until_ended(outbox)
    assert [(name, data) for _, name, data in pacs.came] == [
        (uid(0), outbox.files[0]),
        (uid(1), outbox.files[1]),
        (uid(0), outbox.files[0]),
    ]
    assert [objects for _, objects in pacs.asked] == [(uid(0), uid(1)), (uid(0),)]
    assert len({transaction for transaction, _ in pacs.asked}) == 2
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)


@pytest.mark.checklist(58)
@pytest.mark.parametrize("reason", [0x0110, 0x0112, 0x0119, 0x0122, 0x0213])
def test_what_is_lost_again_and_again_is_parked_with_the_words_of_the_archive(
    archive: Archive, new_outbox: NewOutbox, reason: int
) -> None:
    pacs = archive(fails=lambda sop_class: reason if sop_class == SEG else 0)
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert [name for _, name, _ in pacs.came] == [uid(0), uid(1), uid(0), uid(0)]
    assert outbox.states() == [DeliveryState.PARKED, DeliveryState.DELIVERED]
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert f"0x{reason:04X}" in outbox.study().explanation
    pacs.fails = lambda _: 0
    assert outbox.retry() is StudyState.SENDING
    ask_until_ended(outbox)
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert pacs.came[-1][1:] == (uid(0), outbox.files[0])


def test_a_transaction_that_the_archive_takes_for_another_is_asked_anew_and_nothing_sent(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(failing={uid(0): 0x0131, uid(1): 0x0131})
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert len(pacs.came) == 2
    assert len(pacs.asked) == 2
    assert outbox.state()[0] is StudyState.DELIVERED


@pytest.mark.checklist(58)
def test_an_archive_that_never_reports_is_asked_again_and_at_last_a_person_is_called(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(answers="never")
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert len({transaction for transaction, _ in pacs.asked}) == 2
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert "left 2 requests for storage commitment without a report" in outbox.study().explanation
    assert len(pacs.came) == 2


def test_an_archive_that_never_reports_is_asked_by_query_where_that_is_enough(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(answers="never", finds=True)
    outbox = new_outbox(pacs.port, confirm="auto", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert len(pacs.asked) == 2
    assert {line.confirmed_by for line in outbox.lines()} == {"find"}
    assert outbox.state()[0] is StudyState.DELIVERED


def test_an_archive_that_promised_reports_and_answers_no_queries_is_not_believed(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive(answers="never")
    outbox = new_outbox(pacs.port, confirm="auto", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)


def test_a_report_that_comes_after_all_mends_a_study_that_was_given_up(archive: Archive, new_outbox: NewOutbox) -> None:
    from node.dimse import commitment
    from node.dimse.commands import Command
    from node.reports import ResendRules, take_report

    pacs = archive(answers="never")
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert outbox.state()[0] is StudyState.FAILED
    transaction, objects = pacs.asked[0]
    what = commitment.request(transaction, [(SEG, objects[0]), (SR, objects[1])])
    event = Command(0x0100, 1, event_or_action=commitment.ALL_COMMITTED)
    assert take_report(outbox.engine, outbox.peer(), event, what, ResendRules()) == 0
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert outbox.study().explanation == "found"


@pytest.mark.parametrize("answers", ["none", "refuses", "aborts"])
def test_without_commitment_a_query_confirms(archive: Archive, new_outbox: NewOutbox, answers: str) -> None:
    pacs = archive(answers=answers, status=0x0110, finds=True)
    outbox = new_outbox(pacs.port, confirm="auto", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert {line.confirmed_by for line in outbox.lines()} == {"find"}
    assert outbox.state()[0] is StudyState.DELIVERED
    assert [query.QueryRetrieveLevel for query in pacs.queries] == ["IMAGE"] * 2


def test_a_peer_that_must_commit_and_does_not_is_named(archive: Archive, new_outbox: NewOutbox) -> None:
    outbox = new_outbox(archive(answers="none").port, confirm="commitment", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert "Storage Commitment" in outbox.study().explanation


def test_a_request_that_cannot_be_taken_now_is_made_again(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(answers="refuses", status=0x0213)
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    outbox.send()
    assert not outbox.ask()
    assert all_are(outbox, DeliveryState.ACCEPTED)
    pacs.answers = "same"
    ask_until_ended(outbox)
    assert outbox.state()[0] is StudyState.DELIVERED


def test_what_a_query_does_not_find_is_sent_again_and_at_last_parked(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(answers="none", finds=True, hidden={uid(1)})
    outbox = new_outbox(pacs.port, confirm="find", settings=IMPATIENT)
    outbox.send()
    pacs.hidden.add(uid(1))
    outbox.ask()
    assert outbox.states() == [DeliveryState.DELIVERED, DeliveryState.PENDING]
    ask_until_ended(outbox)
    assert outbox.state()[0] is StudyState.DELIVERED
    assert [(name, data) for _, name, data in pacs.came[2:]] == [(uid(1), outbox.files[1])]


def test_what_no_query_ever_finds_is_parked(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(answers="none", finds=True)
    outbox = new_outbox(pacs.port, confirm="find", settings=IMPATIENT)
    while outbox.state()[0] is StudyState.SENDING:
        outbox.send()
        pacs.kept.pop(uid(0), None)
        outbox.ask()
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert "a query does not find it" in outbox.study().explanation
    assert [name for _, name, _ in pacs.came].count(uid(0)) == 3


SERIES_OF = {uid(place): f"2.25.1{place}" for place in range(2)}


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "listed"])
@pytest.mark.parametrize("confirm", ["auto", "find"])
def test_an_archive_that_lists_no_images_is_asked_for_series_before_anything_is_sent_again(
    archive: Archive, new_outbox: NewOutbox, confirm: str, counts: bool
) -> None:
    pacs = archive(answers="none", finds=True, levels=("STUDY", "SERIES"), series_of=SERIES_OF, counts=counts)
    outbox = new_outbox(pacs.port, confirm=confirm, settings=IMPATIENT)
    ask_until_ended(outbox)
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert {line.confirmed_by for line in outbox.lines()} == {"find"}
    assert len(pacs.came) == 2
    assert [query.QueryRetrieveLevel for query in pacs.queries] == ["IMAGE", "SERIES"] * 2


def test_a_series_that_such_an_archive_does_not_list_is_sent_again(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(answers="none", finds=True, levels=("STUDY", "SERIES"), series_of=SERIES_OF)
    outbox = new_outbox(pacs.port, confirm="auto", settings=IMPATIENT)
    outbox.send()
    pacs.hidden.add(uid(1))
    ask_until_ended(outbox)
    assert outbox.state()[0] is StudyState.DELIVERED
    assert [name for _, name, _ in pacs.came] == [uid(0), uid(1), uid(1)]


@pytest.mark.parametrize("confirm", ["auto", "find"])
def test_an_archive_that_answers_for_studies_only_proves_nothing_and_gets_nothing_twice(
    archive: Archive, new_outbox: NewOutbox, confirm: str
) -> None:
    pacs = archive(answers="none", finds=True, levels=("STUDY",))
    outbox = new_outbox(pacs.port, confirm=confirm, settings=IMPATIENT)
    ask_until_ended(outbox)
    assert len(pacs.came) == 2
    if confirm == "auto":
        assert outbox.state()[0] is StudyState.DELIVERED
        assert {line.confirmed_by for line in outbox.lines()} == {""}
    else:
        assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
        assert "choose --confirm none" in outbox.study().explanation


def test_an_archive_that_knows_nothing_of_the_study_gets_it_again(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive(answers="none", finds=True, levels=())
    outbox = new_outbox(pacs.port, confirm="auto", settings=IMPATIENT)
    ask_until_ended(outbox)
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert len(pacs.came) == 2 * (1 + IMPATIENT.max_resends)


@pytest.mark.parametrize("confirm", ["auto", "find"])
def test_a_peer_that_offers_no_proof_is_believed_only_where_that_is_enough(
    archive: Archive, new_outbox: NewOutbox, confirm: str
) -> None:
    outbox = new_outbox(archive(answers="none").port, confirm=confirm, settings=IMPATIENT)
    ask_until_ended(outbox)
    if confirm == "auto":
        assert outbox.state()[0] is StudyState.DELIVERED
        assert {(line.confirmed_by, line.confirmed_at) for line in outbox.lines()} == {("", None)}
        assert any("its answer is believed" in said for said in outbox.told("confirmed"))
    else:
        assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)


def test_a_peer_that_is_gone_when_it_is_asked_is_asked_later(archive: Archive, new_outbox: NewOutbox) -> None:
    pacs = archive()
    outbox = new_outbox(pacs.port, confirm="commitment", settings=IMPATIENT)
    outbox.send()
    pacs.stop()
    assert not outbox.ask()
    assert all_are(outbox, DeliveryState.ACCEPTED)
    again = pacs.start()
    assert again.port == outbox.peer().port
    ask_until_ended(outbox)
    assert outbox.state()[0] is StudyState.DELIVERED
    assert len(pacs.came) == 2


def test_an_admin_who_asks_for_no_proof_any_more_frees_what_waits_for_one(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    outbox = new_outbox(archive(answers="never").port, confirm="commitment", settings=PATIENT)
    outbox.send()
    outbox.change_peer(confirm="none")
    assert outbox.ask()
    assert outbox.state()[0] is StudyState.DELIVERED


def test_a_retry_asks_at_once_for_what_waits_for_its_report(archive: Archive, new_outbox: NewOutbox) -> None:
    slow = SendSection(connect_timeout_s=2, response_timeout_s=2, commit_hold_s=0, commit_answer_s=9000)
    pacs = archive(answers="never")
    outbox = new_outbox(pacs.port, confirm="commitment", settings=slow)
    outbox.send()
    assert outbox.ask()
    assert not outbox.ask(), "asked again before its time"
    pacs.answers = "same"
    assert outbox.retry() is StudyState.SENDING
    outbox.config = outbox.config.__class__(node=outbox.config.node, send=PATIENT, folder=outbox.config.folder)
    assert outbox.ask()
    assert outbox.state()[0] is StudyState.DELIVERED
    assert len(pacs.came) == 2


def test_an_asker_that_died_is_followed_by_another_and_nothing_is_sent_twice(
    archive: Archive, new_outbox: NewOutbox
) -> None:
    pacs = archive()
    outbox = new_outbox(pacs.port, confirm="commitment", settings=PATIENT)
    outbox.send()
    with begin(outbox.engine) as conn:
        assert confirmations.claim(conn, outbox.peer().id, "the dead", 900.0, time.time()) is not None
    with reading(outbox.engine) as conn:
        assert confirmations.due_peers(conn, time.time()) == []
    assert not outbox.ask()
    with begin(outbox.engine) as conn:
        assert confirmations.free_dead(conn, lambda owner: owner == "the dead", time.time()) == 1
    assert outbox.ask()
    assert outbox.state()[0] is StudyState.DELIVERED
    assert len(pacs.came) == 2
