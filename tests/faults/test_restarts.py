"""The short forms of starting again with much to do, and of stopping in the middle of it."""

from tests.faults.restarts import RESTART, STOP
from tests.faults.suite import run_check


def test_a_start_with_many_studies_waiting_is_no_stampede_on_the_pacs() -> None:
    outcome = run_check(RESTART, "osteon", short=True)
    assert not outcome.failures
    assert outcome.figures["associations at once"] == "1"


def test_sigterm_under_load_ends_the_node_soon_and_leaves_nothing_half_done() -> None:
    outcome = run_check(STOP, "osteon", short=True)
    assert not outcome.failures
    assert "delivered" in outcome.figures["studies"]
