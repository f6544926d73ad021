"""A rejection note is due for a peer when the newer run has arrived there, and names just what it has of older ones."""

from typing import Any

import pytest
from sqlalchemy import Engine

from storage import deliveries, intake, studies, withdrawals
from storage.engine import begin, reading
from storage.results import ResultFile
from storage.states import StudyState
from tests.storage.test_deliveries import answered, deliver, outbox, taken, two

__all__ = ["two"]
NOTE = ResultFile(
    "rejection", 4, "1.2.840.10008.5.1.4.1.1.88.59", "2.25.99", "2.25.98", "1.2", "note.dcm", 9, "cd" * 32
)


def due(engine: Engine, after: float = 0.0) -> list[withdrawals.Due]:
    with reading(engine) as conn:
        return withdrawals.due(conn, after)


def named(wanted: withdrawals.Due) -> list[str]:
    return sorted(file.sop_instance_uid for file in wanted.rejected)


@pytest.mark.checklist(63)
def test_a_note_is_due_where_the_new_run_has_arrived_and_names_what_that_peer_has_of_the_old(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two)
    deliver(engine, taken(engine, two[0]))
    partly = taken(engine, two[1])
    deliver(engine, partly, 2)
    for delivery_id, _ in partly.items[2:]:
        with begin(engine) as conn:
            deliveries.park(conn, delivery_id, "refused", 140.0)
    assert due(engine) == []
    answered(engine, sender, two, version=2)
    assert due(engine) == []
    first = taken(engine, two[0])
    deliver(engine, first, 3)
    assert due(engine) == [], "the report is still on its way"
    deliver(engine, first)
    [wanted] = due(engine)
    assert (wanted.peer, wanted.version, wanted.order) == ("pacs", 2, 4)
    assert named(wanted) == [f"2.25.1.1.{order}" for order in range(4)]
    deliver(engine, taken(engine, two[1]))
    both = {each.peer: named(each) for each in due(engine)}
    assert both["archive"] == ["2.25.1.1.0", "2.25.1.1.1"], "what it never took is not named"


@pytest.mark.checklist(63)
def test_a_note_goes_once_after_the_report_and_leaves_the_study_as_it_is(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    for version in (1, 2):
        answered(engine, sender, two[:1], version=version)
        deliver(engine, taken(engine, two[0]))
    [wanted] = due(engine)
    with begin(engine) as conn:
        assert withdrawals.record(conn, wanted, NOTE, 150.0)
        assert not withdrawals.record(conn, wanted, NOTE, 150.0), "another worker was faster"
    assert due(engine) == []
    parcel = taken(engine, two[0], 151.0)
    assert [file.kind for _, file in parcel.items] == ["rejection"]
    with begin(engine) as conn:
        deliveries.park(conn, parcel.items[0][0], "0x0122", 152.0)
    with reading(engine) as conn:
        study = studies.study(conn, 1)
    assert study is not None
    assert study.state is StudyState.DELIVERED
    assert [each.kind for each in outbox(engine)][-1] == "rejection"
    assert due(engine) == []


def test_a_third_run_withdraws_the_second_and_not_the_first_again(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    for version in (1, 2):
        answered(engine, sender, two[:1], version=version)
        deliver(engine, taken(engine, two[0]))
    with begin(engine) as conn:
        assert withdrawals.record(conn, withdrawals.due(conn, 0.0)[0], NOTE, 150.0)
    deliver(engine, taken(engine, two[0], 151.0))
    answered(engine, sender, two[:1], version=3)
    deliver(engine, taken(engine, two[0], 160.0))
    [wanted] = due(engine)
    assert named(wanted) == [f"2.25.1.2.{order}" for order in range(4)]


def test_nothing_is_withdrawn_of_old_runs_nor_of_a_study_of_two_patients(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    for version in (1, 2):
        answered(engine, sender, two[:1], version=version)
        deliver(engine, taken(engine, two[0]))
    assert due(engine, after=131.0) == []
    answered(engine, sender, two[:1], version=3)
    parcel = taken(engine, two[0])
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(9, patient="another")], 140.0)
    deliver(engine, parcel)
    assert due(engine) == []
