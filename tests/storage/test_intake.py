"""What arrives becomes rows once, whatever order, repetition, sender or header it comes with."""

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from storage import deliveries, intake, parcels, runs, studies, tables
from storage.classes import ANALYSABLE
from storage.engine import begin, reading
from storage.events import timeline
from storage.intake import Indexed, Taken, Verdict
from storage.runs import Ending, ResultFile
from storage.states import Outcome, StudyState

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
NOT_IMAGES = {
    "segmentation": SEG,
    "report": "1.2.840.10008.5.1.4.1.1.88.34",
    "presentation state": "1.2.840.10008.5.1.4.1.1.11.1",
    "key objects": "1.2.840.10008.5.1.4.1.1.88.59",
    "document": "1.2.840.10008.5.1.4.1.1.104.1",
    "raw data": "1.2.840.10008.5.1.4.1.1.66",
    "secondary capture": "1.2.840.10008.5.1.4.1.1.7",
    "unknown": "1.2.3.4.5",
}


def index(engine: Engine, *taken: Taken, now: float = 200.0) -> list[Indexed]:
    with begin(engine) as conn:
        return intake.index(conn, taken, now)


def verdicts(indexed: list[Indexed]) -> list[str]:
    return [str(item.verdict) for item in indexed]


def the_study(engine: Engine, study_id: int = 1) -> studies.Study:
    with reading(engine) as conn:
        found = studies.study(conn, study_id)
    assert found is not None
    return found


def kinds(engine: Engine, study_id: int = 1) -> list[str]:
    with reading(engine) as conn:
        return [event.kind for event in timeline(conn, study_id)]


def bring_to(engine: Engine, state: StudyState, study_id: int = 1) -> None:
    """Take a RECEIVING study to `state` by the ordinary way."""
    with begin(engine) as conn:
        if state is StudyState.RECEIVING:
            return
        studies.mark_ready(conn, study_id, "It is quiet.", 300.0)
        if state is StudyState.READY:
            return
        claim = runs.claim_ready(conn, "worker", 60.0, 301.0)
        assert claim is not None
        if state is StudyState.ANALYSING:
            return
        if state is StudyState.QUARANTINED:
            runs.crashed(conn, claim, "It died.", 302.0, max_crashes=1)
            return
        outcome = {StudyState.FAILED: Outcome.FAILED_MODEL, StudyState.NOT_APPLICABLE: Outcome.NOT_APPLICABLE_VIEW}
        files = tuple(
            ResultFile(kind, order, SEG, f"2.25.{study_id}.{order}", "2.25.9", "1.2", f"{study_id}/{order}", 9, "ab")
            for order, kind in enumerate(("seg", "sr"))
        )
        to: tuple[int, ...] = ()
        if state in (StudyState.SENDING, StudyState.DELIVERED):
            to = (conn.execute(tables.peers.insert().returning(tables.peers.c.id), PEER).scalar_one(),)
        ended = Ending(outcome.get(state, Outcome.OK_FINDINGS), "So it is.", results=files, destinations=to)
        assert runs.finish(conn, claim, ended, 303.0)
        if state is StudyState.DELIVERED:
            parcel = parcels.claim_next(conn, to[0], "sender", 60.0, 304.0)
            assert parcel is not None
            for delivery_id, _ in parcel.items:
                deliveries.delivered(conn, delivery_id, 0, 305.0)


PEER = {
    "name": "pacs",
    "ae_title": "PACS",
    "host": "localhost",
    "port": 104,
    "may_send": True,
    "addresses": "[]",
    "results": "all",
    "may_find": False,
    "profile": "default",
    "added_at": 1.0,
    "changed_at": 1.0,
}


def test_images_make_a_study_its_series_and_its_instances(engine: Engine, sender: Any) -> None:
    taken = [sender.sends(number, series=series, at=100.0 + number) for series in (1, 2) for number in (1, 2, 3)]
    assert verdicts(index(engine, *taken)) == ["new"] * 6
    study = the_study(engine)
    assert (study.state, study.image_count, study.instance_count) == (StudyState.RECEIVING, 6, 6)
    assert (study.first_arrival, study.last_arrival, study.calling_ae) == (101.0, 103.0, "XRAY")
    with reading(engine) as conn:
        instances = studies.instances(conn, 1)
        assert [instance.place for instance in instances] == [item.place for item in taken]
        assert {instance.series_instance_uid for instance in instances} == {"1.2.1.1", "1.2.1.2"}
        assert instances[0].modality == "DX"
        assert studies.study_by_uid(conn, "1.2.1") == study
        assert dict(studies.held(conn)) == {item.meta.sop_instance_uid: item.place.sha256 for item in taken}
        assert conn.execute(select(tables.series.c.image_count)).scalars().all() == [3, 3]


