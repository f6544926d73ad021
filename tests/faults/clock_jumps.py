"""The wall clock of a running worker jumps: one study arrives, one is analysed, results of one wait for a PACS."""

import random
import time
from pathlib import Path

from storage import studies
from storage.engine import begin, reading
from storage.events import EventKind, timeline
from storage.outbox import deliveries_of
from storage.states import StudyState
from tests.e2e.processes import until
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import HEALTHY, SLOW, study_uid
from tests.faults.lives import Plain
from tests.faults.pacs import Pacs
from tests.faults.worker_process import CLOCK

HOUR_S, YEAR_S = 3600.0, 365 * 86400.0
JUMPS = (YEAR_S, -YEAR_S, HOUR_S, -HOUR_S)
_QUIET_S = 2.0
_LATE_S = 15.0
_SETTINGS = {
    "settle": {"xray_quiet_s": _QUIET_S, "xray_quiet_open_s": _QUIET_S},
    "send": {"first_retry_s": 60.0},
    "work": {"lease_s": 2.0, "provider": "cpu"},
}


class _Wrong:
    """The worker's clock, as whoever writes into its database has to use it."""

    def __init__(self, folder: Path):
        self._file, self.by = folder / CLOCK, 0.0

    def jump(self, by: float) -> None:
        self.by += by
        part = self._file.with_suffix(".part")
        part.write_text(str(self.by))
        part.rename(self._file)

    def now(self) -> float:
        return time.time() + self.by


def run(job: Job) -> Outcome:
    """So many jumps, one after the other, in the same life."""
    outcome, chance = Outcome(), random.Random(job.seed)
    pacs = Pacs()
    life = Plain(job.folder / "node", {"pacs": pacs.port}, _SETTINGS)
    clock = _Wrong(life.node.folder)
    try:
        life.start()
        pacs.start()
        life.node.wait(life.add_study(0), 60, ("delivered",))
        for number in range(job.count):
            by = JUMPS[number % len(JUMPS)]
            pacs.stop()
            outcome.count += 1
            try:
                failures = _jump(life, clock, pacs, 10 * (number + 1), by, chance)
            except AssertionError as error:
                failures = [str(error)]
            for failure in failures:
                outcome.fail(f"jump {number} by {by:+.0f} s (seed {job.seed}): {failure}")
        _told_in_order(life, outcome)
    finally:
        pacs.stop()
        life.close()
    outcome.figures |= {"studies": str(3 * job.count), "too early or never": str(len(outcome.failures))}
    return outcome


def _jump(life: Plain, clock: _Wrong, pacs: Pacs, first: int, by: float, chance: random.Random) -> list[str]:
    """What was not as it should be around one jump."""
    failures: list[str] = []
    waits, works, comes = study_uid(HEALTHY, first), study_uid(SLOW, first), study_uid(HEALTHY, first + 1)
    with begin(life.engine) as conn:
        waiting_id = waiting.make_ready(conn, waits, clock.now())
    until(lambda: _attempts(life, waiting_id) == 1, 30, "the results were never tried")
    with begin(life.engine) as conn:
        working_id = waiting.make_ready(conn, works, clock.now())
    until(lambda: _state(life, working_id) is StudyState.ANALYSING, 30, "the study is not analysed")
    with begin(life.engine) as conn:
        coming_id = waiting.arrive(conn, comes, clock.now())
    arrived = time.monotonic()
    time.sleep(chance.uniform(0, 0.5))
    clock.jump(by)
    until(lambda: _state(life, coming_id) is not StudyState.RECEIVING, _QUIET_S + _LATE_S, "it never settles", 0.01)
    if time.monotonic() - arrived < _QUIET_S - 0.05:
        failures.append(f"the study counted as complete after {time.monotonic() - arrived:.2f} s")
    try:
        until(lambda: _attempts(life, waiting_id) > 1, _LATE_S, "what waited for the PACS is not tried again")
    except AssertionError as error:
        failures.append(str(error))
    pacs.start()
    until(lambda: _is_sent_at_last(life, (waiting_id, working_id, coming_id), clock), 60, "not all is delivered", 0.2)
    with reading(life.engine) as conn:
        crashed = [each for each in timeline(conn, working_id) if each.kind == EventKind.CRASHED]
    if crashed:
        failures.append(f"the study at work was given up: {crashed[0].text}")
    return failures


def _attempts(life: Plain, study_id: int) -> int:
    with reading(life.engine) as conn:
        return max((line.attempts for line in deliveries_of(conn, study_id)), default=0)


def _state(life: Plain, study_id: int) -> StudyState:
    with reading(life.engine) as conn:
        return studies.study_of(conn, study_id).state


def _is_sent_at_last(life: Plain, study_ids: tuple[int, ...], clock: _Wrong) -> bool:
    """Whether all are delivered; what waits for its next attempt goes at once, as a person would have it."""
    states = {study_id: _state(life, study_id) for study_id in study_ids}
    for study_id, state in states.items():
        if state is StudyState.SENDING:
            with begin(life.engine) as conn:
                studies.retry(conn, study_id, clock.now())
    return all(state is StudyState.DELIVERED for state in states.values())


def _told_in_order(life: Plain, outcome: Outcome) -> None:
    """The events of each study in the order in which they happened, whatever their times say."""
    usual = [EventKind.RECEIVED, EventKind.READY, EventKind.CLAIMED, EventKind.ENDED, EventKind.DELIVERED]
    with reading(life.engine) as conn:
        for study in studies.studies(conn, limit=1_000_000):
            events = timeline(conn, study.id)
            kinds = [kind for kind in (event.kind for event in events) if kind in usual]
            if list(dict.fromkeys(kinds)) != usual:
                outcome.fail(f"the events of study {study.id} are told as {kinds}")
        rows = conn.exec_driver_sql("SELECT count(*) FROM events WHERE kind = 'clock_set'").scalar()
    if rows != outcome.count:
        outcome.fail(f"{rows} of {outcome.count} jumps are written down")


CLOCK_JUMPS = Check(
    "clock-jumps",
    "when the clock jumps by an hour or a year no study is processed too early or never, none is given up, and the "
    "events keep their order",
    run,
    full_count=16,
    short_count=2,
    peers=("osteon",),
)
