"""When to try again, and when to give up. Pure: the caller brings the time and the chance."""

import math
from dataclasses import dataclass
from typing import Self

from node.config import SendSection

JITTER_SHARE = 0.2
"""How far chance moves a delay up or down, so that many deliveries to one peer do not come back together.

Never above the longest delay: a peer that is back has everything within that time."""
_MAX_DOUBLINGS = 40


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The back-off: 10 s, 20 s, 40 s ... 15 min, and after 72 h a person must look."""

    first_s: float = 10.0
    max_s: float = 900.0
    give_up_after_s: float = 72 * 3600.0

    @classmethod
    def of(cls, section: SendSection) -> Self:
        """The rules of the section [send]."""
        return cls(section.first_retry_s, section.max_retry_s, section.give_up_after_s)


def next_attempt(
    attempts: int, first_try: float, now: float, jitter: float, rules: RetryRules | None = None
) -> float | None:
    """When the next attempt is due, unix seconds; None when it makes no more sense (park it).

    Parameters
    ----------
    attempts
        Made so far, at least 1.
    first_try
        When the first one was made. A clock that was set back since counts as no time passed.
    now
        The present.
    jitter
        By chance, from 0 up to 1.
    rules
        Delays and patience. The last attempt falls on the moment when patience ends.
    """
    rules = rules or RetryRules()
    end = first_try + rules.give_up_after_s
    if now >= end:
        return None
    delay_s = min(rules.first_s * 2.0 ** min(max(attempts - 1, 0), _MAX_DOUBLINGS), rules.max_s)
    chance = min(max(jitter, 0.0), 1.0) if math.isfinite(jitter) else 0.5
    shortest, longest = delay_s * (1.0 - JITTER_SHARE), min(delay_s * (1.0 + JITTER_SHARE), rules.max_s)
    due = now + shortest + chance * (longest - shortest)
    return min(due, end) if now >= first_try else due