def test_the_last_image_is_the_newest_that_is_an_image(engine: Engine, sender: Any) -> None:
    taken = [sender.sends(number, at=100.0 + number) for number in (3, 1, 2)]
    index(engine, *taken, sender.sends(4, at=900.0, sop_class=NOT_IMAGES["report"]))
    with reading(engine) as conn:
        assert studies.last_image_at(conn, 1) == 103.0
        assert studies.last_image_at(conn, 99) is None


def test_many_records_at_once_are_indexed_in_groups(engine: Engine, sender: Any) -> None:
    taken = [sender.sends(number, study=number % 7) for number in range(1203)]
    assert verdicts(index(engine, *taken)) == ["new"] * 1203
    assert index(engine) == []
    with reading(engine) as conn:
        found = conn.execute(select(tables.studies.c.image_count).order_by(tables.studies.c.id)).scalars().all()
    assert sorted(found) == sorted([172] * 6 + [171])


@pytest.mark.checklist(48)
def test_the_same_bytes_again_make_no_second_row(engine: Engine, sender: Any) -> None:
    one = sender.sends(1)
    assert verdicts(index(engine, one, sender.sends(1))) == ["new", "duplicate"]
    assert verdicts(index(engine, sender.sends(1))) == ["duplicate"]
    assert the_study(engine).image_count == 1
    assert kinds(engine) == ["received"]


@pytest.mark.parametrize("together", [True, False], ids=["in one group", "later"])
def test_other_bytes_under_the_same_uid_are_listed_and_the_first_is_kept(
    engine: Engine, sender: Any, together: bool
) -> None:
    one, other = sender.sends(1), sender.sends(1, content="other")
    if together:
        assert verdicts(index(engine, one, other)) == ["new", "conflict"]
    else:
        assert verdicts(index(engine, one) + index(engine, other)) == ["new", "conflict"]
    assert verdicts(index(engine, sender.sends(1, content="other"), sender.sends(1))) == ["conflict", "duplicate"]
    with reading(engine) as conn:
        assert list(studies.held(conn)) == [("1.2.1.1.1", one.place.sha256)]
        [listed] = studies.conflicts(conn, 1)
    assert (listed.kind, listed.place) == ("instance", other.place)
    assert the_study(engine).image_count == 1


def test_a_conflict_under_another_study_makes_no_study(engine: Engine, sender: Any) -> None:
    index(engine, sender.sends(1))
    moved = sender.sends(1, content="other", study_instance_uid="1.2.99")
    assert index(engine, moved) == [Indexed(Verdict.CONFLICT, 1, True)]
    with reading(engine) as conn:
        assert [study.study_instance_uid for study in studies.studies(conn)] == ["1.2.1"]


def test_two_patients_in_one_study_are_listed_and_flagged(engine: Engine, sender: Any) -> None:
    index(engine, sender.sends(1), sender.sends(2))
    assert not the_study(engine).has_patient_conflict
    other = sender.sends(3, patient="somebody else")
    assert verdicts(index(engine, other)) == ["new"]
    index(engine, sender.sends(4, patient="somebody else"))
    assert the_study(engine).has_patient_conflict
    with reading(engine) as conn:
        listed = studies.conflicts(conn, 1)
    assert [(conflict.kind, conflict.sop_instance_uid) for conflict in listed] == [
        ("patient", "1.2.1.1.3"),
        ("patient", "1.2.1.1.4"),
    ]
    assert kinds(engine).count("conflict") == 1


def test_two_studies_interleaved_on_one_association_are_not_mixed(engine: Engine, sender: Any) -> None:
    index(engine, *[sender.sends(number, study=number % 2) for number in range(20)])
    with reading(engine) as conn:
        for study in studies.studies(conn):
            mine = {instance.sop_instance_uid for instance in studies.instances(conn, study.id)}
            assert len(mine) == 10
            assert all(uid.startswith(study.study_instance_uid + ".") for uid in mine)


