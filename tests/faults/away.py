"""A PACS that is away: for an hour and back, and for good. The clock is simulated; outbox and connections are real."""

import itertools
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from node.retry import JITTER_SHARE
from storage.engine import begin
from storage.states import DeliveryState, StudyState
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.clock import Clock, simulated
from tests.faults.desk import HEALTHY, SEG, SR, study_uid
from tests.faults.pacs import Came, Pacs
from tests.faults.waiting import Waiting

FIRST_S, LONGEST_S, GIVE_UP_S = 10.0, 900.0, 72 * 3600.0
_AWAY_S, _BACK_S = 3600.0, 900.0
_START = 1_800_000_000.0
_SHORT_GIVE_UP_S = 2 * 3600.0
_MOMENT_S = 0.001


@dataclass
class _Days:
    """Simulated time with one peer: whatever is due is sent in the moment that it is due."""

    stood: Waiting
    clock: Clock
    attempts: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By study, when its results were tried."""

    def due_at(self) -> float | None:
        """When the next results are due."""
        with begin(self.stood.engine) as conn:
            rows = conn.exec_driver_sql("SELECT min(due_at) FROM parcels WHERE is_open").scalar()
        return None if rows is None else float(rows)

    def go_to(self, end: float) -> None:
        """Let time pass until `end`."""
        while (due_at := self.due_at()) is not None and due_at <= end:
            self.clock.now = max(self.clock.now, due_at)
            self._turn()
        self.clock.now = max(self.clock.now, end)

    def _turn(self) -> None:
        before = self._counts()
        self.stood.send("pacs")
        for study_id, count in self._counts().items():
            if count != before.get(study_id, 0):
                self.attempts[study_id].append(self.clock.now)

    def _counts(self) -> dict[int, int]:
        with begin(self.stood.engine) as conn:
            rows = conn.exec_driver_sql("SELECT study_id, attempts FROM parcels").all()
        return {int(row[0]): int(row[1]) for row in rows}


def run(job: Job) -> Outcome:
    """Away for an hour while so many studies are made, and back; then away for longer than anybody waits."""
    outcome = Outcome(count=job.count)
    random.seed(job.seed)
    with simulated(_START) as clock:
        _an_hour(job, clock, outcome)
        _for_good(job, clock, outcome)
    return outcome


def _opened(folder: Path, clock: Clock, pacs: Pacs, give_up_s: float) -> tuple[_Days, int]:
    folder.mkdir()
    section = replace(waiting.QUICK, first_retry_s=FIRST_S, max_retry_s=LONGEST_S, give_up_after_s=give_up_s)
    stood = waiting.opened(folder, section)
    with begin(stood.engine) as conn:
        peer = waiting.add_peers(conn, {"pacs": pacs.port})["pacs"]
    return _Days(stood, clock), peer.id


def _an_hour(job: Job, clock: Clock, outcome: Outcome) -> None:
    pacs = Pacs()
    days, peer_id = _opened(job.folder / "hour", clock, pacs, GIVE_UP_S)
    begun = clock.now
    for number in range(job.count):
        days.go_to(begun + _AWAY_S * number / job.count)
        with begin(days.stood.engine) as conn:
            waiting.make_due(days.stood, conn, study_uid(HEALTHY, number), (peer_id,), clock.now)
    days.go_to(begun + _AWAY_S)
    tried = sum(map(len, days.attempts.values()))
    pacs.start()
    try:
        days.go_to(clock.now + _BACK_S)
    finally:
        pacs.stop()
    late = [number for number in range(1, job.count + 1) if days.stood.study(number).state is not StudyState.DELIVERED]
    if late:
        outcome.fail(f"{len(late)} of {job.count} studies are not delivered {_BACK_S:.0f} s after the PACS is back")
    _in_order(pacs.came, job.count, outcome)
    last_s = max((times[-1] for times in days.attempts.values()), default=0.0) - begun - _AWAY_S
    outcome.figures |= {
        "attempts while it was away": str(tried),
        "delivered": f"{job.count - len(late)} of {job.count}",
        "the last one after its return": f"{last_s:.0f} s",
    }
    days.stood.engine.dispose()


def _in_order(came: list[Came], studies: int, outcome: Outcome) -> None:
    """Of each study the SEG and then the SR, each once."""
    of_study: dict[str, list[str]] = defaultdict(list)
    for one in came:
        of_study[one.study].append(one.sop_class)
    wrong = [study for study, classes in of_study.items() if classes != [SEG, SR]]
    if wrong or len(of_study) != studies:
        outcome.fail(f"{len(wrong)} of {len(of_study)} studies came in another order than SEG, SR, or more than once")


def _for_good(job: Job, clock: Clock, outcome: Outcome) -> None:
    """The exact times of the attempts, the end of patience, and what a person finds then."""
    patience_s = _SHORT_GIVE_UP_S if job.short else GIVE_UP_S
    pacs = Pacs()
    days, peer_id = _opened(job.folder / "good", clock, pacs, patience_s)
    with begin(days.stood.engine) as conn:
        study_id = waiting.make_due(days.stood, conn, study_uid(HEALTHY, 1), (peer_id,), clock.now)
    begun = clock.now
    days.go_to(begun + 2 * patience_s)
    times = days.attempts[study_id]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    for number, gap_s in enumerate(gaps[:-1]):  # the last one is cut off by the end of patience
        usual_s = min(FIRST_S * 2**number, LONGEST_S)
        low_s, high_s = usual_s * (1 - JITTER_SHARE), min(usual_s * (1 + JITTER_SHARE), LONGEST_S)
        if not low_s - _MOMENT_S <= gap_s <= high_s + _MOMENT_S:
            outcome.fail(f"attempt {number + 2} came after {gap_s:.1f} s, not within {low_s:.0f} to {high_s:.0f} s")
    if len(set(gaps[8:-1])) < len(gaps[8:-1]) / 2:
        outcome.fail("chance does not move the attempts: most of their distances are the same")
    if abs(times[-1] - begun - patience_s) > _MOMENT_S:
        outcome.fail(f"the last attempt came after {times[-1] - begun:.0f} s, not after {patience_s:.0f} s")
    lines = days.stood.deliveries(study_id)
    if [line.state for line in lines] != [DeliveryState.PARKED] * 2 or "cannot be reached" not in lines[0].error:
        outcome.fail(f"in the end the results are {[line.state.value for line in lines]}: {lines[0].error!r}")
    if days.stood.study(study_id).state is not StudyState.FAILED:
        outcome.fail(f"in the end the study is {days.stood.study(study_id).state}, which nobody sees")
    _sent_by_hand(days, study_id, pacs, outcome)
    outcome.figures |= {"attempts until it is parked": str(len(times)), "patience": f"{patience_s / 3600:.0f} h"}
    days.stood.engine.dispose()


def _sent_by_hand(days: _Days, study_id: int, pacs: Pacs, outcome: Outcome) -> None:
    pacs.start()
    days.stood.retry(study_id)
    days.go_to(days.clock.now)
    pacs.stop()
    if days.stood.study(study_id).state is not StudyState.DELIVERED:
        outcome.fail("osteon retry does not deliver what was parked")
    _in_order(pacs.came, 1, outcome)


AWAY = Check(
    "pacs-away",
    "a PACS that was away for an hour has everything within 15 min of its return, the SEG before the SR; tried again "
    "after 10 s, doubling to 15 min, for 72 h, then parked and shown",
    run,
    full_count=100,
    short_count=5,
    peers=("osteon",),
)
