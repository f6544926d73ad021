"""Starting again with many studies waiting, and stopping with all hands busy."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator

from node.config import read_config
from storage.engine import begin
from tests.e2e.processes import Child, memory_mb, until
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import HEALTHY, study_uid
from tests.faults.lives import Life, Plain, Whole
from tests.faults.pacs import Pacs, listening
from tests.faults.senders import Senders, missing
from tests.faults.targets import CALLING, Osteon

AT_ONCE = 1
"""Associations to one peer: one to send on. A peer that is asked for proof may have a second one for that."""
STOPS_S = 20.0
_STUDY_S = 2.0
_MEMORY_MB = 50.0
_FEW = 8
_numbers = itertools.count(1)


def start_again(job: Job) -> Outcome:
    """So many studies wait, half to be analysed and half to be sent, when the worker starts."""
    outcome = Outcome(count=job.count)
    with listening(Pacs()) as pacs:
        life = Plain(job.folder / "node", {"pacs": pacs.port}, confirm="none")
        try:
            _seed(life, job.count)
            begun = time.monotonic()
            child = life.start()
            limit_s = 60 + _STUDY_S * job.count
            until(
                lambda: life.node.states()["delivered"] >= job.count * 3 // 4, limit_s, lambda: f"{life.node.states()}"
            )
            memory = memory_mb(child.pid)
            until(lambda: life.node.states()["delivered"] == job.count, limit_s, lambda: f"{life.node.states()}", 0.5)
            took_s, grown = time.monotonic() - begun, memory_mb(child.pid) - memory
        finally:
            life.close()
        again = len(pacs.came) - len(pacs.kept())
    if pacs.most_at_once > AT_ONCE:
        outcome.fail(f"{pacs.most_at_once} associations were open at the PACS at once; {AT_ONCE} is allowed")
    if again or len(pacs.kept()) != 2 * job.count:
        outcome.fail(f"{len(pacs.kept())} objects are at the PACS, {again} came twice; {2 * job.count} and 0 are right")
    if grown > _MEMORY_MB:
        outcome.fail(f"the worker grew by {grown:.0f} MB; {_MEMORY_MB:.0f} MB are allowed")
    outcome.figures = {
        "associations at once": str(pacs.most_at_once),
        "all delivered after": f"{took_s:.0f} s",
        "memory": f"{grown:+.0f} MB",
    }
    return outcome


def _seed(life: Plain, count: int) -> None:
    stood = waiting.Waiting(life.engine, read_config(life.node.config))
    with begin(life.engine) as conn:
        peer = waiting.peer_named(conn, "pacs")
        for number in range(count):
            if number % 2:
                waiting.make_due(stood, conn, study_uid(HEALTHY, number), (peer.id,), time.time())
        for number in range(0, count, 2):
            waiting.make_ready(conn, study_uid(HEALTHY, number), time.time())


def stop(job: Job) -> Outcome:
    """SIGTERM so many times while images come in, studies are analysed and results leave.

    The short form has the worker alone, so that no models need to be loaded.
    """
    outcome, chance = Outcome(), random.Random(job.seed)
    acknowledged: dict[str, str] = {}
    took: list[float] = []
    with listening(Pacs(delay_s=0.1)) as pacs:
        kind = Plain if job.short else Whole
        life: Life = kind(job.folder / "node", {"pacs": pacs.port}, {"settle": {"mr_quiet_s": 0.2}})
        try:
            for number in range(job.count):
                child, before = life.start(), len(pacs.came)
                with _load(life, job, number) as senders:
                    until(lambda n=before: len(pacs.came) > n, 120, "no result leaves")
                    time.sleep(chance.uniform(0, 1))
                    took.append(_terminated(life))
                acknowledged |= senders.acknowledged if senders else {}
                outcome.count += 1
                for failure in _left_over(life, child):
                    outcome.fail(f"stop {number} (seed {job.seed}): {failure}")
            if not job.short:
                _compare_held(life, acknowledged, outcome)
            _all_answered(life, outcome)
        finally:
            life.close()
    if max(took) > STOPS_S:
        outcome.fail(f"it took {max(took):.1f} s to stop; {STOPS_S:.0f} s are allowed")
    outcome.figures |= {"longest stop": f"{max(took):.1f} s", "images acknowledged": str(len(acknowledged))}
    return outcome


def _terminated(life: Life) -> float:
    try:
        return life.node.terminate()
    except AssertionError:  # late, and killed by now
        return 2 * STOPS_S


def _left_over(life: Life, child: Child) -> Iterator[str]:
    """What an ordered end leaves nothing of."""
    if child.process.returncode != 0:
        yield f"it exits with {child.process.returncode}"
    if "Traceback" in life.node.log():
        yield "the log has a traceback"
    if halves := [*life.node.data.rglob("*.part")]:
        yield f"{len(halves)} half files are left"


def _compare_held(life: Life, acknowledged: dict[str, str], outcome: Outcome) -> None:
    lost, changed = missing(acknowledged, life.node.held())
    outcome.figures |= {"lost": str(lost), "changed": str(changed)}
    if lost or changed:
        outcome.fail(f"{lost} lost and {changed} changed of {len(acknowledged)} acknowledged")


class _Listener:
    """What Senders need to know of a node."""

    def __init__(self, life: Life):
        self.port, self.titles = life.node.port, (CALLING, Osteon.called)


@contextlib.contextmanager
def _load(life: Life, job: Job, number: int) -> Iterator[Senders | None]:
    """Studies that are answered, one after the other; to a whole node also images without end."""
    senders = Senders(_Listener(life), (job.seed, number)) if isinstance(life, Whole) else None  # type: ignore[arg-type]
    ending = threading.Event()

    def studies() -> None:
        for _ in range(_FEW) if job.short else itertools.count():
            if ending.wait(0.3):
                return
            with contextlib.suppress(AssertionError, OSError):
                life.add_study(next(_numbers))

    thread = threading.Thread(target=studies, daemon=True)
    thread.start()
    if senders is not None:
        senders.start(2)
    try:
        yield senders
    finally:
        ending.set()
        thread.join(20)
        if senders is not None:
            senders.end()


def _all_answered(life: Life, outcome: Outcome) -> None:
    life.start()

    def left() -> int:
        states = life.node.states()
        return sum(states[state] for state in ("receiving", "ready", "analysing", "sending"))

    try:
        until(lambda: not left(), 300, lambda: f"{left()} studies have no answer", 0.5)
    except AssertionError as error:
        outcome.fail(str(error))
    outcome.figures["studies"] = ", ".join(f"{count} {state}" for state, count in sorted(life.node.states().items()))


RESTART = Check(
    "restart-with-waiting-studies",
    "started with a thousand studies waiting, the PACS sees one association at a time, and everything once",
    start_again,
    full_count=1000,
    short_count=20,
    peers=("osteon",),
)
STOP = Check(
    "stop-during-load",
    "SIGTERM under load ends the node within 20 s with exit code 0; no half file, nothing lost, every study answered",
    stop,
    full_count=20,
    short_count=1,
    peers=("osteon",),
)
