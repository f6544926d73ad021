"""Every check of the suite by its name, and running one."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.faults import (
    away,
    clock_jumps,
    crowds,
    fuzz,
    hostile_files,
    hostile_pdus,
    kill_sending,
    kills,
    locked,
    misbehaving,
    planted,
    poison,
    power,
    restarts,
    side_by_side,
    starved,
    traffic,
)
from tests.faults.checks import CannotRun, Check, Job, Outcome

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        hostile_files.CHECK,
        hostile_pdus.CHECK,
        crowds.CHECK,
        starved.CHECK,
        locked.CHECK,
        traffic.CHECK,
        fuzz.DATA_SETS,
        fuzz.PDUS,
        kills.KILL,
        kills.PARTS,
        kill_sending.KILL_SENDING,
        misbehaving.MISBEHAVING,
        side_by_side.SIDE_BY_SIDE,
        away.AWAY,
        poison.POISON,
        clock_jumps.CLOCK_JUMPS,
        restarts.RESTART,
        restarts.STOP,
        planted.CHECK,
        power.POWER,
        power.FULL,
    )
}


def run_check(check: Check, against: str, *, count: int | None = None, seed: int = 7, short: bool = False) -> Outcome:
    """Run a check once in an empty folder. Raises CannotRun when this machine lacks what it needs."""
    if against not in check.peers:
        raise CannotRun(f"{check.name} cannot be run against {against}: it asks for {', '.join(check.peers)}.")
    if count is None:
        count = check.short_count if short else check.full_count
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="osteon-faults-") as folder:
        outcome = check.run(Job(against, count, seed, Path(folder), short))
    return replace(outcome, figures=outcome.figures | {"time": f"{time.monotonic() - begin:.0f} s"})
