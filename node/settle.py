"""Which studies have stopped arriving. Pure: evidence, the time and the rules in; settled, or when to look again, out.

Never a promise: an image that comes later reopens its study (storage/intake.py). So to settle too early costs a second
run, to settle too late costs a radiologist's time, and to wait for ever loses the study.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

XRAY_MODALITIES = frozenset({"CR", "DX", "RG"})
CLOCK_TOLERANCE_S = 5.0
"""By how much the clock of evidence may differ from ours before one of them has been set."""


class Evidence(Protocol):
    """What is known of a study that still receives; storage.studies.Arrival has it. Times are unix seconds."""

    @property
    def modalities(self) -> Collection[str]:
        """Of its images."""

    @property
    def image_count(self) -> int:
        """Images held, without our own results."""

    @property
    def first_arrival(self) -> float:
        """Of the first image; after a reopening, of the late image that did it."""

    @property
    def last_arrival(self) -> float:
        """Of the newest image."""

    @property
    def open_associations(self) -> int:
        """Associations that brought images of it and are still open."""

    @property
    def released_at(self) -> float | None:
        """When the last of its associations that has ended did so."""


@dataclass(frozen=True, slots=True)
class SettleRules:
    """How long silence must last, in seconds. Orthanc holds an association open for 5 s after its job."""

    xray_quiet_s: float = 0.3
    """After the associations were released."""
    xray_quiet_open_s: float = 1.5
    """While one is still open."""
    mr_quiet_s: float = 3.0
    mr_quiet_open_s: float = 10.0
    answer_s: float = 1.0
    """How long the PACS's answer to how many images it has is waited for, counted from the newest image."""
    patience_s: float = 60.0
    """For images that the sending PACS says it has and we do not, counted from the newest image."""
    cap_s: float = 1800.0
    """The longest a study may receive, from its first image on; then it runs on what is there."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The study is complete as far as anybody can tell."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The study may still be arriving."""

    until: float
    """When to look again if nothing happens before; always later than the `now` that was asked with."""
    reason: str


def settled(
    evidence: Evidence,
    now: float,
    rules: SettleRules,
    pacs_count: int | None = None,
    unchanged_s: float | None = None,
    *,
    is_asking: bool = False,
) -> Settled | Wait:
    """Decide for one study.

    Parameters
    ----------
    evidence
        What has arrived.
    now
        Unix seconds.
    rules
        Quiet times, patience and cap.
    pacs_count
        How many images the sending PACS says the study has (C-FIND); None when it is not known.
    unchanged_s
        For how long the caller has seen this very evidence, by a clock that nobody sets. Where it is given, a wall
        clock that jumps can neither settle a study early nor hold it up.
    is_asking
        The PACS has been asked and has not answered yet.
    """
    silent_s, trusts_clock = _silence(evidence, now, unchanged_s)
    if silent_s is None:
        return _by_release(evidence, now, rules)
    receiving_s = max(silent_s, now - evidence.first_arrival) if trusts_clock else silent_s
    if receiving_s >= rules.cap_s:
        return Settled(f"the cap of {rules.cap_s:g} s was reached; what is there is analysed")
    decision = _by_evidence(evidence, now, silent_s, rules, pacs_count)
    if is_asking and isinstance(decision, Settled) and silent_s < rules.answer_s:
        decision = Wait(_later(now, rules.answer_s - silent_s), "the PACS has not yet said how many images it has")
    if isinstance(decision, Wait):
        return Wait(min(decision.until, _later(now, rules.cap_s - receiving_s)), decision.reason)
    return decision


def _by_evidence(
    evidence: Evidence, now: float, silent_s: float, rules: SettleRules, pacs_count: int | None
) -> Settled | Wait:
    quiet_s, quiet_open_s = _quiet_times(evidence, rules)
    if pacs_count is not None and pacs_count > evidence.image_count:
        return _by_patience(evidence, now, silent_s, max(rules.patience_s, quiet_open_s), pacs_count)
    if pacs_count == evidence.image_count:
        return _by_count(now, silent_s, quiet_s, pacs_count)
    return _by_quiet(evidence, now, silent_s, rules)


def _silence(evidence: Evidence, now: float, unchanged_s: float | None) -> tuple[float | None, bool]:
    """Seconds since the newest image, and whether the wall clock tells them; None when it was set back and nothing else
    tells. Of a clock that is a little behind they are less than 0, so that what waits looks once, and not again and
    again until the clock has caught up."""
    silent_s = now - evidence.last_arrival
    if unchanged_s is not None:
        agrees = 0.0 <= silent_s <= unchanged_s + CLOCK_TOLERANCE_S
        return (silent_s, True) if agrees else (max(unchanged_s, 0.0), False)
    if silent_s < -CLOCK_TOLERANCE_S:
        return None, False
    return silent_s, True


def _quiet_times(evidence: Evidence, rules: SettleRules) -> tuple[float, float]:
    """Quiet after release and while open; a study with anything but radiographs waits as long as MR."""
    if evidence.modalities and set(evidence.modalities) <= XRAY_MODALITIES:
        return rules.xray_quiet_s, max(rules.xray_quiet_s, rules.xray_quiet_open_s)
    return rules.mr_quiet_s, max(rules.mr_quiet_s, rules.mr_quiet_open_s)


def _by_quiet(evidence: Evidence, now: float, silent_s: float, rules: SettleRules) -> Settled | Wait:
    quiet_s, quiet_open_s = _quiet_times(evidence, rules)
    if evidence.open_associations > 0:
        needed_s, words = quiet_open_s, "an association is still open"
    else:
        # counted from the release, but never longer than while open: a late release must not lengthen the wait
        after_s = min(max((evidence.released_at or 0.0) - evidence.last_arrival, 0.0), quiet_open_s - quiet_s)
        needed_s, words = quiet_s + after_s, "the associations were released"
    if silent_s >= needed_s:
        return Settled(f"quiet for {needed_s:.3g} s, {words}")
    return Wait(_later(now, needed_s - silent_s), f"quiet for less than {needed_s:.3g} s, {words}")


def _by_count(now: float, silent_s: float, needed_s: float, count: int) -> Settled | Wait:
    """All that the PACS has is here; it may itself be receiving image by image, so a short quiet is still asked for."""
    words = f"all {count} images that the PACS has are here"
    if silent_s >= needed_s:
        return Settled(words)
    return Wait(_later(now, needed_s - silent_s), f"{words}, quiet for less than {needed_s:.3g} s")


def _by_patience(evidence: Evidence, now: float, silent_s: float, patience_s: float, count: int) -> Settled | Wait:
    words = f"the PACS has {count} images, {evidence.image_count} are here"
    if silent_s >= patience_s:
        return Settled(f"{words}, and none came for {patience_s:g} s")
    return Wait(_later(now, patience_s - silent_s), words)


def _by_release(evidence: Evidence, now: float, rules: SettleRules) -> Settled | Wait:
    """The clock was set back, so that silence cannot be measured: the release is the only evidence."""
    if evidence.open_associations == 0:
        return Settled("the clock was set back and every association is released")
    _, quiet_open_s = _quiet_times(evidence, rules)
    return Wait(_later(now, max(quiet_open_s, 1.0)), "the clock was set back and an association is still open")


def _later(now: float, wait_s: float) -> float:
    """A moment after `now` even where a float has no room for the wait."""
    return max(now + wait_s, now + 0.001)
