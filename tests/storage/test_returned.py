"""Documents that may speak of our results wait until there are results, are read once, and never start a run."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, select

from storage import intake, returned, runs, studies, tables
from storage.engine import begin, reading
from storage.events import timeline
from storage.returned import Judgement, Said
from storage.states import StudyState
from tests.storage.conftest import SEG, SR
from tests.storage.test_deliveries import answered, deliver, taken, two

__all__ = ["two"]
OUR_SEG, OUR_SR = "2.25.1.1.0", "2.25.1.1.3"


def came(engine: Engine, *records: Any) -> None:
    with begin(engine) as conn:
        intake.index(conn, records, 400.0)


def states(engine: Engine) -> list[str]:
    with reading(engine) as conn:
        return list(conn.execute(select(tables.returned.c.state).order_by(tables.returned.c.id)).scalars())


def due(engine: Engine) -> returned.Document | None:
    with reading(engine) as conn:
        return returned.next_due(conn)


@pytest.mark.checklist(51)
def test_a_document_is_due_once_its_study_has_results_and_changes_no_state(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    deliver(engine, taken(engine, two[0]))
    came(engine, sender.sends(7, sop_class=SR, series=9), sender.sends(8, sop_class=SEG, series=8))
    assert states(engine) == ["due", "due"]
    found = due(engine)
    assert found is not None
    assert (found.sop_class_uid, found.study_id, found.study_instance_uid) == (SR, 1, "1.2.1")
    with reading(engine) as conn:
        study = studies.study(conn, 1)
        assert study is not None
        assert study.state is StudyState.DELIVERED
        assert not runs.is_any_due(conn, 1e9)


def test_what_comes_before_the_results_is_due_when_they_are_there(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    came(engine, sender.sends(7, sop_class=SR, series=9))
    assert due(engine) is None
    answered(engine, sender, two[:1])
    assert due(engine) is not None


def test_pictures_and_documents_of_another_patient_are_never_read(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    came(engine, sender.sends(7, sop_class="1.2.840.10008.5.1.4.1.1.7", series=9))
    came(engine, sender.sends(8, sop_class=SR, series=9, patient="another"))
    assert states(engine) == []


@pytest.mark.checklist(51)
def test_our_own_results_that_come_back_are_never_read(engine: Engine, sender: Any, two: tuple[int, int]) -> None:
    answered(engine, sender, two[:1])
    own = sender.sends(7, sop_class=SR, series=9)
    came(engine, replace(own, meta=replace(own.meta, sop_instance_uid=OUR_SR)))
    assert states(engine) == []


def test_what_a_document_says_is_linked_to_the_results_of_its_study_and_to_nothing_else(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    came(engine, sender.sends(7, sop_class=SEG, series=9, at=390.0))
    document = due(engine)
    assert document is not None
    said = [
        Said(Judgement.MODIFIED, "2.25.7", OUR_SEG),
        Said(Judgement.MODIFIED, "2.25.7", OUR_SEG),
        Said(Judgement.REJECTED, "", "1.2.3"),
    ]
    with begin(engine) as conn:
        assert returned.linked(conn, document, said, "1.2.1.1", 401.0)
        assert not returned.linked(conn, document, said, "1.2.1.1", 402.0), "another worker was faster"
    with reading(engine) as conn:
        [line] = returned.listed(conn, 1)
        [correction] = returned.corrections(conn)
        assert returned.listed(conn, 2) == []
        assert [event.kind for event in timeline(conn, 1)][-1] == "assessed"
    assert (line.judgement, line.result_kind, line.run_number, line.tracking_uid) == (
        Judgement.MODIFIED,
        "seg",
        1,
        "2.25.7",
    )
    assert (line.received_at, line.sop_instance_uid) == (390.0, document.sop_instance_uid)
    assert (correction.source_series_uid, correction.place) == ("1.2.1.1", document.place)


def test_what_speaks_of_nothing_or_cannot_be_read_is_not_read_again(
    engine: Engine, sender: Any, two: tuple[int, int]
) -> None:
    answered(engine, sender, two[:1])
    came(engine, sender.sends(7, sop_class=SR, series=9), sender.sends(8, sop_class=SR, series=9))
    for end in (
        lambda conn, document: returned.linked(conn, document, [], "", 401.0),
        lambda conn, document: returned.unreadable(conn, document, "It is cut off.", 401.0),
    ):
        document = due(engine)
        with begin(engine) as conn:
            assert end(conn, document)
    assert due(engine) is None
    assert states(engine) == ["unrelated", "unreadable"]
