"""Each peer gets the results that its profile names, and what is held ready for a refusal is not sent before one."""

from typing import Any

import pytest
from sqlalchemy import Engine

from storage import intake, parcels, peers, runs, studies
from storage.engine import begin, reading
from storage.events import timeline
from storage.peers import Peer
from storage.results import ResultFile, Role
from storage.runs import Ending
from storage.states import Outcome, StudyState


def made(kind: str, order: int, *roles: Role) -> ResultFile:
    uid = f"2.25.{order}"
    return ResultFile(kind, order, "1.2", uid, uid + ".9", "1.2", f"{uid}.dcm", 10, "ab" * 32, roles)


SEG = made("seg", 0, Role("default"), Role("slicer"))
OUTLINES = made("gsps", 1, Role("default", ("2.25.0",)), Role("slicer", ("2.25.0",), in_reserve=True))
REPORT = made("sr", 2, Role("default"))
SHORT_REPORT = made("sr", 3, Role("slicer"))
ALL = (SHORT_REPORT, REPORT, OUTLINES, SEG)


@pytest.fixture
def two(engine: Engine) -> tuple[int, int]:
    with begin(engine) as conn:
        pacs = peers.add(conn, Peer(0, "pacs", "PACS", "localhost", 104, results="all"), 1.0)
        bench = peers.add(conn, Peer(0, "bench", "BENCH", "localhost", 105, results="all", profile="slicer"), 1.0)
    return pacs.id, bench.id


def ended(engine: Engine, sender: Any, results: tuple[ResultFile, ...], to: tuple[int, ...]) -> int:
    """The number of a study whose run left these results."""
    with begin(engine) as conn:
        [indexed] = intake.index(conn, [sender.sends(1, 1)], 101.0)
        studies.mark_ready(conn, indexed.study_id, "It is quiet.", 110.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert mine is not None
        assert runs.finish(conn, mine, Ending(Outcome.OK_FINDINGS, "Found.", results=results, destinations=to), 130.0)
    return indexed.study_id


def sent_to(engine: Engine, peer_id: int) -> list[str] | None:
    """The UIDs that are sent to a peer, in their order; None when it gets nothing."""
    with begin(engine) as conn:
        parcel = parcels.claim_next(conn, peer_id, "sender", 60.0, 131.0)
    return None if parcel is None else [result.sop_instance_uid for _, result in parcel.items]


def test_each_peer_gets_what_its_profile_names_the_report_last(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    ended(engine, sender, ALL, two)
    assert sent_to(engine, two[0]) == ["2.25.0", "2.25.1", "2.25.2"]
    assert sent_to(engine, two[1]) == ["2.25.0", "2.25.3"]


def test_results_made_for_nobody_in_particular_go_to_everybody(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    ended(engine, sender, (made("seg", 0), made("sr", 1)), two)
    assert sent_to(engine, two[0]) == sent_to(engine, two[1]) == ["2.25.0", "2.25.1"]


def test_a_peer_whose_profile_names_none_of_the_results_waits_for_nothing(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    study = ended(engine, sender, (REPORT,), two)
    assert sent_to(engine, two[0]) == ["2.25.2"]
    assert sent_to(engine, two[1]) is None
    with reading(engine) as conn:
        assert "1 results go to 1 peers." in timeline(conn, study)[-1].text


def test_results_that_no_peer_gets_do_not_leave_the_study_waiting(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    study = ended(engine, sender, (REPORT,), two[1:])
    with reading(engine) as conn:
        found = studies.study(conn, study)
    assert found is not None
    assert found.state is StudyState.FAILED
    assert found.explanation.startswith("No peer receives these results")
