"""A PACS that misbehaves in every way that was thought of, on real connections: what becomes of one study's SEG and SR.

Of each way three things are written down before it is run: what class of failure it is (tried again, stopped for a
person, or delivered all the same), how often the SEG is offered in all, and that in the end the PACS has one copy of
each object with the bytes that were stored.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

from storage.engine import begin
from storage.files import ResultStore
from storage.outbox import Delivery
from storage.results import of_study
from storage.states import DeliveryState, StudyState
from tests.commitment_scp import CommittingArchive
from tests.e2e.processes import until
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import HEALTHY, SEG, SR, study_uid
from tests.faults.pacs import (
    ABORT,
    CLOSE,
    DIE,
    HANG,
    KEEP_ABORT,
    KEEP_CLOSE,
    OK,
    REJECT,
    REJECT_FOR_NOW,
    Pacs,
    listening,
)  # fmt: skip
from tests.faults.waiting import QUICK, Waiting

_LIMIT_S = 60.0
_TIMED_OUT_S = 5.0
"""Within this a hang has to be noticed whose limit is 1 s."""


class Class(Enum):
    """What a failure of the peer means for the object."""

    RETRY = "tried again"
    STOP = "stopped for a person"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to misbehave, and what has to come of it."""

    name: str
    means: Class
    objects: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    offered: int = 1
    """How often the SEG is offered before the PACS is mended."""
    classes: tuple[str, ...] = ()
    delay_s: float = 0.0
    is_away_s: float = 0.0
    """The PACS is gone for so long after the first object."""
    status: int = 0
    """What has to be noted of the SEG when it is delivered."""


WAYS = (
    Way("rejects the association for good", Class.STOP, associations=(REJECT,), offered=0),
    Way("rejects three associations for now", Class.RETRY, associations=(REJECT_FOR_NOW,) * 3),
    Way("says nothing to the association request", Class.RETRY, associations=(HANG,)),
    Way("0xA700 five times", Class.RETRY, ("A700",) * 5, offered=6),
    Way("0xA900", Class.STOP, ("A900",)),
    Way("0xC000", Class.STOP, ("C000",)),
    Way("0x0122", Class.STOP, ("0122",)),
    Way("0xB000", Class.DELIVERED, ("B000",), status=0xB000),
    Way("0xB006", Class.DELIVERED, ("B006",), status=0xB006),
    Way("0xB007", Class.DELIVERED, ("B007",), status=0xB007),
    Way("duplicate, 0x0111", Class.DELIVERED, (KEEP_ABORT, "0111"), offered=2, status=0x0111),
    Way("aborts twice", Class.RETRY, (ABORT, ABORT), offered=3),
    Way("resets the connection twice", Class.RETRY, (CLOSE, CLOSE), offered=3),
    Way("keeps it, then aborts", Class.RETRY, (KEEP_ABORT,), offered=2),
    Way("keeps it, then resets", Class.RETRY, (KEEP_CLOSE,), offered=2),
    Way("keeps the report, then resets", Class.RETRY, (OK, KEEP_CLOSE)),
    Way("hangs without an answer", Class.RETRY, (HANG,), offered=2),
    Way("is slow", Class.DELIVERED, delay_s=5.0),
    Way("dies in mid C-STORE and is away", Class.RETRY, (DIE,), offered=2, is_away_s=1.0),
    Way("takes no Segmentation", Class.STOP, classes=(SR,), offered=0),
)


def run(job: Job) -> Outcome:
    """Every way so many times, then the peers side by side."""
    outcome = Outcome()
    counts = dict.fromkeys(Class, 0)
    stood = waiting.opened(job.folder)
    with _alarms() as alarms:
        for number, way in enumerate(WAYS * job.count):
            shorter = replace(way, delay_s=min(way.delay_s, 0.2)) if job.short else way
            outcome.count += 1
            counts[way.means] += 1
            for failure in _tried(shorter, number, stood, alarms):
                outcome.fail(f"a PACS to which this applies: {way.name}: {failure}")
    outcome.count += 1
    for failure in _not_committed(stood):
        outcome.fail(f"a PACS that does not commit to what it took: {failure}")
    stood.engine.dispose()
    outcome.figures |= {f"{kind.value}": str(count) for kind, count in counts.items()}
    return outcome


