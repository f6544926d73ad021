"""The short form of a database that somebody else holds."""

from tests.faults.locked import CHECK
from tests.faults.suite import run_check


def test_a_locked_database_costs_no_image_and_no_restart() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert not outcome.failures
    assert int(outcome.figures["acknowledged"]) > 0
