"""When to try again, and when to give up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.retry import RetryRules, next_attempt

NOW = 1_800_000_000.0
MIDDLE = 0.5  # chance that moves nothing


@pytest.mark.parametrize(
    ("attempts", "delay_s"),
    [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 640), (8, 810), (9, 810), (1000, 810)],
)
def test_the_delay_doubles_up_to_a_quarter_of_an_hour(attempts, delay_s):
    assert next_attempt(attempts, NOW, NOW, MIDDLE) == pytest.approx(NOW + delay_s)


@pytest.mark.checklist(57)
def test_after_three_days_a_person_must_look():
    first_try = NOW - 72 * 3600
    assert next_attempt(300, first_try, NOW, MIDDLE) is None
    assert next_attempt(300, first_try + 60, NOW, MIDDLE) == NOW + 60  # the last attempt is at the end of patience
    assert next_attempt(300, first_try + 7200, NOW, MIDDLE) == NOW + 810


def test_chance_moves_the_delay_by_a_fifth_at_most():
    assert next_attempt(1, NOW, NOW, 0.0) == pytest.approx(NOW + 8)
    assert next_attempt(1, NOW, NOW, 1.0) == pytest.approx(NOW + 12)


def test_chance_makes_no_delay_longer_than_the_longest():
    """A peer that comes back has to have everything within a quarter of an hour."""
    assert next_attempt(8, NOW, NOW, 0.0) == pytest.approx(NOW + 720)
    assert next_attempt(8, NOW, NOW, 1.0) == pytest.approx(NOW + 900)


@pytest.mark.parametrize("jitter", [-5.0, 7.0, math.nan, math.inf])
def test_nonsense_for_chance_is_harmless(jitter):
    assert NOW + 8 <= next_attempt(1, NOW, NOW, jitter) <= NOW + 12


def test_a_clock_set_back_counts_as_no_time_passed():
    assert next_attempt(3, NOW + 365 * 86400, NOW, MIDDLE) == NOW + 40


def test_the_rules_of_the_configuration_are_followed():
    rules = RetryRules(1.0, 4.0, 10.0)
    assert [next_attempt(n, NOW, NOW, MIDDLE, rules) - NOW for n in (1, 2, 3, 4)] == pytest.approx([1, 2, 3.6, 3.6])
    assert next_attempt(4, NOW - 10, NOW, MIDDLE, rules) is None


@given(st.integers(-5, 10**9), st.floats(0, 1e6), st.floats(0, 1))
def test_the_next_attempt_is_later_and_within_patience(attempts, age_s, jitter):
    due = next_attempt(attempts, NOW - age_s, NOW, jitter)
    if due is None:
        assert age_s >= 72 * 3600 - 1e-3
    else:
        assert NOW < due <= min(NOW + 900, NOW - age_s + 72 * 3600)


def test_following_it_ends():
    now, attempts = NOW, 1
    while (due := next_attempt(attempts, NOW, now, MIDDLE)) is not None:
        now, attempts = due, attempts + 1
    assert now == NOW + 72 * 3600
    assert attempts == 327
