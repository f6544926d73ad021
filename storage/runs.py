"""One attempt to analyse a study: claimed under a lease, counted before the work starts, ended once.

A claim is lost when its lease runs out and another process notices, or when an image arrives: its ending is refused.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from storage import audit_studies, errors, returned
from storage.closing import NOBODY, sending_state
from storage.events import EventKind
from storage.moves import locked, move
from storage.parcels import dispatch, hasten
from storage.results import ResultFile, as_file, keep, of_run
from storage.states import Outcome, RunState, StudyState, state_for
from storage.tables import results, runs, studies

YIELDS_S = 600.0
"""For so long after a study became ready its second attempt waits for the others; then it is a study like any."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A study in the hands of one worker."""

    run_id: int
    study_id: int
    study_instance_uid: str
    owner: str
    attempt: int
    """1 for the first attempt since the study became ready."""
    version: int
    """1 + the number of earlier runs that left results: the same after a crash, another after a late image."""
    dated_at: float
    """When the study became ready, the same after a crash: the time to write into results."""
    calling_ae: str
    forced: bool
    """A person asked for this run: it is made even when the inputs are those of the last one."""
    has_patient_conflict: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what it leaves."""

    outcome: Outcome
    explanation: str
    model_name: str = ""
    model_version: str = ""
    model_sha256: str = ""
    provider: str = ""
    answer: str = ""
    """What the model says in one word (models/findings.py, Answer); empty when none answered."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    fingerprint: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    results: tuple[ResultFile, ...] = ()
    destinations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """The run that holds a study's present answer, to be shown."""

    outcome: Outcome
    model_name: str
    model_version: str
    model_sha256: str
    provider: str
    answer: str
    probabilities: Mapping[str, float]
    timings: Mapping[str, float]
    """Seconds per stage."""
    ended_at: float


