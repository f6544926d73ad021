"""The short form of kill -9 while images come in."""

from tests.faults.kills import KILL, PARTS
from tests.faults.suite import run_check


def test_what_was_acknowledged_survives_kill_9() -> None:
    outcome = run_check(KILL, "osteon", short=True)
    assert not outcome.failures
    assert int(outcome.figures["acknowledged"]) > 0


def test_a_killed_listener_and_a_killed_worker_come_back_by_themselves() -> None:
    outcome = run_check(PARTS, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == PARTS.short_count