@pytest.mark.parametrize("state", [state for state in StudyState if state is not StudyState.RECEIVING])
def test_a_late_image_reopens_the_study(engine: Engine, sender: Any, state: StudyState) -> None:
    index(engine, sender.sends(1))
    bring_to(engine, state)
    assert the_study(engine).state is state
    index(engine, sender.sends(2, at=500.0), now=501.0)
    study = the_study(engine)
    assert (study.state, study.image_count, study.attempts, study.crashes) == (StudyState.RECEIVING, 2, 0, 0)
    assert kinds(engine)[-1] == "reopened"
    with reading(engine) as conn:
        [arrival] = studies.arriving(conn)
        assert (arrival.first_arrival, arrival.last_arrival) == (500.0, 500.0)
        states = conn.execute(select(tables.runs.c.state)).scalars().all()
    assert "running" not in states
    assert ("void" in states) == (state is StudyState.ANALYSING)


@pytest.mark.checklist(43)
@pytest.mark.parametrize("state", list(StudyState))
@pytest.mark.parametrize("again", ["the same image", "another copy of its own result", "a report"])
def test_what_is_no_new_image_changes_no_state(engine: Engine, sender: Any, state: StudyState, again: str) -> None:
    index(engine, sender.sends(1))
    bring_to(engine, state)
    before = the_study(engine)
    records = {
        "the same image": sender.sends(1, at=500.0),
        "another copy of its own result": sender.sends(1, at=500.0, sop_class=SEG, sop_instance_uid="2.25.1.0"),
        "a report": sender.sends(9, at=500.0, sop_class=NOT_IMAGES["report"]),
    }
    [indexed] = index(engine, records[again], now=501.0)
    after = the_study(engine)
    assert after.state is state
    assert after.image_count == 1
    assert after.changed_at == before.changed_at
    has_results = state in (StudyState.SENDING, StudyState.DELIVERED, StudyState.FAILED, StudyState.NOT_APPLICABLE)
    if again.endswith("own result") and has_results:
        assert indexed == Indexed(Verdict.OWN, 1, False)
        assert kinds(engine)[-1] == "own_returned"


@pytest.mark.checklist(51)
def test_our_own_result_under_another_study_uid_belongs_to_the_study_that_made_it(engine: Engine, sender: Any) -> None:
    """A PACS that merged studies sends it back so; a study of its own would be analysed."""
    index(engine, sender.sends(1))
    bring_to(engine, StudyState.DELIVERED)
    back = sender.sends(1, sop_class=SEG, sop_instance_uid="2.25.1.0", study_instance_uid="1.2.77", patient="renamed")
    assert index(engine, back, back) == [Indexed(Verdict.OWN, 1, False), Indexed(Verdict.DUPLICATE, 1, False)]
    with reading(engine) as conn:
        assert len(studies.studies(conn)) == 1
        own = studies.instances(conn, 1)[-1]
        assert (own.is_own, own.is_image, own.sop_instance_uid) == (True, False, "2.25.1.0")
        assert "2.25.1.0" in dict(studies.held(conn))
        assert studies.conflicts(conn, 1) == []
    assert not the_study(engine).has_patient_conflict


@pytest.mark.checklist(43)
@pytest.mark.parametrize("sop_class", NOT_IMAGES.values(), ids=NOT_IMAGES)
def test_a_study_without_images_is_received_and_settles(engine: Engine, sender: Any, sop_class: str) -> None:
    assert index(engine, sender.sends(1, sop_class=sop_class)) == [Indexed(Verdict.NEW, 1, False)]
    with begin(engine) as conn:
        [arrival] = studies.arriving(conn)
        assert (arrival.image_count, arrival.instance_count, arrival.modalities) == (0, 1, ())
        assert studies.mark_ready(conn, 1, "It is quiet.", 300.0)
        assert runs.claim_ready(conn, "worker", 60.0, 301.0) is not None


@pytest.mark.parametrize("sop_class", ANALYSABLE, ids=lambda uid: ANALYSABLE[uid])
def test_every_analysable_class_counts_as_an_image(engine: Engine, sender: Any, sop_class: str) -> None:
    assert index(engine, sender.sends(1, sop_class=sop_class)) == [Indexed(Verdict.NEW, 1, True)]


def test_a_sender_that_repeats_itself_keeps_a_study_open(engine: Engine, sender: Any) -> None:
    index(engine, sender.sends(1, at=100.0, association="first"))
    with begin(engine) as conn:
        intake.open_association(conn, "second", "L", "XRAY", "OSTEON", "127.0.0.1", 150.0)
    index(engine, sender.sends(1, at=151.0, association="second"))
    with reading(engine) as conn:
        [arrival] = studies.arriving(conn)
    assert (arrival.last_arrival, arrival.open_associations, arrival.image_count) == (151.0, 1, 1)


