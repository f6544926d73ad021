"""The short form of a PACS that is away."""

from tests.faults.away import AWAY
from tests.faults.suite import run_check


def test_a_pacs_that_was_away_gets_everything_soon_and_one_that_stays_away_is_shown() -> None:
    outcome = run_check(AWAY, "osteon", short=True)
    assert not outcome.failures
    assert int(outcome.figures["attempts while it was away"]) > 0
