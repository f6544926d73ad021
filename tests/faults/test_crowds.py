"""The short form of many honest associations at once."""

from tests.faults.crowds import CHECK
from tests.faults.suite import run_check


def test_associations_that_come_all_at_once_are_all_served() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert not outcome.failures
    assert outcome.figures["acknowledged"] == "100 of 100"
