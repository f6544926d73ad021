"""Which studies have stopped arriving: by silence, by the PACS's count, by the cap; with a clock that jumps."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.settle import CLOCK_TOLERANCE_S, Settled, SettleRules, Wait, settled

RULES = SettleRules()
NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Evidence:
    """As storage.studies.Arrival has it."""

    modalities: tuple[str, ...] = ("DX",)
    image_count: int = 2
    first_arrival: float = NOW - 10
    last_arrival: float = NOW - 1
    open_associations: int = 0
    released_at: float | None = None


def arrived(seconds_ago, **more):
    """Evidence whose newest image came some seconds before NOW and whose first one shortly before that."""
    return Evidence(**({"last_arrival": NOW - seconds_ago, "first_arrival": NOW - seconds_ago - 1} | more))


QUIET = [
    (("DX",), 0, 0.1, False), (("DX",), 0, 0.31, True), (("CR",), 0, 0.31, True), (("CR", "DX"), 0, 0.31, True),
    (("DX",), 1, 0.31, False), (("DX",), 1, 1.4, False), (("DX",), 1, 1.51, True), (("DX",), 5, 1.51, True),
    (("MR",), 0, 2.9, False), (("MR",), 0, 3.01, True), (("MR",), 1, 3.01, False), (("MR",), 1, 10.01, True),
    (("DX", "MR"), 0, 1.0, False), (("DX", "MR"), 0, 3.01, True), (("US",), 0, 1.0, False), ((), 0, 1.0, False),
    ((), 0, 3.01, True),
]  # fmt: skip


@pytest.mark.checklist(52)
@pytest.mark.parametrize(("modalities", "is_open", "silent_s", "expected"), QUIET)
def test_a_study_settles_when_it_has_been_quiet_long_enough(modalities, is_open, silent_s, expected):
    evidence = arrived(silent_s, modalities=modalities, open_associations=is_open)
    assert isinstance(settled(evidence, NOW, RULES), Settled) is expected


@pytest.mark.checklist(47)
def test_quiet_is_counted_from_the_release():
    evidence = arrived(0.5, released_at=NOW - 0.1)
    assert isinstance(settled(evidence, NOW, RULES), Wait)
    assert isinstance(settled(evidence, NOW + 0.25, RULES), Settled)


def test_a_late_release_does_not_lengthen_the_wait():
    """Orthanc releases 5 s after its job; by then the study has long been settled by silence."""
    evidence = arrived(5.0, released_at=NOW)
    assert isinstance(settled(evidence, NOW, RULES), Settled)


def test_a_knee_radiograph_starts_within_two_seconds_whatever_orthanc_keeps_open():
    evidence = arrived(0.0, open_associations=1)
    decision = settled(evidence, NOW, RULES)
    assert isinstance(decision, Wait)
    assert decision.until - NOW < 2.0
    assert isinstance(settled(evidence, decision.until, RULES), Settled)


@pytest.mark.checklist(52)
def test_what_the_pacs_has_still_needs_the_short_quiet():
    """A PACS that forwards image by image has, at any moment, just as many as we; also between two associations."""
    released = arrived(0.1)
    decision = settled(released, NOW, RULES, pacs_count=2)
    assert decision == Wait(NOW + 0.2, "all 2 images that the PACS has are here, quiet for less than 0.3 s")
    assert settled(released, NOW + 0.21, RULES, pacs_count=2) == Settled("all 2 images that the PACS has are here")
    open_mr = arrived(1.0, modalities=("MR",), open_associations=1)
    assert isinstance(settled(open_mr, NOW, RULES, pacs_count=2), Wait)
    assert isinstance(settled(open_mr, NOW + 2.01, RULES, pacs_count=2), Settled)


@pytest.mark.checklist(52)
def test_what_is_missing_is_waited_for_with_patience():
    evidence = arrived(20.0)
    decision = settled(evidence, NOW, RULES, pacs_count=3)
    assert decision == Wait(NOW + 40.0, "the PACS has 3 images, 2 are here")
    after = settled(evidence, NOW + 40.0, RULES, pacs_count=3)
    assert after == Settled("the PACS has 3 images, 2 are here, and none came for 60 s")


def test_a_pacs_that_has_fewer_tells_nothing():
    assert isinstance(settled(arrived(0.4), NOW, RULES, pacs_count=1), Settled)
    assert isinstance(settled(arrived(0.1), NOW, RULES, pacs_count=1), Wait)


def test_an_answer_under_way_is_waited_for_a_second_and_no_longer():
    evidence = arrived(0.4)
    assert settled(evidence, NOW, RULES, is_asking=True) == Wait(
        NOW + 0.6, "the PACS has not yet said how many images it has"
    )
    assert isinstance(settled(evidence, NOW + 0.61, RULES, is_asking=True), Settled)
    assert isinstance(settled(evidence, NOW, RULES, is_asking=False), Settled)


@pytest.mark.checklist(52)
def test_the_cap_ends_every_wait():
    dripping = Evidence(first_arrival=NOW - 1801, last_arrival=NOW - 0.1, open_associations=1)
    assert isinstance(settled(dripping, NOW, RULES), Settled)
    patient = arrived(1801, open_associations=3)
    assert isinstance(settled(patient, NOW, SettleRules(patience_s=86400), pacs_count=99), Settled)


# a clock that is set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [60, 3600, 365 * 86400])
def test_a_clock_set_back_neither_settles_early_nor_for_ever_waits(jump_s):
    now = NOW - jump_s
    still_open = arrived(0.0, open_associations=1)
    decision = settled(still_open, now, RULES)
    assert isinstance(decision, Wait)
    assert now < decision.until <= now + 1.5
    assert isinstance(settled(arrived(0.0), now, RULES), Settled)


@pytest.mark.parametrize("jump_s", [-365 * 86400, -3600, 3600, 365 * 86400])
def test_with_a_steady_clock_beside_it_a_jump_changes_nothing(jump_s):
    for modalities, is_open, needed in ((("DX",), 0, 0.3), (("DX",), 1, 1.5), (("MR",), 0, 3.0), (("MR",), 1, 10.0)):
        evidence = arrived(0.0, modalities=modalities, open_associations=is_open)
        early = settled(evidence, NOW + jump_s, RULES, unchanged_s=needed - 0.1)
        late = settled(evidence, NOW + jump_s, RULES, unchanged_s=needed + 0.01)
        assert isinstance(early, Wait)
        assert isinstance(late, Settled)


def test_a_small_difference_of_clocks_is_no_jump():
    assert isinstance(settled(arrived(-2.0), NOW, RULES), Wait)
    assert isinstance(settled(arrived(0.31), NOW, RULES, unchanged_s=0.2), Settled)


def test_a_clock_a_little_behind_is_waited_for_once_and_not_looked_at_again_and_again():
    """A quiet time of 8 ms, and a clock that is a second behind: one look when both are over."""
    brief = SettleRules(xray_quiet_s=0.008, xray_quiet_open_s=0.0)
    decision = settled(arrived(0.0), NOW - 1.0, brief)
    assert isinstance(decision, Wait)
    assert decision.until == pytest.approx(NOW + 0.008, abs=0.002)
    assert isinstance(settled(arrived(0.0), decision.until + 0.001, brief), Settled)


# properties -----------------------------------------------------------------------------------------------------------

seconds = st.floats(0, 4000, allow_nan=False)
rules = st.builds(
    SettleRules, xray_quiet_s=st.floats(0, 5), xray_quiet_open_s=st.floats(0, 60), mr_quiet_s=st.floats(0, 60),
    mr_quiet_open_s=st.floats(0, 600), patience_s=st.floats(0, 3600), cap_s=st.floats(1, 7200),
)  # fmt: skip
evidences = st.builds(
    lambda modalities, count, span, silent, is_open, released: Evidence(
        modalities, count, NOW - silent - span, NOW - silent, is_open,
        None if released is None else NOW - released,
    ),
    st.sampled_from([("DX",), ("CR",), ("MR",), ("DX", "MR"), ("OT",), ()]),
    st.integers(1, 5000), seconds, seconds, st.integers(0, 3), st.none() | st.floats(-10, 4000),
)  # fmt: skip
counts = st.none() | st.integers(0, 6000)


@settings(max_examples=400, deadline=None)
@given(evidences, rules, counts, st.none() | seconds, st.floats(-1e8, 1e8))
def test_a_study_never_waits_for_ever(evidence, rules, count, unchanged, jump_s):
    """Once images have stopped, following `until` ends: within the cap, and where the clock was set back and no steady
    one is given, when the last association ends (the listener ends a silent one after a minute)."""
    longest_s = max(rules.xray_quiet_open_s, rules.mr_quiet_open_s, rules.mr_quiet_s)
    start = now = NOW + jump_s
    for _ in range(100):
        if now - start > 60 and unchanged is None:
            evidence = replace(evidence, open_associations=0)
        steady = None if unchanged is None else unchanged + (now - start)
        decision = settled(evidence, now, rules, count, steady)
        if isinstance(decision, Settled):
            assert now - start <= max(rules.cap_s, 60 + longest_s) + CLOCK_TOLERANCE_S + 1
            return
        assert decision.until > now
        now = decision.until
    pytest.fail("100 looks and still waiting")


@settings(max_examples=400, deadline=None)
@given(evidences, rules, counts)
def test_a_study_never_settles_before_it_is_quiet(evidence, rules, count):
    is_xray = bool(evidence.modalities) and set(evidence.modalities) <= {"CR", "DX"}
    quiet_s = rules.xray_quiet_s if is_xray else rules.mr_quiet_s
    silent_s = NOW - evidence.last_arrival
    over_cap = NOW - evidence.first_arrival >= rules.cap_s
    if isinstance(settled(evidence, NOW, rules, count), Settled) and not over_cap:
        assert silent_s >= quiet_s


@settings(max_examples=200, deadline=None)
@given(evidences, rules, counts)
def test_waiting_longer_never_unsettles(evidence, rules, count):
    if isinstance(settled(evidence, NOW, rules, count), Settled):
        assert isinstance(settled(evidence, NOW + 5, rules, count), Settled)
