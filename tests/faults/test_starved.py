"""The short form of a flood upon a receiver that may open 64 files."""

from tests.faults.starved import CHECK
from tests.faults.suite import run_check


def test_with_few_files_a_flood_is_refused_politely_and_survived() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert not outcome.failures
    assert int(outcome.figures["acknowledged afterwards"]) >= 20
