"""Somebody holds the database while images come in: they are taken or refused for now, and none is lost."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.senders import Senders, missing
from tests.faults.targets import Osteon, running

_HELD_S, _SHORT_HELD_S = 60.0, 5.5  # longer than a write waits for a lock
_SENDERS = 2
_ROWS_S = 30.0


@contextlib.contextmanager
def lock_of(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a copying program or a person at a prompt would."""
    with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            conn.execute("ROLLBACK")


def run(job: Job) -> Outcome:
    """Lock it once under way, and once more over a restart; in between everything must be as it should."""
    outcome = Outcome(count=2)
    held_s = _SHORT_HELD_S if job.short else _HELD_S
    with running(Osteon(job.folder / "target")) as target:
        database = target.node.data / "osteon.sqlite"
        senders = Senders(target, (job.seed, "locked"))
        senders.start(1 if job.short else _SENDERS)
        until(lambda: senders.acknowledged, 30, "nothing is taken before the lock")
        with lock_of(database):
            _hold(target, held_s, outcome, "under way")
            kept_on = len(senders.acknowledged)
        until(lambda: len(senders.acknowledged) > kept_on, _ROWS_S, "nothing is taken after the lock")
        with lock_of(database):
            target.kill()
            target.start()
            _hold(target, held_s, outcome, "over a restart")
        senders.end()
        wanted = set(senders.acknowledged)
        try:
            until(lambda: wanted <= _with_rows(database), _ROWS_S, "not every object has its row")
        except AssertionError as error:
            outcome.fail(str(error))
        lost, changed = missing(senders.acknowledged, target.held())
        tracebacks = target.log().count("Traceback")
    wrong = {f"0x{status:04X}" for status in senders.refused if status >> 8 != 0xA7}
    if wrong or lost or changed or tracebacks:
        outcome.fail(f"answers {sorted(wrong)}, {lost} lost, {changed} changed, {tracebacks} tracebacks in the log")
    outcome.figures = {
        "held": f"2 × {held_s:.0f} s",
        "acknowledged": str(len(senders.acknowledged)),
        "refused for now": str(len(senders.refused)),
        "lost": str(lost),
        "changed": str(changed),
        "tracebacks": str(tracebacks),
    }
    return outcome


def _hold(target: Osteon, seconds: float, outcome: Outcome, when: str) -> None:
    """Look for so long whether it lives and answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not target.is_alive():
            outcome.fail(f"it ended while the database was locked, {when}")
            return
        if target.echo_s() is None:
            outcome.fail(f"no C-ECHO was answered while the database was locked, {when}")
        time.sleep(0.5)


def _with_rows(database: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as conn:
        return {uid for (uid,) in conn.execute("SELECT sop_instance_uid FROM instances")}


CHECK = Check(
    "database-locked",
    "while somebody holds the database images are taken or refused with 0xA7xx, a restart included; none is lost",
    run,
    full_count=2,
    short_count=2,
    peers=("osteon",),
)
