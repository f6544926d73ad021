"""A run is claimed by one worker, counted before it starts, ended once, and never lost with its worker."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select

from storage import errors, intake, moves, runs, studies, tables
from storage.engine import begin, reading
from storage.events import EventKind, timeline
from storage.runs import Claim, Ending, ResultFile
from storage.states import STUDY_MOVES, Outcome, RunState, StudyState
from storage.studies import Study


def result(order: int, *, version: int = 1, study: int = 1) -> ResultFile:
    kind = ("seg", "gsps", "sc", "sr")[order]
    uid = f"2.25.{study}.{version}.{order}"
    return ResultFile(kind, order, "1.2.840.10008.5.1.4.1.1.66.4", uid, uid + ".9", "1.2", f"{uid}.dcm", 10, "ab" * 32)


FINDINGS = Ending(
    Outcome.OK_FINDINGS,
    "A lesion was found.",
    model_name="knee",
    model_version="1.0",
    model_sha256="cd" * 32,
    provider="CPU",
    answer="malignant",
    probabilities={"malignant": 0.75},
    fingerprint="f1",
    timings={"read": 0.5},
    results=(result(0), result(3)),
)


@pytest.fixture
def ready(engine: Engine, sender: Any) -> Engine:
    """A database with one study that waits to be analysed."""
    receive(engine, sender)
    return engine


def receive(engine: Engine, sender: Any, study: int = 1, *, ready_at: float = 110.0) -> None:
    with begin(engine) as conn:
        [indexed] = intake.index(conn, [sender.sends(1, study)], 101.0)
        assert studies.mark_ready(conn, indexed.study_id, "It is quiet.", ready_at)


def claim(engine: Engine, owner: str = "worker", now: float = 120.0) -> Claim | None:
    with begin(engine) as conn:
        return runs.claim_ready(conn, owner, 60.0, now)


def claimed(engine: Engine, now: float = 120.0) -> Claim:
    found = claim(engine, now=now)
    assert found is not None
    return found


def the_study(engine: Engine, study_id: int = 1) -> Study:
    with reading(engine) as conn:
        found = studies.study(conn, study_id)
    assert found is not None
    return found


def finish(engine: Engine, mine: Claim, ending: Ending, now: float = 130.0) -> bool:
    with begin(engine) as conn:
        return runs.finish(conn, mine, ending, now)


def late_image(engine: Engine, sender: Any, number: int = 2) -> None:
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(number, at=500.0)], 501.0)


def settle(engine: Engine, now: float = 510.0) -> None:
    with begin(engine) as conn:
        assert studies.mark_ready(conn, 1, "It is quiet again.", now)


def test_the_attempt_is_counted_before_the_work(ready: Engine) -> None:
    mine = claimed(ready)
    study = the_study(ready)
    assert (study.state, study.attempts) == (StudyState.ANALYSING, 1)
    assert (mine.attempt, mine.version, mine.dated_at, mine.calling_ae, mine.forced) == (1, 1, 110.0, "XRAY", False)
    assert claim(ready) is None


def test_the_study_that_waited_longest_comes_first(engine: Engine, sender: Any) -> None:
    for number, at in ((1, 130.0), (2, 110.0), (3, 120.0)):
        receive(engine, sender, number, ready_at=at)
    with reading(engine) as conn:
        assert runs.is_any_due(conn, 140.0)
    assert [claimed(engine, 140.0).study_id for _ in range(3)] == [2, 3, 1]
    with reading(engine) as conn:
        assert not runs.is_any_due(conn, 140.0)


def test_many_workers_never_share_a_study(url: str, sender: Any, opened: Callable[..., Engine]) -> None:
    engine = opened(url)
    for number in range(24):
        receive(engine, sender, number)
    got: list[int] = []

    def work(own: Engine) -> None:
        while (mine := claim(own)) is not None:
            got.append(mine.study_id)

    workers = [threading.Thread(target=work, args=(opened(url),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(got) == sorted(study.id for study in every_study(engine))
    assert len(got) == 24


def every_study(engine: Engine) -> list[Study]:
    with reading(engine) as conn:
        return studies.studies(conn)


def test_an_ending_is_recorded_with_its_results_at_once(ready: Engine) -> None:
    mine = claimed(ready)
    assert finish(ready, mine, FINDINGS)
    study = the_study(ready)
    assert (study.state, study.outcome, study.explanation) == (
        StudyState.FAILED,
        Outcome.FAILED_SEND,
        study.explanation,
    )
    assert "No peer receives these results" in study.explanation
    assert study.explanation.endswith("A lesion was found.")
    with reading(ready) as conn:
        assert runs.former_results(conn, 1) == FINDINGS.results
        assert runs.last_fingerprint(conn, 1) == "f1"
        run = runs.last_finished(conn, 1)
        assert "no peer is named" in timeline(conn, 1)[-1].text
    assert run is not None
    assert (run.answer, run.probabilities, run.timings) == ("malignant", {"malignant": 0.75}, {"read": 0.5})


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_state(ready: Engine, outcome: Outcome) -> None:
    assert finish(ready, claimed(ready), Ending(outcome, "So it is."))
    study = the_study(ready)
    assert study.outcome == outcome
    is_answer = outcome in (Outcome.OK_FINDINGS, Outcome.OK_NORMAL)
    if outcome.startswith("FAILED_"):
        assert study.state is StudyState.FAILED
    else:
        assert study.state is (StudyState.DELIVERED if is_answer else StudyState.NOT_APPLICABLE)


def test_an_ending_counts_once(ready: Engine) -> None:
    mine = claimed(ready)
    assert finish(ready, mine, FINDINGS)
    assert not finish(ready, mine, Ending(Outcome.FAILED_MODEL, "Again."))
    with begin(ready) as conn:
        assert not runs.heartbeat(conn, mine, 60.0, 131.0)
        assert not runs.release(conn, mine, "Too late.", 131.0)
        assert not runs.unchanged(conn, mine, 131.0)
        assert runs.crashed(conn, mine, "Too late.", 131.0) is None
    assert the_study(ready).outcome is Outcome.FAILED_SEND  # nobody is named to whom the results go


def test_a_heartbeat_keeps_the_lease(ready: Engine) -> None:
    mine = claimed(ready, now=120.0)
    with begin(ready) as conn:
        assert runs.heartbeat(conn, mine, 60.0, 170.0)
        assert runs.expire_leases(conn, 229.0) == []
        assert runs.expire_leases(conn, 231.0) == [(1, StudyState.READY)]
        assert not runs.heartbeat(conn, mine, 60.0, 232.0)


def test_two_crashes_put_a_study_in_quarantine(ready: Engine) -> None:
    first = claimed(ready)
    with begin(ready) as conn:
        assert runs.expire_leases(conn, 200.0) == [(1, StudyState.READY)]
    assert not finish(ready, first, FINDINGS, 201.0)
    second = claimed(ready, 210.0)
    assert (second.attempt, second.version, second.dated_at) == (2, 1, first.dated_at)
    with begin(ready) as conn:
        assert runs.expire_leases(conn, 300.0) == [(1, StudyState.QUARANTINED)]
        assert runs.expire_leases(conn, 301.0) == []
    assert claim(ready, now=400.0) is None
    study = the_study(ready)
    assert (study.state, study.attempts, study.crashes) == (StudyState.QUARANTINED, 2, 2)
    assert "osteon retry 1" in study.explanation


def test_a_crash_in_quarantine_stops_nobody(engine: Engine, sender: Any) -> None:
    for number in (1, 2):
        receive(engine, sender, number)
    for _ in range(2):
        mine = claimed(engine)
        assert mine.study_id == 1
        with begin(engine) as conn:
            runs.crashed(conn, mine, "The process was killed by signal 11.", 121.0)
        if mine.attempt == 1:
            assert claimed(engine).study_id == 2, "the second attempt waits for those that harmed nobody"
    assert claim(engine) is None


def test_a_study_that_crashed_yields_to_others_for_ten_minutes(engine: Engine, sender: Any) -> None:
    receive(engine, sender, 1)
    mine = claimed(engine)
    with begin(engine) as conn:
        runs.crashed(conn, mine, "The process was killed by signal 11.", 121.0)
    receive(engine, sender, 2, ready_at=700.0)
    assert claimed(engine, 709.0).study_id == 2
    receive(engine, sender, 3, ready_at=709.5)
    assert claimed(engine, 711.0).study_id == 1


def test_a_polite_stop_is_no_attempt(ready: Engine) -> None:
    for number in range(5):
        mine = claimed(ready, 120.0 + number)
        assert mine.attempt == 1
        with begin(ready) as conn:
            assert runs.release(conn, mine, "The worker was stopped.", 121.0 + number)
    study = the_study(ready)
    assert (study.state, study.attempts, study.crashes) == (StudyState.READY, 0, 0)


def test_a_study_that_must_wait_is_not_claimed_before_its_time(ready: Engine) -> None:
    with begin(ready) as conn:
        mine = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert mine is not None
        runs.release(conn, mine, "The disk is full.", 121.0, not_before=150.0)
    assert claim(ready, now=149.0) is None
    assert claim(ready, now=150.0) is not None


def test_a_late_image_makes_the_answer_void(ready: Engine, sender: Any) -> None:
    mine = claimed(ready)
    late_image(ready, sender)
    with begin(ready) as conn:
        assert not runs.heartbeat(conn, mine, 60.0, 502.0)
    assert not finish(ready, mine, FINDINGS, 503.0)
    with reading(ready) as conn:
        assert runs.former_results(conn, 1) == ()
        assert conn.execute(select(tables.runs.c.state)).scalars().all() == [RunState.VOID]
    assert the_study(ready).state is StudyState.RECEIVING


def test_a_second_answer_names_the_first(ready: Engine, sender: Any) -> None:
    first = claimed(ready)
    assert finish(ready, first, FINDINGS)
    late_image(ready, sender)
    settle(ready)
    second = claimed(ready, 520.0)
    assert (second.version, second.dated_at) == (2, 510.0)
    with reading(ready) as conn:
        assert runs.former_results(conn, 1) == FINDINGS.results
        supersedes = conn.execute(select(tables.runs.c.supersedes).order_by(tables.runs.c.id)).scalars().all()
    assert supersedes == [None, first.run_id]
    newer = Ending(Outcome.OK_NORMAL, "Nothing now.", fingerprint="f2", results=(result(3, version=2),))
    assert finish(ready, second, newer, 530.0)
    with reading(ready) as conn:
        assert runs.former_results(conn, 1) == newer.results
        assert runs.last_fingerprint(conn, 1) == "f2"


@pytest.mark.checklist(54)
def test_inputs_that_did_not_change_leave_the_answer(ready: Engine, sender: Any) -> None:
    assert finish(ready, claimed(ready), FINDINGS)
    late_image(ready, sender)
    settle(ready)
    mine = claimed(ready, 520.0)
    with begin(ready) as conn:
        assert runs.unchanged(conn, mine, 521.0)
    study = the_study(ready)
    assert (study.state, study.outcome, study.explanation) == (
        StudyState.FAILED,
        Outcome.FAILED_SEND,
        study.explanation,
    )
    assert "No peer receives these results" in study.explanation
    assert study.explanation.endswith("A lesion was found.")
    assert claim(ready, now=600.0) is None


def test_no_answer_can_stand_where_there_was_none(ready: Engine) -> None:
    mine = claimed(ready)
    with pytest.raises(errors.NotNow, match="no earlier answer"), begin(ready) as conn:
        runs.unchanged(conn, mine, 121.0)
    assert the_study(ready).state is StudyState.ANALYSING


def test_a_failed_run_is_no_answer(ready: Engine) -> None:
    assert finish(ready, claimed(ready), Ending(Outcome.FAILED_MODEL, "It broke.", fingerprint="f1"))
    with reading(ready) as conn:
        assert runs.last_fingerprint(conn, 1) is None


def test_the_same_result_uid_keeps_its_first_bytes(ready: Engine, sender: Any) -> None:
    """A person has the study analysed again: what a PACS may hold already must not change under its UID."""
    assert finish(ready, claimed(ready), FINDINGS)
    with begin(ready) as conn:
        assert studies.retry(conn, 1, 200.0) is StudyState.READY
    mine = claimed(ready, 210.0)
    assert mine.forced
    other = ResultFile("seg", 0, "1.2", FINDINGS.results[0].sop_instance_uid, "1.3", "1.2", "new.dcm", 11, "ff" * 32)
    assert finish(ready, mine, Ending(Outcome.OK_FINDINGS, "Again.", results=(other, result(3, version=2))), 220.0)
    with reading(ready) as conn:
        rows = conn.execute(select(tables.results.c.path).order_by(tables.results.c.id)).scalars().all()
    assert rows == ["2.25.1.1.0.dcm", "2.25.1.1.3.dcm", "2.25.1.2.3.dcm"]


def test_a_result_uid_of_another_study_is_refused_and_nothing_recorded(engine: Engine, sender: Any) -> None:
    for number in (1, 2):
        receive(engine, sender, number)
    assert finish(engine, claimed(engine), FINDINGS)
    mine = claimed(engine)
    with pytest.raises(errors.Broken, match="another study's"):
        finish(engine, mine, FINDINGS)
    assert the_study(engine, 2).state is StudyState.ANALYSING
    with begin(engine) as conn:
        assert runs.heartbeat(conn, mine, 60.0, 140.0)


def test_only_allowed_moves_are_made_and_each_is_told(engine: Engine, sender: Any) -> None:
    receive(engine, sender)
    with begin(engine) as conn:
        for before, after in itertools.product(StudyState, StudyState):
            conn.execute(tables.studies.update().values(state=before))
            row = moves.locked(conn, 1)
            told = len(timeline(conn, 1))
            if after in STUDY_MOVES[before]:
                moves.move(conn, row, after, EventKind.RETRIED, "It moved.", 200.0)
                assert len(timeline(conn, 1)) == told + 1
            else:
                with pytest.raises(errors.ForbiddenMove, match=f"from {before} to {after}"):
                    moves.move(conn, row, after, EventKind.RETRIED, "It moved.", 200.0)
                assert len(timeline(conn, 1)) == told
            assert moves.locked(conn, 1).state == (after if after in STUDY_MOVES[before] else before)


def test_a_person_may_have_what_has_ended_tried_again(engine: Engine, sender: Any) -> None:
    endings = [Outcome.OK_NORMAL, Outcome.NOT_APPLICABLE_VIEW, Outcome.FAILED_MODEL]
    for number, outcome in enumerate(endings, 1):
        receive(engine, sender, number)
        assert finish(engine, claimed(engine), Ending(outcome, "So it is."))
        with begin(engine) as conn:
            assert studies.retry(conn, number, 200.0) is StudyState.READY
        assert the_study(engine, number).attempts == 0
        mine = claimed(engine, 210.0)
        assert (mine.study_id, mine.forced, mine.attempt) == (number, True, 1)
        assert finish(engine, mine, Ending(outcome, "So it is."))


def test_quarantine_is_left_by_a_retry_only(ready: Engine) -> None:
    with begin(ready) as conn:
        mine = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert mine is not None
        runs.crashed(conn, mine, "It died.", 121.0, max_crashes=1)
        assert studies.retry(conn, 1, 130.0) is StudyState.READY
    assert (the_study(ready).attempts, the_study(ready).crashes) == (0, 0)


def test_a_study_on_its_way_cannot_be_retried(ready: Engine, sender: Any) -> None:
    with pytest.raises(errors.NotNow, match="waiting to be analysed"), begin(ready) as conn:
        studies.retry(conn, 1, 130.0)
    claimed(ready)
    with pytest.raises(errors.NotNow, match="being analysed"), begin(ready) as conn:
        studies.retry(conn, 1, 130.0)
    with pytest.raises(errors.Unknown, match="no study 99"), begin(ready) as conn:
        studies.retry(conn, 99, 130.0)


def test_settling_looks_twice(engine: Engine, sender: Any) -> None:
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(1, at=100.0)], 101.0)
        assert not studies.mark_ready(conn, 1, "It is quiet.", 110.0, seen=99.0)
        assert studies.mark_ready(conn, 1, "It is quiet.", 110.0, seen=100.0)
        assert not studies.mark_ready(conn, 1, "It is quiet.", 111.0)
