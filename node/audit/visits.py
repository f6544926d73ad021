"""Audits associations without a row for each: like ones are counted, and written together by a thread of their own.

Of each kind of visit (who, from where, with which certificate, to what end) the first is written within two seconds,
those after it as one row a minute with their number. A killed listener loses the count of its last minute, no more. The
receiving threads only add to a number in memory.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from storage import audit
from storage.audit import Action, By, Entry, Indicator
from storage.engine import Connection, Engine, begin
from storage.errors import StorageError

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_QUIET_S = 60.0
_MOST_KINDS = {Action.ASSOCIATION_ACCEPTED: 200, Action.USER_ACCEPTED: 200}
_MOST_REFUSED = 20
"""Whoever is refused may have chosen every word of it: more kinds than this are counted as one."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A kind of visit."""

    action: Action
    calling_ae: str = ""
    address: str = ""
    called_ae: str = ""
    certificate: str = ""
    """The subject of the caller's certificate, where it had to show one."""
    user: str = ""
    """Of User Authentication: the user for whom the caller says it acts."""
    reason: str = ""
    """Why it was rejected."""


@dataclass(slots=True)
class _Count:
    unsaid: int = 0
    first_at: float = 0.0
    said_at: float = field(default=float("-inf"))


class Visits:
    """Counts visits and has them written."""

    def __init__(self, engine: Engine, *, look_s: float = _LOOK_S, quiet_s: float = _QUIET_S) -> None:
        self._engine = engine
        self._look_s = look_s
        self._quiet_s = quiet_s
        self._lock = threading.Lock()
        self._counts: dict[Visit, _Count] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visits", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def note(self, visit: Visit) -> None:
        """Count a visit; never blocks and never raises."""
        with self._lock:
            if visit not in self._counts and self._is_crowded(visit.action):
                visit = Visit(visit.action, reason="callers of too many kinds to name each")
            count = self._counts.setdefault(visit, _Count())
            count.first_at = count.first_at if count.unsaid else time.time()
            count.unsaid += 1

    def _is_crowded(self, action: Action) -> bool:
        return sum(visit.action is action for visit in self._counts) >= _MOST_KINDS.get(action, _MOST_REFUSED)

    def close(self, patience_s: float) -> None:
        """Write what was counted, and end."""
        self._ending.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while True:
            ending = self._ending.wait(self._look_s)
            try:
                self._write(self._due(everything=ending))
            except Exception:  # a timer's turn: counting goes on whatever happened
                log.exception("Associations could not be audited; their number is kept")
            if ending:
                return

    def _due(self, *, everything: bool) -> list[tuple[Visit, int, float]]:
        """What is to be written now; kinds that have been quiet are forgotten."""
        now = time.monotonic()
        with self._lock:
            for visit in [each for each, count in self._counts.items() if not count.unsaid]:
                if now - self._counts[visit].said_at > self._quiet_s:
                    del self._counts[visit]
            return [
                (visit, count.unsaid, count.first_at)
                for visit, count in self._counts.items()
                if count.unsaid and (everything or now - count.said_at > self._quiet_s)
            ]

    def _write(self, due: list[tuple[Visit, int, float]]) -> None:
        if not due:
            return
        try:
            with begin(self._engine) as conn:
                for visit, number, first_at in due:
                    _add(conn, visit, number, first_at)
        except StorageError as exc:
            log.warning("associations are audited later: %s", exc)
            return
        now = time.monotonic()
        with self._lock:
            for visit, number, _ in due:
                count = self._counts[visit]
                count.unsaid -= number
                count.first_at, count.said_at = time.time(), now


def _add(conn: Connection, visit: Visit, number: int, first_at: float) -> None:
    refused = visit.action in (Action.ASSOCIATION_REJECTED, Action.USER_REFUSED)
    details: dict[str, object] = {"count": number, "first_at": round(first_at, 3)}
    named = {"called_ae": visit.called_ae, "certificate": visit.certificate, "user": visit.user, "why": visit.reason}
    details |= {key: audit.shown(value) for key, value in named.items() if value}
    outcome = Indicator.MINOR if refused else Indicator.SUCCESS
    audit.add(conn, Entry(visit.action, outcome, By(visit.calling_ae, visit.address), details=details), time.time())
