"""kill -9 while results leave: at every fault point of the product, and in between by chance.

Whatever was made before the kill must reach the PACS: one SEG and one SR of each study, and whenever an object comes
again it is the same object, byte for byte.
"""

import itertools
import random
import time
from collections import defaultdict

from storage.faultpoints import FaultPoint
from tests.bench.tables import percentile
from tests.e2e.processes import until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import SEG, SR
from tests.faults.lives import Life, Plain, Whole
from tests.faults.pacs import Pacs, listening

ORDERS = (
    (FaultPoint.OBJECT_ANSWERED, 1),
    (FaultPoint.ANSWER_RECORDED, 1),
    (FaultPoint.RESULTS_RECORDED, 1),
    (FaultPoint.OBJECT_SENT, 2),
    (FaultPoint.ANSWER_WRITTEN, 1),
    (FaultPoint.RESULTS_WRITTEN, 1),
    (FaultPoint.PARCEL_CLAIMED, 1),
    (FaultPoint.OBJECT_SENT, 1),
    (FaultPoint.OBJECT_ANSWERED, 2),
    (FaultPoint.ANSWER_WRITTEN, 2),
    (FaultPoint.ANSWER_RECORDED, 2),
    (FaultPoint.PROOF_HEARD, 1),
)
"""Which point, and at which passing; a result has two objects at least, the SEG first and the SR last."""

_FIRST_S = 120.0
_STUDY_S = 60.0


def run(job: Job) -> Outcome:
    """Kill so many times, in turn at a fault point and by chance; then count at the PACS what came."""
    outcome, chance = Outcome(), random.Random(job.seed)
    with listening(Pacs()) as pacs:
        kind = Plain if job.short else Whole
        life: Life = kind(job.folder / "node", {"pacs": pacs.port}, {"settle": {"xray_quiet_s": 0.1}})
        try:
            _kill_all(life, job, chance, outcome)
        finally:
            life.close()
        _compare(pacs, outcome)
    return outcome


def _kill_all(life: Life, job: Job, chance: random.Random, outcome: Outcome) -> None:
    life.start()
    life.node.wait(life.add_study(0), _FIRST_S, ("delivered",))  # the models are loaded
    begin = time.monotonic()
    life.node.wait(life.add_study(1), _STUDY_S, ("delivered",))
    usual_s = time.monotonic() - begin
    orders, restarts = itertools.cycle(ORDERS), []
    for number in range(job.count):
        order = next(orders) if job.short or number % 2 == 0 else None
        study, where = _killed(life, number + 2, order, chance.uniform(0, usual_s))
        begin = time.monotonic()
        life.start()
        life.node.wait(study, _FIRST_S, ("delivered", "failed", "quarantined"))
        restarts.append(time.monotonic() - begin)
        outcome.count += 1
        if life.node.state(study) != "delivered":
            outcome.fail(f"kill {number} {where} (seed {job.seed}): the study is {life.node.state(study)}")
    outcome.figures |= {
        "studies": str(job.count + 2),
        "delivered after the kill p95": f"{percentile(restarts, 0.95):.1f} s",
    }
    left = sum(count for state, count in life.node.states().items() if state != "delivered")
    if left:
        outcome.fail(f"{left} studies are not delivered at the end (seed {job.seed})")


def _killed(life: Life, number: int, order: tuple[FaultPoint, int] | None, after_s: float) -> tuple[str, str]:
    """Give it a study and kill everything where ordered, else after a while; the study, and where that was."""
    if order is None:
        study = life.add_study(number)
        time.sleep(after_s)
        life.kill()
        return study, f"{after_s:.2f} s after the image"
    where = f"at {order[0].value} {order[1]}"
    life.order.write_text(where.removeprefix("at "))
    study = life.add_study(number)
    until(lambda: not life.order.exists(), _STUDY_S, f"{where} was never reached")
    life.kill()
    return study, where


def _compare(pacs: Pacs, outcome: Outcome) -> None:
    """Exactly one SEG and one SR of each study, and nothing of which there are two forms."""
    of_study: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    forms: dict[str, set[str]] = defaultdict(set)
    for came in pacs.came:
        of_study[came.study][came.sop_class].add(came.uid)
        forms[came.uid].add(came.sha256)
    for study, classes in of_study.items():
        if (len(classes[SEG]), len(classes[SR])) != (1, 1):
            outcome.fail(f"study {study} has {len(classes[SEG])} SEG and {len(classes[SR])} SR at the PACS")
    if len(of_study) != int(outcome.figures.get("studies", "0")):
        outcome.fail(f"{len(of_study)} studies reached the PACS, not {outcome.figures.get('studies')}")
    different = [uid for uid, found in forms.items() if len(found) > 1]
    if different:
        outcome.fail(f"{len(different)} objects came with other bytes the second time, the first: {different[0]}")
    outcome.figures |= {
        "objects": str(len(forms)),
        "sent again": str(len(pacs.came) - len(forms)),
        "different duplicates": str(len(different)),
    }


KILL_SENDING = Check(
    "kill-between-objects",
    "killed at any fault point or moment while results leave, each study ends with exactly one SEG and one SR at the "
    "PACS; what is sent again is the same, byte for byte",
    run,
    full_count=40,
    short_count=2,
    peers=("osteon",),
)
