"""The short form of a PACS that misbehaves, alone and beside others."""

from tests.faults.misbehaving import MISBEHAVING, WAYS
from tests.faults.side_by_side import SIDE_BY_SIDE
from tests.faults.suite import run_check


def test_each_way_to_misbehave_has_the_end_that_was_written_down_before() -> None:
    outcome = run_check(MISBEHAVING, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == len(WAYS) + 1


def test_a_peer_that_hangs_crawls_or_is_away_delays_no_other() -> None:
    outcome = run_check(SIDE_BY_SIDE, "osteon", short=True)
    assert not outcome.failures
