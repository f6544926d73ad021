"""The short form of power cuts and full disks; skipped, with the reason, where nothing can be mounted."""

import pytest

from tests.faults.checks import CannotRun, Check, Outcome
from tests.faults.power import FULL, POWER
from tests.faults.suite import run_check


def outcome_of(check: Check, seed: int = 7) -> Outcome:
    try:
        return run_check(check, "osteon", short=True, seed=seed)
    except CannotRun as reason:
        pytest.skip(f"no disk of our own can be mounted here: {reason}")


def test_what_was_acknowledged_survives_a_power_cut() -> None:
    outcome = outcome_of(POWER)
    assert not outcome.failures
    assert int(outcome.figures["acknowledged"]) > 0


@pytest.mark.parametrize("seed", [pytest.param(7, id="no reserve"), pytest.param(8, id="a reserve")])
def test_a_full_disk_refuses_for_now_loses_nothing_and_comes_back(seed: int) -> None:
    outcome = outcome_of(FULL, seed)
    assert not outcome.failures
    assert int(outcome.figures["acknowledged"]) > 0
