"""The short form of clocks that jump."""

from tests.faults.clock_jumps import CLOCK_JUMPS
from tests.faults.suite import run_check


def test_a_clock_that_jumps_by_a_year_settles_nothing_early_and_delays_nothing_for_good() -> None:
    outcome = run_check(CLOCK_JUMPS, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == CLOCK_JUMPS.short_count
