"""The worker: has complete studies analysed one by one, with settling, sending and sweeps beside it in threads.

It acts on what pure functions decide and on rows (storage); the heavy work is done by the child process of analyst.py.
Every turn survives its own errors: a fault in one study, peer or model never stops the others (promise P5).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.analyst import Analyst, Limits
from node.assessing import assess_one
from node.audit.exporter import Exporter
from node.audit.lives import life
from node.audit.models import Told
from node.clocks import ClockWatch, Leases
from node.config import Config
from node.database import open_database, patiently
from node.dispatch import Dispatcher
from node.errors import AnalystDied
from node.job import Analysis, Job, Setup
from node.owner import own_name
from node.settling import Settler
from node.timers import clock_was_set, expired_leases, start_timers
from node.withdrawing import Withdrawer
from storage import peers, runs, studies
from storage.engine import Connection, Engine, begin, reading, verify
from storage.errors import Busy, Unavailable
from storage.faultpoints import FaultPoint, reached
from storage.occupied import shared
from storage.states import StudyState, state_for

log = logging.getLogger(__name__)

_LOOK_S = 0.1
"""Between two looks for studies that have settled: nothing rings when an image arrives in another process."""
_ROUND_S = 0.5
"""The same for work whose bell rings when this worker makes it: what others made (osteon retry) is found so."""
_AFTER_FAULT_S = 2.0
_POSTPONE_S = 30.0
_START_AGAIN_S = 10.0


def run(config: Config, stop: threading.Event) -> None:
    """Work until `stop` is set. Several workers may share one database; a damaged one is refused (Damaged)."""
    with shared(config.data_folder):
        engine = open_database(config)
        try:
            with reading(engine) as conn:
                verify(conn)
            with life(engine, config, "worker") as alive:
                alive.begin()
                _run(engine, config, stop)
        finally:
            engine.dispose()


def _run(engine: Engine, config: Config, stop: threading.Event) -> None:
    owner = own_name()
    analyst = Analyst(_setup(config), Limits(config.work.time_limit_s, config.work.memory_limit_mb))
    settler = Settler(engine, config)
    dispatcher = Dispatcher(engine, config, owner)
    expired_leases(
        engine, config, Leases(config.work.lease_s)
    )  # what was in hand when this machine or node was killed goes on at once
    scheduler = start_timers(engine, config)
    ready, due = threading.Event(), threading.Event()  # bells: the next in line need not wait for its look-round
    settling = Loop("settling", lambda: _rung(settler.turn(), ready), threading.Event(), _LOOK_S)
    withdrawer = Withdrawer(engine, config, analyst, stop)
    told, exporter = Told(engine), Exporter(engine, config, stop)

    def work() -> bool:
        """A study first; what people say of results, and notes about old ones, while none waits."""
        told.take(analyst.models)
        if one_study(engine, config, analyst, owner, stop) or withdrawer.turn():
            due.set()
            return True
        return assess_one(engine, analyst, stop)

    watch = ClockWatch(engine, config, lambda: clock_was_set(scheduler))

    def send() -> bool:
        """First the clock: one that was set forward must not make a result look as if it had been tried for days."""
        watch.turn()
        return dispatcher.turn()

    analysing = Loop("analysing", work, ready, _ROUND_S)
    sending = Loop("sending", send, due, _ROUND_S)
    threads = [threading.Thread(target=loop.until, args=(stop,), name=loop.name) for loop in (settling, sending)]
    for thread in threads:
        thread.start()
    exporter.start()
    try:
        _announce(analyst, stop)
        analysing.until(stop)
    finally:
        stop.set()
        scheduler.shutdown(wait=False)
        analyst.stop()
        for thread in threads:
            thread.join()
        settler.close()
        dispatcher.close()
        exporter.close()


@dataclass(frozen=True, slots=True)
class Loop:
    """A turn taken again and again: at once while it finds work, else when its bell rings or a pause is over."""

    name: str
    turn: Callable[[], bool]
    bell: threading.Event
    pause_s: float

    def until(self, stop: threading.Event) -> None:
        """Go on until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.turn()
            except Exception:  # a worker's turn: whatever went wrong, the next one is taken
                log.exception(
                    "A turn of %s failed; it goes on in %.0f s. If this repeats, run osteon check.",
                    self.name,
                    _AFTER_FAULT_S,
                )
                stop.wait(_AFTER_FAULT_S)
                continue
            if not busy and self.bell.wait(self.pause_s):
                self.bell.clear()


