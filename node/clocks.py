"""What a wall clock that is set while the node runs, or stood wrong before, must not do to studies and results.

Due times, patience and leases are stored as wall-clock time, because they outlive every process. Here they are held
against the monotonic clock, which nobody sets.
"""

import logging
import socket
import time
from collections.abc import Callable

from node.config import Config
from node.send import LEASE_S
from storage import audit, clocks, events
from storage.audit import Action, By, Entry, Indicator
from storage.engine import Engine, begin

log = logging.getLogger(__name__)

JUMP_S = 5.0
"""A clock that is off by less is a clock; time servers move it by less than that at once."""
_DISTRUST_S = 86400.0
EVENT = "clock_set"


class ClockWatch:
    """Notices that the wall clock was set, and puts right what depends on it; a turn of a worker's loop."""

    def __init__(self, engine: Engine, config: Config, on_jump: Callable[[], None]) -> None:
        self._engine = engine
        self._longest = longest_waits(config)
        self._on_jump = on_jump
        self._offset = _offset()
        self._is_first = True

    def turn(self) -> bool:
        """Look once. What lies further in the future than anything is ever put off is due now."""
        jump_s, self._offset = _offset() - self._offset, _offset()
        jumped = abs(jump_s) > JUMP_S
        if not jumped and not self._is_first:
            return False
        self._is_first = False
        now = time.time()
        with begin(self._engine) as conn:
            if jumped:
                told = {"seconds": round(jump_s, 1)}
                by = By("osteon", socket.gethostname())
                audit.add(conn, Entry(Action.CLOCK_JUMPED, Indicator.MINOR, by, details=told), now)
                events.add(conn, None, EVENT, f"The clock was set by {jump_s:+.0f} s while the node ran.", now)
                clocks.add_patience(conn, max(jump_s, 0.0))
            count = clocks.bring_back(conn, now, self._longest)
        if jumped:
            log.warning("The clock was set by %+.0f s. Waiting times go on as if it had not been.", jump_s)
            self._on_jump()
        if count:
            log.warning("%d waiting piece(s) of work lay further ahead than the clock allows; they are due now", count)
        return False


def longest_waits(config: Config) -> clocks.Longest:
    """How far ahead anything is ever put off with this configuration."""
    send = config.send
    sending = max(send.max_retry_s, send.first_retry_s, send.resend_after_s, LEASE_S)
    return clocks.Longest(sending, max(sending, send.commit_answer_s, send.find_wait_s), config.work.lease_s)


class Leases:
    """Which leases of studies have run out, by the monotonic clock: those that nobody has renewed for their length."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._seen: dict[int, tuple[float, float]] = {}

    def has_run_out(self, run_id: int, lease_until: float) -> bool:
        """Whether this run's lease has been seen unchanged for its whole length."""
        now = time.monotonic()
        until, since = self._seen.get(run_id, (lease_until, now))
        if until != lease_until:
            since = now
        self._seen[run_id] = (lease_until, since)
        return now - since >= self._lease_s

    def forget(self, but: set[int]) -> None:
        """Drop what is known of runs that have ended."""
        self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in but}


class Distrust:
    """Whether the wall clock was set lately, for whoever deletes by age."""

    def __init__(self) -> None:
        self._offset = _offset()
        self._until = time.monotonic()

    def holds(self) -> bool:
        """Whether it was set since this was last asked, or less than a day ago."""
        jump_s, self._offset = _offset() - self._offset, _offset()
        if abs(jump_s) > JUMP_S:
            self._until = time.monotonic() + _DISTRUST_S
        return time.monotonic() < self._until


def _offset() -> float:
    return time.time() - time.monotonic()
