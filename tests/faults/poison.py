"""Poison studies among healthy ones: each kills, blocks or bloats the process that analyses it."""

import threading
import time
from pathlib import Path

from node import worker
from node.analyst import Analyst, Limits
from node.job import Setup
from storage.engine import begin
from storage.events import EventKind
from storage.states import StudyState
from tests.e2e.processes import until
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import HEALTHY, POISONS, study_uid
from tests.faults.pacs import Pacs, listening
from tests.faults.side_by_side import dispatched
from tests.faults.waiting import Waiting

_LIMITS = Limits(time_s=2.0, memory_mb=300)
_ATTEMPTS = 2
_DELIVERY_S = 60.0


def run(job: Job) -> Outcome:
    """So many poison studies, each followed by a healthy one; all of them wait from the beginning."""
    outcome = Outcome(count=job.count)
    stood = waiting.opened(job.folder)
    with listening(Pacs()) as pacs:
        with begin(stood.engine) as conn:
            waiting.add_peers(conn, {"pacs": pacs.port})
            now = time.time()
            poison, healthy = [], []
            for number in range(job.count):
                kind = POISONS[number % len(POISONS)]
                poison.append(waiting.make_ready(conn, study_uid(kind, number), now + 2 * number))
                healthy.append(waiting.make_ready(conn, study_uid(HEALTHY, number), now + 2 * number + 1))
        with dispatched(stood):
            _analysed(stood, job.folder)
            until(lambda: all(_state(stood, n) is StudyState.DELIVERED for n in healthy), _DELIVERY_S, "not delivered")
    _compare(stood, poison, healthy, outcome)
    stood.engine.dispose()
    return outcome


def _analysed(stood: Waiting, folder: Path) -> None:
    """What a worker does until nothing waits."""
    results = str(stood.config.results_folder)
    setup = Setup("", str(folder), results, "cpu", 1, "CRITICAL", "TEST", desk="tests.faults.desk")
    analyst = Analyst(setup, _LIMITS)
    try:
        while worker.one_study(stood.engine, stood.config, analyst, "test", threading.Event()):
            pass
    finally:
        analyst.stop()


def _state(stood: Waiting, study_id: int) -> StudyState:
    return stood.study(study_id).state


def _compare(stood: Waiting, poison: list[int], healthy: list[int], outcome: Outcome) -> None:
    wrong = [number for number in poison if _state(stood, number) is not StudyState.QUARANTINED]
    if wrong:
        outcome.fail(f"{len(wrong)} of {len(poison)} poison studies are not in quarantine")
    claims = {number: _times(stood, number, EventKind.CLAIMED) for number in poison + healthy}
    if odd := [number for number in poison if len(claims[number]) != _ATTEMPTS]:
        outcome.fail(f"{len(odd)} poison studies were not tried {_ATTEMPTS} times")
    if odd := [number for number in healthy if len(claims[number]) != 1]:
        outcome.fail(f"{len(odd)} healthy studies were not tried once")
    ends = [_times(stood, number, EventKind.ENDED)[0] for number in healthy]
    again = min(claims[number][1] for number in poison if len(claims[number]) > 1)
    if max(ends) > again:
        outcome.fail("a healthy study waited for the second attempt of a poison study")
    outcome.figures |= {
        "healthy studies delivered": f"{len(healthy)} of {len(healthy)}",
        "in quarantine": f"{len(poison) - len(wrong)} of {len(poison)}",
    }


def _times(stood: Waiting, study_id: int, kind: EventKind) -> list[float]:
    return [event.at for event in stood.told(study_id) if event.kind == kind]


POISON = Check(
    "poison-studies",
    "a study that kills, blocks or bloats the analysing process is tried twice and set apart; the others are all "
    "delivered, and none waits for a second attempt of such a study",
    run,
    full_count=20,
    short_count=4,
    peers=("osteon",),
)