def _rung(found: bool, bell: threading.Event) -> bool:
    if found:
        bell.set()
    return found


def one_study(engine: Engine, config: Config, analyst: Analyst, owner: str, stop: threading.Event) -> bool:
    """Claim one complete study and bring it to its next state; False when there is none."""
    with reading(engine) as conn:
        if not runs.is_any_due(conn, time.time()):  # looking costs no write lock, claiming does
            return False
    if not _is_ready(analyst, stop):  # before the claim: a model that cannot start is no fault of a study
        return False
    with begin(engine) as conn:  # the attempt is counted and committed before the work starts
        claim = runs.claim_ready(conn, owner, config.work.lease_s, time.time())
    if claim is None:
        return False
    with reading(engine) as conn:
        job = job_for(conn, claim)
    pulse = _Pulse(engine, claim, config.work.lease_s, stop)
    started = time.monotonic()
    try:
        analysis = analyst.analyse(job, pulse)
    except AnalystDied as exc:
        _crashed(engine, config, claim, str(exc), stopping=stop.is_set())
        return True
    _record(engine, claim, job, analysis, config.work.lease_s / 2)
    log.info(
        "study %d: analysed in %.2f s, attempt %d, %s, %d result(s)",
        claim.study_id, time.monotonic() - started, claim.attempt, analysis.outcome.value, len(analysis.results),
    )  # fmt: skip
    return True


def job_for(conn: Connection, claim: runs.Claim) -> Job:
    """What the child must know of the claimed study."""
    return Job(
        study_id=claim.study_id,
        study_instance_uid=claim.study_instance_uid,
        dated_at=claim.dated_at,
        version=claim.version,
        forced=claim.forced,
        has_patient_conflict=claim.has_patient_conflict,
        instances=tuple(instance for instance in studies.instances(conn, claim.study_id) if not instance.is_own),
        last_fingerprint=runs.last_fingerprint(conn, claim.study_id),
        former_results=runs.former_results(conn, claim.study_id),
        earlier_reports=runs.earlier_reports(conn, claim.study_id),
        last_image_at=studies.last_image_at(conn, claim.study_id),
        profiles=_profiles(peers.destinations(conn, claim.calling_ae)),
    )


def _profiles(receivers: Sequence[peers.Peer]) -> tuple[str, ...]:
    """The profiles to serve, always in the same order; the default where nobody gets anything yet."""
    wanted = {peer.profile for peer in receivers} or {"default"}
    return tuple(sorted(wanted, key=list(peers.PROFILES).index))


class _Pulse:
    """Renews the lease while the child works; False tells the analyst to give up."""

    def __init__(self, engine: Engine, claim: runs.Claim, lease_s: float, stop: threading.Event) -> None:
        self._engine = engine
        self._claim = claim
        self._lease_s = lease_s
        self._stop = stop
        self._next = time.monotonic() + lease_s / 3
        self._until = time.monotonic() + lease_s

    def __call__(self) -> bool:
        if self._stop.is_set():
            return False
        if time.monotonic() < self._next:
            return True
        self._next = time.monotonic() + self._lease_s / 3
        try:
            with begin(self._engine) as conn:
                held = runs.heartbeat(conn, self._claim, self._lease_s, time.time())
        except (Busy, Unavailable) as exc:
            log.warning("study %d: its lease could not be renewed now: %s", self._claim.study_id, exc)
            return time.monotonic() < self._until
        self._until = time.monotonic() + self._lease_s
        return held


