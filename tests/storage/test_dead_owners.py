"""What a process had in hand when it was killed goes on at once, and what the living have in hand stays theirs."""

from typing import Any

from sqlalchemy import Engine

from storage import deliveries, intake, parcels, peers, runs, studies
from storage.engine import begin, reading
from storage.outbox import deliveries_of
from storage.results import ResultFile
from storage.runs import Ending
from storage.states import Outcome, StudyState

LONG_S = 900.0


def the_dead(owner: str) -> bool:
    return owner == "dead"


def analysing(engine: Engine, sender: Any, owner: str, study: int = 1) -> runs.Claim:
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(study=study)], 100.0)
        studies.mark_ready(conn, study, "It is quiet.", 110.0)
        claim = runs.claim_ready(conn, owner, LONG_S, 120.0)
    assert claim is not None
    return claim


def sending(engine: Engine, sender: Any, owner: str) -> int:
    """Bring a study to a peer's parcel in the hands of `owner`; the peer's number."""
    result = ResultFile("sr", 1, "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3", "1.2.4", "1.2.840.10008.1.2.1", "a", 1, "b")
    claim = analysing(engine, sender, "dead")
    with begin(engine) as conn:
        peer = peers.add(conn, peers.Peer(0, "pacs", "PACS", "127.0.0.1", 104, results="all"), 100.0)
        ending = Ending(outcome=Outcome.OK_NORMAL, explanation="Nothing.", results=(result,), destinations=(peer.id,))
        assert runs.finish(conn, claim, ending, 130.0)
        assert parcels.claim_next(conn, peer.id, owner, LONG_S, 140.0) is not None
    return peer.id


def test_the_study_of_a_dead_worker_is_ready_before_its_lease_runs_out(engine: Engine, sender: Any) -> None:
    analysing(engine, sender, "dead", study=1)
    analysing(engine, sender, "living", study=2)
    with begin(engine) as conn:
        moved = runs.expire_leases(conn, 130.0, is_dead=the_dead)
        assert moved == [(1, StudyState.READY)]
        again = runs.claim_ready(conn, "another", LONG_S, 131.0)
    assert again is not None
    assert (again.study_id, again.attempt) == (1, 2)


def test_the_parcel_of_a_dead_sender_is_due_before_its_lease_runs_out(engine: Engine, sender: Any) -> None:
    peer_id = sending(engine, sender, "dead")
    with begin(engine) as conn:
        assert parcels.due_peers(conn, 150.0) == []
        assert parcels.free_dead(conn, the_dead, 150.0) == 1
        assert parcels.due_peers(conn, 150.0) == [peer_id]
        assert parcels.claim_next(conn, peer_id, "another", LONG_S, 150.0) is not None


def test_the_parcel_of_a_living_sender_stays_its_own(engine: Engine, sender: Any) -> None:
    sending(engine, sender, "living")
    with begin(engine) as conn:
        assert parcels.free_dead(conn, the_dead, 150.0) == 0
    with reading(engine) as conn:
        assert parcels.due_peers(conn, 150.0) == []


def test_a_parcel_that_waits_for_its_next_attempt_is_not_hurried_by_the_death_of_its_sender(
    engine: Engine, sender: Any
) -> None:
    peer_id = sending(engine, sender, "dead")
    with begin(engine) as conn:
        (delivery,) = deliveries_of(conn, 1)
        deliveries.later(conn, delivery.id, 500.0, "The PACS was busy.", 150.0)
        assert parcels.free_dead(conn, the_dead, 160.0) == 0
        assert parcels.due_peers(conn, 160.0) == []
        assert parcels.due_peers(conn, 500.0) == [peer_id]
