"""What an answered status means for an object that we sent."""

import pytest

from node.statuses import Verdict, explain_status, is_pending, is_warning, verdict


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0x0001, 0x0107, 0x0116])
def test_success_warnings_and_duplicates_count_as_delivered(status: int) -> None:
    assert verdict(status) is Verdict.DELIVERED


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213, 0xFE00])
def test_a_peer_short_of_resources_is_tried_again(status: int) -> None:
    assert verdict(status) is Verdict.RETRY


@pytest.mark.parametrize("status", [0xA900, 0xA9FE, 0xC000, 0xC211, 0xCFFF, 0x0122, 0x0124, 0x0117, 0x4242])
def test_a_refusal_that_will_not_change_by_itself_stops(status: int) -> None:
    assert verdict(status) is Verdict.STOP


def test_only_ff00_and_ff01_are_pending() -> None:
    assert [s for s in range(0x10000) if is_pending(s)] == [0xFF00, 0xFF01]


def test_every_status_is_explained_with_its_number() -> None:
    for status in range(0x10000):
        words = explain_status(status)
        assert words.startswith(f"0x{status:04X} (")
        assert words.endswith(")")


def test_a_warning_is_never_a_failure() -> None:
    assert all(verdict(s) is Verdict.DELIVERED for s in range(0x10000) if is_warning(s))