def _record(engine: Engine, claim: runs.Claim, job: Job, analysis: Analysis, patience_s: float) -> None:
    """Store what came of the run: states, results and deliveries in one transaction."""

    def change(conn: Connection) -> bool:
        if analysis.postponed:
            return runs.release(conn, claim, analysis.explanation[0], time.time(), not_before=time.time() + _POSTPONE_S)
        if analysis.unchanged:
            return runs.unchanged(conn, claim, time.time())
        receivers = peers.destinations(conn, claim.calling_ae) if analysis.results else []
        strangers = [peer for peer in receivers if peer.profile not in job.profiles]
        if strangers:
            return runs.release(conn, claim, _not_made(strangers[0]), time.time())
        is_kept = runs.finish(conn, claim, _ending(analysis, receivers), time.time())
        reached(FaultPoint.RESULTS_RECORDED)
        return is_kept

    reached(FaultPoint.RESULTS_WRITTEN)
    kept = patiently(engine, change, patience_s)
    if not kept:
        log.warning(
            "study %d: an image arrived during its analysis or the lease was lost; it will be analysed again",
            claim.study_id,
        )
    elif state_for(analysis.outcome) is StudyState.FAILED:
        log.error("study %d: %s. See osteon studies %d; osteon retry %d starts it again.",
                  claim.study_id, analysis.outcome.value, claim.study_id, claim.study_id)  # fmt: skip


def _not_made(peer: peers.Peer) -> str:
    return (
        f"Peer {peer.name} was named for these results, or given the result profile {peer.profile}, while they were "
        "made: they are made again, with what that profile asks for."
    )


def _ending(analysis: Analysis, receivers: Sequence[peers.Peer]) -> runs.Ending:
    return runs.Ending(
        outcome=analysis.outcome,
        explanation="\n".join(analysis.explanation),
        model_name=analysis.model_name,
        model_version=analysis.model_version,
        model_sha256=analysis.weights_sha256,
        provider=analysis.provider,
        answer=analysis.answer,
        probabilities=dict(analysis.probabilities),
        fingerprint=analysis.fingerprint,
        timings=dict(analysis.timings_s),
        results=analysis.results,
        destinations=tuple(peer.id for peer in receivers),
    )


def _crashed(engine: Engine, config: Config, claim: runs.Claim, reason: str, *, stopping: bool) -> None:
    """Give the study back; after too many crashes it goes to quarantine."""
    with begin(engine) as conn:
        if stopping:
            runs.release(
                conn, claim, "The node was stopped; the study is taken up again at its next start.", time.time()
            )
            return
        state = runs.crashed(conn, claim, reason, time.time(), max_crashes=int(config.work.max_crashes))
    if state is not None:
        log.error(
            "study %d: attempt %d did not end well. %s The study is now %s; osteon studies %d shows it.",
            claim.study_id, claim.attempt, reason, state.value, claim.study_id,
        )  # fmt: skip


def _setup(config: Config) -> Setup:
    return Setup(
        models_folder=str(config.models_folder),
        journal_folder=str(config.journal_folder),
        results_folder=str(config.results_folder),
        provider=config.work.provider,
        threads=int(config.work.threads),
        gpu_memory_limit_mb=int(config.work.gpu_memory_limit_mb),
        log_level=config.node.log_level,
        installation=config.node.ae_title,
        route=config.route,
        adc_series=config.results.adc_series,
        assessment_codes=(
            config.assessments.accepted_codes,
            config.assessments.modified_codes,
            config.assessments.rejected_codes,
        ),
    )


def _announce(analyst: Analyst, stop: threading.Event) -> None:
    """Load the models before the first study needs them."""
    if _is_ready(analyst, stop):
        for sentence in analyst.loaded:
            log.info("%s", sentence)


def _is_ready(analyst: Analyst, stop: threading.Event) -> bool:
    """Whether the child runs with its models loaded; started if need be. Studies wait while it cannot start."""
    try:
        analyst.warm_up(lambda: not stop.is_set())
    except AnalystDied as exc:
        if not stop.is_set():
            log.error("%s Studies wait; it is started again in %.0f s.", exc, _START_AGAIN_S)  # it says it all
            stop.wait(_START_AGAIN_S)
        return False
    return True
