"""Results reach every destination as a unit, in order, however often senders die, peers refuse or images come late."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select

from storage import deliveries, errors, intake, parcels, peers, runs, studies, tables
from storage.engine import begin, reading
from storage.events import timeline
from storage.outbox import Delivery, deliveries_of, last_accepted
from storage.parcels import Parcel
from storage.peers import Peer
from storage.runs import Ending, ResultFile
from storage.states import DeliveryState, Outcome, StudyState
from storage.studies import Study

ORDER = ("seg", "gsps", "sc", "sr")


def results(study: int, version: int = 1) -> tuple[ResultFile, ...]:
    made = []
    for order in (3, 0, 2, 1):  # recorded in any order
        uid = f"2.25.{study}.{version}.{order}"
        made.append(ResultFile(ORDER[order], order, "1.2", uid, uid + ".9", "1.2", f"{uid}.dcm", 10, "ab" * 32))
    return tuple(made)


@pytest.fixture
def two(engine: Engine) -> tuple[int, int]:
    with begin(engine) as conn:
        one = peers.add(conn, Peer(0, "pacs", "PACS", "localhost", 104, results="all"), 1.0)
        other = peers.add(conn, Peer(0, "archive", "ARCHIVE", "localhost", 105, results="all"), 1.0)
    return one.id, other.id


def answered(engine: Engine, sender: Any, to: tuple[int, ...], study: int = 1, *, version: int = 1) -> None:
    """Bring a study (again) to the point where its results wait to be sent."""
    with begin(engine) as conn:
        [indexed] = intake.index(conn, [sender.sends(version, study)], 101.0)
        studies.mark_ready(conn, indexed.study_id, "It is quiet.", 110.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert mine is not None
        ending = Ending(Outcome.OK_FINDINGS, "A lesion.", results=results(study, version), destinations=to)
        assert runs.finish(conn, mine, ending, 130.0)


def take(engine: Engine, peer_id: int, now: float = 131.0, owner: str = "sender") -> Parcel | None:
    with begin(engine) as conn:
        return parcels.claim_next(conn, peer_id, owner, 60.0, now)


def taken(engine: Engine, peer_id: int, now: float = 131.0) -> Parcel:
    parcel = take(engine, peer_id, now)
    assert parcel is not None
    return parcel


def deliver(engine: Engine, parcel: Parcel, count: int = 4, now: float = 140.0, skip: int = 0) -> None:
    for delivery_id, _ in parcel.items[skip:count]:
        with begin(engine) as conn:
            deliveries.delivered(conn, delivery_id, 0, now)


def the_study(engine: Engine, study_id: int = 1) -> Study:
    with reading(engine) as conn:
        found = studies.study(conn, study_id)
    assert found is not None
    return found


def outbox(engine: Engine, study_id: int = 1) -> list[Delivery]:
    with reading(engine) as conn:
        return deliveries_of(conn, study_id)


def kinds(parcel: Parcel) -> tuple[str, ...]:
    return tuple(file.kind for _, file in parcel.items)


def test_a_parcel_holds_the_results_in_their_order(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two)
    with reading(engine) as conn:
        assert parcels.due_peers(conn, 131.0) == sorted(two)
        assert parcels.due_peers(conn, 129.0) == []
    parcel = taken(engine, two[0])
    assert kinds(parcel) == ORDER
    assert (parcel.attempt, parcel.since) == (1, 130.0)
    assert take(engine, two[0]) is None
    assert kinds(taken(engine, two[1])) == ORDER


def test_the_study_is_delivered_with_the_last_object_at_the_last_peer(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two)
    deliver(engine, taken(engine, two[0]))
    last = taken(engine, two[1])
    deliver(engine, last, 3)
    assert the_study(engine).state is StudyState.SENDING
    deliver(engine, last, now=150.0)
    study = the_study(engine)
    assert (study.state, study.outcome) == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    with reading(engine) as conn:
        assert last_accepted(conn, 1) == 150.0
        assert [event.kind for event in timeline(conn, 1)][-3:] == ["delivered"] * 3
    deliver(engine, last)
    assert the_study(engine).state is StudyState.DELIVERED


def test_a_sender_that_died_is_followed_by_another_with_what_is_left(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    first = taken(engine, two[0], 131.0)
    deliver(engine, first, 1)
    assert take(engine, two[0], 190.0) is None
    second = taken(engine, two[0], 191.0)
    assert (kinds(second), second.attempt) == (ORDER[1:], 2)
    with begin(engine) as conn:
        assert not parcels.renew(conn, first, 60.0, 192.0)
        assert parcels.renew(conn, second, 60.0, 192.0)
    assert take(engine, two[0], 251.0) is None
    deliver(engine, second, now=251.0)
    assert the_study(engine).state is StudyState.DELIVERED


def test_what_follows_an_object_that_must_wait_waits_with_it(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two[:1])
    parcel = taken(engine, two[0])
    deliver(engine, parcel, 1)
    with begin(engine) as conn:
        deliveries.later(conn, parcel.items[1][0], 200.0, "the peer has no room (0xA700).", 141.0, 0xA700)
    assert [item.state for item in outbox(engine)].count(DeliveryState.PENDING) == 3
    assert take(engine, two[0], 199.0) is None
    again = taken(engine, two[0], 200.0)
    assert kinds(again) == ORDER[1:]
    assert [file for _, file in again.items] == [file for _, file in parcel.items[1:]], "other bytes or UIDs"


def test_the_same_delay_is_told_once(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two[:1])
    for turn in range(5):
        parcel = taken(engine, two[0], 1000.0 * (turn + 1))
        with begin(engine) as conn:
            deliveries.later(conn, parcel.items[0][0], 1000.0 * (turn + 1) + 10, "nobody answers.", 1000.0)
    with reading(engine) as conn:
        assert [event.kind for event in timeline(conn, 1)].count("delayed") == 1


def test_a_refused_object_does_not_hold_the_others(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two[:1])
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        deliveries.park(conn, parcel.items[0][0], "it does not take segmentations (0x0122).", 140.0, 0x0122)
    assert the_study(engine).state is StudyState.SENDING
    deliver(engine, parcel, skip=1)
    study = the_study(engine)
    assert (study.state, study.outcome) == (StudyState.FAILED, Outcome.FAILED_SEND)
    assert "seg to pacs: it does not take segmentations" in study.explanation
    with reading(engine) as conn:
        assert last_accepted(conn, 1) is None


def test_a_retry_of_what_waits_for_its_next_try_sends_it_at_once(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two)
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        deliveries.later(conn, parcel.items[0][0], 9000.0, "nobody answers.", 140.0)
    assert take(engine, two[0], 150.0) is None
    in_hand = taken(engine, two[1])
    with begin(engine) as conn:
        assert studies.retry(conn, 1, 150.0) is StudyState.SENDING
    assert kinds(taken(engine, two[0], 150.0)) == kinds(parcel)
    assert take(engine, two[1], 150.0) is None, "what a sender has in hand stays with it"
    deliver(engine, in_hand)


def test_a_retry_sends_what_was_refused_and_nothing_else(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two)
    deliver(engine, taken(engine, two[1]))
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        for delivery_id, _ in parcel.items[:2]:
            deliveries.park(conn, delivery_id, "it refused.", 140.0)
    deliver(engine, parcel, skip=2)
    assert the_study(engine).state is StudyState.FAILED
    with begin(engine) as conn:
        assert studies.retry(conn, 1, 1000.0) is StudyState.SENDING
    assert the_study(engine).outcome is Outcome.OK_FINDINGS
    again = taken(engine, two[0], 1000.0)
    assert (kinds(again), again.since) == (ORDER[:2], 1000.0)
    assert take(engine, two[1], 1000.0) is None
    deliver(engine, again, now=1001.0)
    study = the_study(engine)
    assert (study.state, study.outcome, study.explanation) == (
        StudyState.DELIVERED,
        Outcome.OK_FINDINGS,
        "A lesion.",
    )


def test_one_peer_that_is_gone_does_not_hold_another(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    for number in (1, 2):
        answered(engine, sender, two, number)
    for number in (1, 2):
        parcel = taken(engine, two[0])
        assert parcel.study_id == number
        with begin(engine) as conn:
            deliveries.later(conn, parcel.items[0][0], 9999.0, "nobody answers.", 140.0)
        deliver(engine, taken(engine, two[1]))
    assert {item.state for item in outbox(engine) if item.peer == "archive"} == {DeliveryState.DELIVERED}
    assert the_study(engine).state is StudyState.SENDING


def test_a_study_that_must_wait_does_not_hold_the_next(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    for number in (1, 2):
        answered(engine, sender, two[:1], number)
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        deliveries.later(conn, parcel.items[0][0], 9999.0, "one object is too big today.", 140.0)
    assert taken(engine, two[0]).study_id == 2


def test_a_late_image_does_not_call_results_back(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    """Half a unit at the peer would be worse: the old results arrive whole, then the new ones."""
    answered(engine, sender, two[:1])
    parcel = taken(engine, two[0])
    deliver(engine, parcel, 1)
    with begin(engine) as conn:
        deliveries.later(conn, parcel.items[1][0], 9999.0, "nobody answers.", 140.0)
    answered(engine, sender, two[:1], version=2)
    first = taken(engine, two[0])
    assert (kinds(first), first.run_id) == (ORDER[1:], parcel.run_id)
    assert take(engine, two[0]) is None, "the new results overtook the old ones"
    deliver(engine, first)
    assert the_study(engine).state is StudyState.SENDING
    second = taken(engine, two[0])
    assert (kinds(second), second.run_id > first.run_id) == (ORDER, True)
    deliver(engine, second)
    assert the_study(engine).state is StudyState.DELIVERED


def test_results_that_arrive_while_the_study_is_received_again_change_no_state(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(9)], 135.0)
    deliver(engine, parcel)
    assert the_study(engine).state is StudyState.RECEIVING
    with begin(engine) as conn:
        studies.mark_ready(conn, 1, "It is quiet.", 150.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 151.0)
        assert mine is not None
        assert runs.unchanged(conn, mine, 152.0)
    assert the_study(engine).state is StudyState.DELIVERED


@pytest.mark.parametrize("how", ["pending", "parked"])
def test_an_answer_that_stands_goes_on_being_sent(engine: Engine, sender: Any, two: tuple[int, int], how: str) -> None:
    answered(engine, sender, two[:1])
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        if how == "parked":
            for delivery_id, _ in parcel.items:
                deliveries.park(conn, delivery_id, "it refused.", 140.0)
        intake.index(conn, [sender.sends(9)], 141.0)
        studies.mark_ready(conn, 1, "It is quiet.", 150.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 151.0)
        assert mine is not None
        assert runs.unchanged(conn, mine, 152.0)
    study = the_study(engine)
    expected = (StudyState.SENDING, Outcome.OK_FINDINGS) if how == "pending" else (StudyState.FAILED, "FAILED_SEND")
    assert (study.state, study.outcome) == expected


def test_a_removed_peer_leaves_what_was_meant_for_it_visible(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two)
    deliver(engine, taken(engine, two[1]))
    with begin(engine) as conn:
        assert peers.remove(conn, two[0], 200.0) == 4
    study = the_study(engine)
    assert (study.state, study.outcome) == (StudyState.FAILED, Outcome.FAILED_SEND)
    assert "peer pacs was removed" in study.explanation
    assert take(engine, two[0], 201.0) is None
    with begin(engine) as conn:
        assert studies.retry(conn, 1, 300.0) is StudyState.READY, "sent again to nobody"


def test_a_retry_after_one_of_two_peers_was_removed_sends_to_the_other(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two)
    with begin(engine) as conn:
        for delivery in deliveries_of(conn, 1):
            deliveries.park(conn, delivery.id, "it refused.", 140.0)
        peers.remove(conn, two[0], 200.0)
        assert studies.retry(conn, 1, 300.0) is StudyState.SENDING
    deliver(engine, taken(engine, two[1], 301.0), now=302.0)
    study = the_study(engine)
    assert study.state is StudyState.FAILED, "what the removed peer never got is still to be seen"


def test_many_senders_never_share_a_parcel(
    url: str, sender: Any, two: tuple[int, int], opened: Callable[..., Engine]
) -> None:
    engine = opened(url)
    for number in range(1, 13):
        answered(engine, sender, two[:1], number)
    got: list[int] = []

    def send(own: Engine) -> None:
        while (parcel := take(own, two[0])) is not None:
            got.append(parcel.id)
            deliver(own, parcel)

    senders = [threading.Thread(target=send, args=(opened(url),)) for _ in range(4)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    assert len(got) == len(set(got)) == 12
    assert {study.state for study in every_study(engine)} == {StudyState.DELIVERED}


def every_study(engine: Engine) -> list[Study]:
    with reading(engine) as conn:
        return studies.studies(conn)


def test_two_last_objects_reported_at_once_deliver_the_study(
    url: str, sender: Any, two: tuple[int, int], opened: Callable[..., Engine]
) -> None:
    engine = opened(url)
    answered(engine, sender, two)
    parcels = [taken(engine, peer_id) for peer_id in two]
    both = threading.Barrier(2)

    def report(parcel: Parcel, own: Engine) -> None:
        deliver(own, parcel, 3)
        both.wait()
        deliver(own, parcel)

    threads = [threading.Thread(target=report, args=(parcel, opened(url))) for parcel in parcels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert the_study(engine).state is StudyState.DELIVERED


def test_a_warning_counts_as_delivered_and_is_kept(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two[:1])
    for delivery_id, _ in taken(engine, two[0]).items:
        with begin(engine) as conn:
            deliveries.delivered(conn, delivery_id, 0xB000, 140.0)
            deliveries.later(conn, delivery_id, 999.0, "a late report of a lost sender.", 141.0)
            deliveries.park(conn, delivery_id, "a late report of a lost sender.", 141.0)
    assert the_study(engine).state is StudyState.DELIVERED
    assert {(item.status, item.error) for item in outbox(engine)} == {(0xB000, "")}


def test_an_unknown_delivery_is_told(engine: Engine) -> None:
    with pytest.raises(errors.Unknown, match="no delivery 7"), begin(engine) as conn:
        deliveries.delivered(conn, 7, 0, 1.0)


def test_results_of_an_answer_that_is_none_are_sent_without_a_state(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(1)], 101.0)
        studies.mark_ready(conn, 1, "It is quiet.", 110.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert mine is not None
        ending = Ending(Outcome.NOT_APPLICABLE_BODYPART, "A chest.", results=results(1), destinations=two[:1])
        assert runs.finish(conn, mine, ending, 130.0)
    deliver(engine, taken(engine, two[0]))
    assert the_study(engine).state is StudyState.NOT_APPLICABLE
    with reading(engine) as conn:
        assert conn.execute(select(tables.parcels.c.is_open)).scalars().all() == [False]
