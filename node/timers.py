"""Sweeps by APScheduler: what must happen again and again, and is not the queue.

Each sweep is safe when run by several workers at once and when run twice.
"""

import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from node import certificates
from node.audit.lives import note, tell_head
from node.audit.watch import Disk
from node.clocks import Distrust, Leases
from node.config import Config
from node.owner import is_dead
from storage import confirmations, parcels, retention, runs
from storage.engine import Engine, begin
from storage.errors import InUse
from storage.files import ResultStore, free_bytes
from storage.occupied import deleting
from storage.retention import Store

log = logging.getLogger(__name__)

_LEASE_SWEEP_S = 5
_ORPHAN_SWEEP_S = 3600
_ORPHAN_AGE_S = 86400.0
_DISK_SWEEP_S = 60
_DATES_SWEEP_S = 86400
_RETENTION_SWEEP_S = 3600
_ANCHOR_SWEEP_S = 3600
_MB = 1024 * 1024

Sweep = Callable[[Engine, Config], None]


def start_timers(engine: Engine, config: Config) -> BackgroundScheduler:
    """Start all sweeps; the caller shuts the scheduler down."""
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    sweeps: tuple[tuple[Sweep, int], ...] = (
        (functools.partial(expired_leases, leases=Leases(config.work.lease_s)), _LEASE_SWEEP_S),
        (trusting(orphaned_results), _ORPHAN_SWEEP_S),
        (functools.partial(disk_space, disk=Disk(int(config.listen.reserve_mb) * _MB)), _DISK_SWEEP_S),
        (end_of_the_audit_trail, _ANCHOR_SWEEP_S),
        (certificate_dates, _DATES_SWEEP_S),
        (trusting(old_studies), _RETENTION_SWEEP_S),
    )
    for sweep, seconds in sweeps:
        scheduler.add_job(_guarded, "interval", (sweep, engine, config), seconds=seconds, id=_name(sweep))
    scheduler.start()
    return scheduler


def clock_was_set(scheduler: BackgroundScheduler) -> None:
    """Take every turn at once: the scheduler counts by the wall clock, and would wait for an hour that was set back."""
    for job in scheduler.get_jobs():
        job.modify(next_run_time=datetime.now(UTC))


def _guarded(sweep: Sweep, engine: Engine, config: Config) -> None:
    try:
        sweep(engine, config)
    except Exception:  # a timer's turn: the next one is taken whatever happened
        log.exception("The sweep %s failed and is tried again at its next turn", _name(sweep))


def trusting(sweep: Sweep) -> Sweep:
    """The sweep, but for a day after the clock was set: a clock that is a year ahead makes everything old."""
    distrust = Distrust()

    @functools.wraps(sweep)
    def guarded(engine: Engine, config: Config) -> None:
        if distrust.holds():
            log.warning("The clock was set less than a day ago; %s deletes nothing until then", sweep.__name__)
        else:
            sweep(engine, config)

    return guarded


def _name(sweep: Sweep) -> str:
    return sweep.func.__name__ if isinstance(sweep, functools.partial) else sweep.__name__


def expired_leases(engine: Engine, config: Config, leases: Leases) -> None:
    """Give back what workers that died had in hand: studies, parcels of results, and what peers were being asked.

    A worker of another machine counts as dead when its lease was not renewed for its length, by the monotonic clock.
    """
    now = time.time()
    with begin(engine) as conn:
        parcels.free_dead(conn, is_dead, now)
        confirmations.free_dead(conn, is_dead, now)
        leases.forget(but=runs.in_hand(conn))
        lost = runs.expire_leases(
            conn, now, max_crashes=int(config.work.max_crashes), is_dead=is_dead, has_run_out=leases.has_run_out
        )
    for study_id, state in lost:
        log.warning("study %d: its worker died or went silent; the study is now %s", study_id, state.value)


def orphaned_results(engine: Engine, config: Config) -> None:
    """Remove result files that a crash left before their rows were written."""
    with begin(engine) as conn:
        removed = ResultStore(config.results_folder).sweep(conn, time.time() - _ORPHAN_AGE_S)
    if removed:
        log.info("Removed %d result file(s) that no run refers to", len(removed))


def end_of_the_audit_trail(engine: Engine, _config: Config) -> None:
    """Write it into the log, which lies elsewhere."""
    tell_head(engine)


def disk_space(engine: Engine, config: Config, disk: Disk) -> None:
    """Tell the admin before the listener has to refuse images."""
    free = free_bytes(config.data_folder)
    entry = disk.look(free)
    if entry is not None:
        note(engine, entry)
    reserve = int(config.listen.reserve_mb) * _MB
    if free < 2 * reserve:
        log.error(
            "The disk of the data folder has %d MB free; below %d MB images are refused (0xA700) until there is room. "
            "Make room, or lower listen.reserve_mb.", free // _MB, reserve // _MB,
        )  # fmt: skip


def certificate_dates(_engine: Engine, config: Config) -> None:
    """Tell the admin before a certificate ends, each day."""
    certificates.warn(config, time.time())


def old_studies(engine: Engine, config: Config) -> None:
    """Delete what has been kept for as long as the configuration says."""
    if not config.retention.days:
        return
    now = time.time()
    try:
        with deleting(config.data_folder):
            store = Store(config.journal_folder, config.results_folder)
            gone = retention.forget_old(engine, store, now - config.retention.days * 86400.0, now)
    except InUse as exc:
        log.info("Old studies are deleted later: %s", exc)
        return
    if gone:
        log.info("Deleted %d studies that ended more than %g days ago; osteon forgotten lists them",
                 len(gone), config.retention.days)  # fmt: skip