@pytest.mark.parametrize("text", ["\0", "\ud800", "'; DROP TABLE studies; --", "a\nERROR forged line", "x" * 5000, ""])
def test_no_header_can_stop_the_intake(engine: Engine, sender: Any, text: str) -> None:
    names = [field.name for field in dataclasses.fields(intake.Taken)]
    assert names == ["meta", "place", "end"]
    odd = sender.sends(1)
    values = {
        field.name: text for field in dataclasses.fields(odd.meta) if field.name not in ("received_at", "sop_class_uid")
    }
    assert verdicts(index(engine, Taken(replace(odd.meta, **values), odd.place, odd.end))) == ["new"]
    assert verdicts(index(engine, sender.sends(2, study=2))) == ["new"]
    with reading(engine) as conn:
        for study in studies.studies(conn):
            assert study.calling_ae.isprintable()
            assert all(event.text.isprintable() for event in timeline(conn, study.id))


def test_two_listeners_index_the_same_objects_at_once(url: str, sender: Any, opened: Callable[..., Engine]) -> None:
    """Each object becomes one row, and exactly one of the listeners is told that it was new."""
    taken = [sender.sends(number, study=number % 3) for number in range(120)]
    told: list[Indexed] = []

    start = threading.Barrier(3)

    def listen(order: list[Taken]) -> None:
        engine = opened(url)
        with reading(engine) as conn:
            assert studies.studies(conn) == []
        start.wait()
        for at in range(0, len(order), 10):
            told.extend(index(engine, *order[at : at + 10]))

    orders = [
        [replace(item, place=replace(item.place, segment=f"{name}.seg")) for item in order]
        for name, order in (("one", taken), ("two", taken), ("three", taken[::-1]))
    ]
    listeners = [threading.Thread(target=listen, args=(order,)) for order in orders]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()
    assert verdicts(told).count("new") == 120
    assert set(verdicts(told)) == {"new", "duplicate"}
    with reading(opened(url)) as conn:
        assert conn.execute(select(func.count()).select_from(tables.instances)).scalar() == 120
        assert [study.image_count for study in studies.studies(conn)] == [40, 40, 40]


@pytest.mark.checklist(62)
def test_no_uid_and_no_patient_stands_in_a_timeline(engine: Engine, sender: Any) -> None:
    index(engine, sender.sends(1), sender.sends(2), sender.sends(3, patient="CANARY"))
    index(engine, sender.sends(1, content="other"))
    for state in (StudyState.SENDING, StudyState.RECEIVING):
        bring_to(engine, state)
        index(engine, sender.sends(8, content=state))
    with reading(engine) as conn:
        said = [event.text for event in timeline(conn, 1)]
    assert len(said) > 6
    assert not [text for text in said if "1.2." in text or "CANARY" in text]
    assert all(text.endswith((".", ")")) for text in said)


def test_associations_are_the_evidence_of_an_open_line(engine: Engine, sender: Any) -> None:
    with begin(engine) as conn:
        for name in ("a1", "a2", "a3"):
            intake.open_association(conn, name, "listener", "XRAY", "OSTEON", "127.0.0.1", 90.0)
            intake.open_association(conn, name, "listener", "XRAY", "OSTEON", "127.0.0.1", 91.0)
    index(engine, sender.sends(1, association="a1"), sender.sends(2, association="a2"))
    seen = []
    for name, at in (("a1", 110.0), ("a1", 115.0), ("a2", 120.0)):
        with begin(engine) as conn:
            intake.close_association(conn, name, at)
            [arrival] = studies.arriving(conn)
            seen.append((arrival.open_associations, arrival.released_at))
    assert seen == [(1, 110.0), (1, 110.0), (0, 120.0)]


def test_a_listener_that_comes_back_closes_what_its_crash_left_open(engine: Engine, sender: Any) -> None:
    with begin(engine) as conn:
        intake.open_association(conn, "a1", "mine", "XRAY", "OSTEON", "127.0.0.1", 90.0)
        intake.open_association(conn, "b1", "other", "XRAY", "OSTEON", "127.0.0.1", 90.0)
    index(engine, sender.sends(1, association="a1"), sender.sends(2, association="b1"))
    with begin(engine) as conn:
        assert intake.close_stale_associations(conn, "mine", 130.0) == 1
        assert intake.close_stale_associations(conn, "mine", 140.0) == 0
        [arrival] = studies.arriving(conn)
    assert (arrival.open_associations, arrival.released_at) == (1, 130.0)


def test_an_association_without_a_row_counts_as_closed(engine: Engine, sender: Any) -> None:
    index(engine, sender.sends(1, association="lost in a crash"))
    with reading(engine) as conn:
        [arrival] = studies.arriving(conn)
    assert (arrival.open_associations, arrival.released_at) == (0, None)