@contextmanager
def _alarms() -> Iterator[list[str]]:
    """The lines at level ERROR that the sender writes: what calls a person."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, logger = Handler(logging.ERROR), logging.getLogger("node.send")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def _tried(way: Way, number: int, stood: Waiting, alarms: list[str]) -> Iterator[str]:
    """Send one study to a PACS of that kind; what was not as it should be."""
    section = replace(QUICK, response_timeout_s=2 * way.delay_s + 1)
    stood = Waiting(stood.engine, replace(stood.config, send=section))
    name = f"pacs{number}"
    pacs = Pacs(way.objects, way.associations, classes=way.classes, delay_s=way.delay_s)
    alarms.clear()
    with listening(pacs):
        with begin(stood.engine) as conn:
            peer = waiting.add_peers(conn, {name: pacs.port})[name]
            study_id = waiting.make_due(stood, conn, study_uid(HEALTHY, number + 1), (peer.id,), time.time())
        yield from _sent(way, stood, name, study_id, pacs, alarms)
        yield from _whole(stood, study_id, pacs)


def _sent(way: Way, stood: Waiting, name: str, study_id: int, pacs: Pacs, alarms: list[str]) -> Iterator[str]:
    begun = time.monotonic()
    stood.send(name)
    if HANG in (*way.objects, *way.associations) and time.monotonic() - begun > _TIMED_OUT_S:
        yield f"the hang was noticed after {time.monotonic() - begun:.1f} s"
    if way.is_away_s:
        pacs.stop()
        stood.send(name)
        time.sleep(way.is_away_s)
        pacs.start()
    first = stood.deliveries(study_id)
    if way.means is Class.RETRY and first[-1].state is not DeliveryState.PENDING:
        yield f"the report is {first[-1].state} after the first attempt, not tried again"
    _driven(stood, name, study_id)
    offered = sum(one.sop_class == SEG for one in pacs.came)
    if offered != way.offered:
        yield f"the SEG was offered {offered} times, not {way.offered}"
    lines = stood.deliveries(study_id)
    if way.means is Class.STOP:
        yield from _stopped(stood, name, study_id, pacs, lines, alarms)
    elif stood.study(study_id).state is not StudyState.DELIVERED:
        yield f"the study is {stood.study(study_id).state}, not delivered"
    elif alarms:
        yield f"a person was called: {alarms[0]}"
    if way.status and lines[0].status != way.status:
        yield f"of the SEG {lines[0].status!r} is noted, not {way.status}"


def _stopped(
    stood: Waiting, name: str, study_id: int, pacs: Pacs, lines: list[Delivery], alarms: list[str]
) -> Iterator[str]:
    """It is parked and shown, called for once, left alone, and goes when a person says so."""
    if [line.state for line in lines] != [DeliveryState.PARKED] * 2 or not lines[0].error:
        yield f"the deliveries are {[line.state.value for line in lines]}, with the reason {lines[0].error!r}"
    if stood.study(study_id).state is not StudyState.FAILED:
        yield f"the study is {stood.study(study_id).state}, not failed"
    if len(alarms) != 1 or "osteon retry" not in alarms[0]:
        yield f"a person was called {len(alarms)} times"
    calls = len(pacs.called)
    if calls > 1 or stood.send(name) or len(pacs.called) != calls:
        yield f"the PACS was called {len(pacs.called)} times, which is more than once"
    pacs.mend()
    stood.retry(study_id)
    _driven(stood, name, study_id)


def _driven(stood: Waiting, name: str, study_id: int) -> None:
    """Send what is due until the study has an end."""

    def ended() -> bool:
        if stood.study(study_id).state is StudyState.SENDING and stood.deliveries(study_id)[0].due_at <= time.time():
            stood.send(name)
        return stood.study(study_id).state is not StudyState.SENDING

    until(ended, _LIMIT_S, "the study has no end")


def _whole(stood: Waiting, study_id: int, pacs: Pacs) -> Iterator[str]:
    """One copy of each object, with the bytes that were stored."""
    store = ResultStore(stood.config.results_folder)
    with begin(stood.engine) as conn:
        made = {file.sop_instance_uid: {file.sha256} for file in of_study(conn, study_id)}
        for file in of_study(conn, study_id):
            store.read(file.path, file.sha256)
    kept = pacs.kept()
    answered = {one.uid: {one.sha256} for one in pacs.came if one.sha256}
    if kept != made:
        yield f"the PACS keeps {len(kept)} objects in {sum(map(len, kept.values()))} forms, not the {len(made)} made"
    if not answered.keys() <= made.keys():
        yield "the PACS was offered an object that was never made"


def _not_committed(stood: Waiting) -> Iterator[str]:
    """Storage commitment says that the SEG is missing (PS3.4 J): it is sent again, the same, and then confirmed."""
    section = replace(QUICK, resend_after_s=0.1, commit_hold_s=2.0)
    stood = Waiting(stood.engine, replace(stood.config, send=section))
    archive = CommittingArchive().start()
    try:
        with begin(stood.engine) as conn:
            peer = waiting.add_peers(conn, {"archive": archive.port}, confirm="commitment")["archive"]
            study_id = waiting.make_due(stood, conn, study_uid(HEALTHY, 0), (peer.id,), time.time())
            seg = of_study(conn, study_id)[0]
        archive.failing[seg.sop_instance_uid] = 0x0112
        stood.send("archive")
        stood.ask("archive")

        def confirmed() -> bool:
            stood.send("archive")
            stood.ask("archive")
            return stood.study(study_id).state is StudyState.DELIVERED

        until(confirmed, 20, lambda: f"not confirmed: {stood.deliveries(study_id)}", every_s=0.1)
        came = [(uid, data) for _, uid, data in archive.came]
        if len(came) != 3 or len(set(came)) != 2:
            yield f"{len(came)} objects came, {len(set(came))} of them different; 3 and 2 are right"
    finally:
        archive.stop()


MISBEHAVING = Check(
    "misbehaving-pacs",
    "whatever a PACS answers, each failure is of the right class, nothing is tried without end, and the PACS ends with "
    "one copy of each object with the bytes that were stored",
    run,
    full_count=5,
    short_count=1,
    peers=("osteon",),
)