def last_finished(conn: Connection, study_id: int) -> Run | None:
    """The newest run of the study that came to an end of its own."""
    finished = and_(runs.c.study_id == study_id, runs.c.state == RunState.FINISHED)
    row = conn.execute(select(runs).where(finished).order_by(runs.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return Run(
        outcome=Outcome(row.outcome),
        model_name=row.model_name,
        model_version=row.model_version,
        model_sha256=row.model_sha256,
        provider=row.provider,
        answer=row.answer,
        probabilities=json.loads(row.probabilities),
        timings=json.loads(row.timings),
        ended_at=row.ended_at,
    )


def is_any_due(conn: Connection, now: float) -> bool:
    """Whether a study waits to be claimed: a look that takes no lock."""
    due = and_(studies.c.state == StudyState.READY, or_(studies.c.not_before.is_(None), studies.c.not_before <= now))
    return conn.execute(select(studies.c.id).where(due).limit(1)).first() is not None


def claim_ready(conn: Connection, owner: str, lease_s: float, now: float) -> Claim | None:
    """Take the study that has been ready for longest; None when none is due. Commit before the work starts.

    One on which a process has died lets the others go first for a while: it may take as long the second time.
    """
    due = and_(studies.c.state == StudyState.READY, or_(studies.c.not_before.is_(None), studies.c.not_before <= now))
    yields = and_(studies.c.crashes > 0, studies.c.ready_at > now - YIELDS_S)
    oldest = select(studies).where(due).order_by(yields, studies.c.ready_at, studies.c.id).limit(1)
    study = conn.execute(oldest.with_for_update(skip_locked=True)).one_or_none()
    if study is None:
        return None
    attempt = study.attempts + 1
    run = {
        "study_id": study.id,
        "state": RunState.RUNNING,
        "owner": owner,
        "attempt": attempt,
        "claimed_at": now,
        "lease_until": now + lease_s,
        "supersedes": _last_with_results(conn, study.id),
    }
    run_id = conn.execute(insert(runs).returning(runs.c.id), run).scalar_one()
    said = f"A worker took the study (attempt {attempt})."
    move(conn, study, StudyState.ANALYSING, EventKind.CLAIMED, said, now, attempts=attempt, not_before=None)
    return Claim(
        run_id=run_id,
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        owner=owner,
        attempt=attempt,
        version=1 + _count_with_results(conn, study.id),
        dated_at=study.ready_at,
        calling_ae=study.calling_ae,
        forced=study.forced,
        has_patient_conflict=study.has_patient_conflict,
    )


def heartbeat(conn: Connection, claim: Claim, lease_s: float, now: float) -> bool:
    """Prolong the lease; False when the claim is lost and the work may stop."""
    running = and_(runs.c.id == claim.run_id, runs.c.state == RunState.RUNNING)
    return conn.execute(update(runs).where(running).values(lease_until=now + lease_s)).rowcount == 1


def finish(conn: Connection, claim: Claim, ending: Ending, now: float) -> bool:
    """End the run: its results and their deliveries are recorded with the new state, or nothing is.

    Returns
    -------
    bool
        False when the claim is lost (the lease ran out, an image came): nothing was recorded.

    Notes
    -----
    A result whose SOP Instance UID the study has already is that earlier one: its bytes are sent again (promise P3).

    Raises
    ------
    Broken
        A result has the SOP Instance UID of another study's result.
    """
    study = locked(conn, claim.study_id)
    values: dict[str, Any] = {
        "outcome": ending.outcome,
        "explanation": ending.explanation,
        "model_name": ending.model_name,
        "model_version": ending.model_version,
        "model_sha256": ending.model_sha256,
        "provider": ending.provider,
        "fingerprint": ending.fingerprint,
        "answer": ending.answer,
        "probabilities": json.dumps(dict(ending.probabilities)),
        "timings": json.dumps(dict(ending.timings)),
    }
    if not _end(conn, claim.run_id, RunState.FINISHED, now, **values):
        return False
    made = list(zip(keep(conn, claim.study_id, claim.run_id, ending.results, now), ending.results, strict=True))
    if made:
        returned.results_came(conn, claim.study_id, now)
    receivers = 0
    if made and ending.destinations:
        hasten(conn, claim.study_id, now)
        receivers = dispatch(conn, claim.study_id, claim.run_id, made, ending.destinations, now)
    after = state_for(ending.outcome)
    if after is StudyState.SENDING and not receivers:
        after = StudyState.FAILED if made else StudyState.DELIVERED
    row = {"outcome": ending.outcome, "explanation": ending.explanation, "crashes": 0, "forced": False}
    if after is StudyState.FAILED and ending.results:
        row |= {"outcome": Outcome.FAILED_SEND, "explanation": f"{NOBODY}\n{ending.explanation}"}
    move(conn, study, after, EventKind.ENDED, _told(ending, receivers), now, **row)
    audit_studies.processed(conn, study, claim.run_id, now)
    return True


def unchanged(conn: Connection, claim: Claim, now: float) -> bool:
    """End the run because its inputs are those of the last good run, whose answer stands. False as in `finish`."""
    study = locked(conn, claim.study_id)
    last = _last_good(conn, claim.study_id)
    if last is None:
        raise errors.NotNow(
            f"Study {claim.study_id} has no earlier answer that could stand. This is a fault of Osteon."
        )
    if not _end(conn, claim.run_id, RunState.RELEASED, now, explanation="The inputs are those of the last run."):
        return False
    after = state_for(Outcome(last.outcome))
    row: dict[str, Any] = {"outcome": last.outcome, "explanation": last.explanation, "crashes": 0, "forced": False}
    if after is StudyState.SENDING:
        after, failure = sending_state(conn, last.id)
        row |= failure
    said = "What came late changes nothing that the model uses: the last answer stands."
    move(conn, study, after, EventKind.UNCHANGED, said, now, **row)
    audit_studies.processed(conn, study, claim.run_id, now, unchanged=True)
    return True


def release(conn: Connection, claim: Claim, why: str, now: float, *, not_before: float | None = None) -> bool:
    """Give the study back without blame (the worker stops, or must wait for room or a model). False when it is lost."""
    study = locked(conn, claim.study_id)
    if not _end(conn, claim.run_id, RunState.RELEASED, now, explanation=why):
        return False
    row = {"attempts": claim.attempt - 1, "not_before": not_before}
    move(conn, study, StudyState.READY, EventKind.RELEASED, why, now, **row)
    return True


def crashed(conn: Connection, claim: Claim, why: str, now: float, *, max_crashes: int = 2) -> StudyState | None:
    """The process at work died: the study is tried again, or goes to quarantine. None when the claim was lost."""
    return _crash(conn, claim.study_id, claim.run_id, why, now, max_crashes)


def in_hand(conn: Connection) -> set[int]:
    """The runs that are in some worker's hands."""
    return set(conn.execute(select(runs.c.id).where(runs.c.state == RunState.RUNNING)).scalars())


def expire_leases(
    conn: Connection,
    now: float,
    max_crashes: int = 2,
    is_dead: Callable[[str], bool] = lambda _owner: False,
    has_run_out: Callable[[int, float], bool] | None = None,
) -> list[tuple[int, StudyState]]:
    """Treat every run whose lease ran out, or whose owner is known to be dead, as a crash.

    Parameters
    ----------
    has_run_out
        Whether the lease of a run, given with its end, has run out; None compares its end with `now`.

    Returns
    -------
    list of (int, StudyState)
        The studies and where they went.
    """
    running = select(runs.c.study_id, runs.c.id, runs.c.owner, runs.c.lease_until).where(
        runs.c.state == RunState.RUNNING
    )
    moved = []
    for row in conn.execute(running.order_by(runs.c.study_id)).all():
        dead = is_dead(row.owner)
        is_late = row.lease_until <= now if has_run_out is None else has_run_out(row.id, row.lease_until)
        if not dead and not is_late:
            continue
        why = "The worker's process ended." if dead else "The worker was not heard of any more."
        after = _crash(conn, row.study_id, row.id, why, now, max_crashes, lease_until=None if dead else row.lease_until)
        if after is not None:
            moved.append((row.study_id, after))
    return moved


def last_fingerprint(conn: Connection, study_id: int) -> str | None:
    """The fingerprint of the study's last good run; None when there is none."""
    last = _last_good(conn, study_id)
    return last.fingerprint if last is not None else None


def former_results(conn: Connection, study_id: int) -> tuple[ResultFile, ...]:
    """The results of the last run that left any: what a new run replaces (Predecessor Documents, PS3.3 C.17.2)."""
    last = _last_with_results(conn, study_id)
    return of_run(conn, last) if last is not None else ()


def earlier_reports(conn: Connection, study_id: int) -> tuple[ResultFile, ...]:
    """The reports (SR) of the study's runs, newest first: they name its lesions."""
    reports = and_(results.c.study_id == study_id, results.c.kind == "sr")
    order = (results.c.run_id.desc(), results.c.position, results.c.id)
    return tuple(as_file(row) for row in conn.execute(select(results).where(reports).order_by(*order)))


def _crash(
    conn: Connection,
    study_id: int,
    run_id: int,
    why: str,
    now: float,
    max_crashes: int,
    *,
    lease_until: float | None = None,
) -> StudyState | None:
    """As `crashed`; with `lease_until` only if the lease was not renewed meanwhile."""
    study = locked(conn, study_id)
    if not _end(conn, run_id, RunState.CRASHED, now, lease_until=lease_until, explanation=why):
        return None
    crashes = study.crashes + 1
    after = StudyState.READY if crashes < max_crashes else StudyState.QUARANTINED
    audit_studies.crashed(conn, study, run_id, after, now)
    if after is StudyState.READY:
        said = f"{why} The study is tried again (crash {crashes} of {max_crashes})."
        move(conn, study, after, EventKind.CRASHED, said, now, crashes=crashes)
        return after
    said = (
        f"{why} After {crashes} crashes the study is set apart. Look at the worker's log, then: osteon retry {study_id}"
    )
    row = {"crashes": crashes, "outcome": Outcome.FAILED_RESOURCE, "explanation": said}
    move(conn, study, after, EventKind.QUARANTINED, said, now, **row)
    return after


def _end(
    conn: Connection, run_id: int, state: RunState, now: float, *, lease_until: float | None = None, **values: Any
) -> bool:
    condition = and_(runs.c.id == run_id, runs.c.state == RunState.RUNNING)
    if lease_until is not None:
        condition = and_(condition, runs.c.lease_until == lease_until)
    return conn.execute(update(runs).where(condition).values(state=state, ended_at=now, **values)).rowcount == 1


def _last_good(conn: Connection, study_id: int) -> Row[Any] | None:
    failed = [outcome for outcome in Outcome if outcome.startswith("FAILED_")]
    good = and_(runs.c.study_id == study_id, runs.c.state == RunState.FINISHED, runs.c.outcome.not_in(failed))
    return conn.execute(select(runs).where(good).order_by(runs.c.id.desc()).limit(1)).one_or_none()


def _last_with_results(conn: Connection, study_id: int) -> int | None:
    return conn.execute(select(func.max(results.c.run_id)).where(results.c.study_id == study_id)).scalar()


def _count_with_results(conn: Connection, study_id: int) -> int:
    own = results.c.study_id == study_id
    return conn.execute(select(func.count(results.c.run_id.distinct())).where(own)).scalar_one()


def _told(ending: Ending, receivers: int) -> str:
    said = " ".join((f"{ending.outcome}:", *ending.explanation.splitlines()))
    if receivers and state_for(ending.outcome) is StudyState.SENDING:
        return f"{said} {len(ending.results)} results go to {receivers} peers."
    if ending.results and not receivers:
        return f"{said} {len(ending.results)} results are kept; no peer is named for them."
    return said
