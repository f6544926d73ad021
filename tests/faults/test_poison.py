"""The short form of poison studies."""

from tests.faults.poison import POISON
from tests.faults.suite import run_check


def test_poison_studies_are_set_apart_and_the_others_are_delivered() -> None:
    outcome = run_check(POISON, "osteon", short=True)
    assert not outcome.failures
    assert outcome.figures["in quarantine"] == "4 of 4"
