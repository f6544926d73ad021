"""The short form of kill -9 while results leave."""

from tests.faults.kill_sending import KILL_SENDING
from tests.faults.suite import run_check


def test_killed_between_two_objects_the_pacs_gets_each_result_once() -> None:
    outcome = run_check(KILL_SENDING, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == KILL_SENDING.short_count
    assert int(outcome.figures["sent again"]) > 0, "a kill after an answer that was not recorded must repeat the object"
