"""Has rejection notes made for the peers at which a newer run has arrived, where the configuration asks for them."""

import logging
import threading
import time

from node.analyst import Analyst
from node.config import Config
from node.database import patiently
from node.errors import AnalystDied
from node.job import Withdrawal, Withdrawn
from storage import studies, withdrawals
from storage.engine import Connection, Engine, reading

log = logging.getLogger(__name__)

OFF = "off"
_LOOK_S = 2.0
_REACH_S = 7 * 86400.0
"""How far back a run may lie: turning the setting on withdraws nothing that was superseded long ago."""
_AGAIN_S = 600.0
_PATIENCE_S = 20.0


class Withdrawer:
    """Looks now and then for a note that is due; one that cannot be made is tried again later."""

    def __init__(self, engine: Engine, config: Config, analyst: Analyst, stop: threading.Event) -> None:
        self._engine = engine
        self._reason = config.results.rejection_note
        self._analyst = analyst
        self._stop = stop
        self._next = 0.0
        self._not_before: dict[int, float] = {}

    def turn(self) -> bool:
        """Have one note made; False when none is due."""
        if self._reason == OFF or time.monotonic() < self._next:
            return False
        with reading(self._engine) as conn:
            wanted = next((each for each in withdrawals.due(conn, time.time() - _REACH_S) if self._may_try(each)), None)
            task = self._task(conn, wanted) if wanted is not None else None
        if wanted is None or task is None:
            self._next = time.monotonic() + _LOOK_S
            return False
        try:
            made = self._analyst.ask(task, Withdrawn, lambda: not self._stop.is_set())
        except AnalystDied as exc:
            made = Withdrawn(None, str(exc))
        self._not_before[wanted.parcel_id] = time.monotonic() + _AGAIN_S
        note = made.note
        if note is None:
            if not self._stop.is_set():
                log.error("study %d: no rejection note for %s could be made; tried again in %.0f s. %s",
                          wanted.study_id, wanted.peer, _AGAIN_S, made.fault)  # fmt: skip
            return True
        if patiently(self._engine, lambda conn: withdrawals.record(conn, wanted, note, time.time()), _PATIENCE_S):
            log.info("study %d: a rejection note for %s names %d results", wanted.study_id, wanted.peer,
                     len(wanted.rejected))  # fmt: skip
        return True

    def _may_try(self, wanted: withdrawals.Due) -> bool:
        return self._not_before.get(wanted.parcel_id, 0.0) <= time.monotonic()

    def _task(self, conn: Connection, wanted: withdrawals.Due) -> Withdrawal:
        held = studies.instances(conn, wanted.study_id)
        return Withdrawal(
            study_id=wanted.study_id,
            study_instance_uid=wanted.study_instance_uid,
            dated_at=wanted.dated_at,
            version=wanted.version,
            order=wanted.order,
            reason=self._reason,
            rejected=wanted.rejected,
            image=next(instance for instance in held if instance.id == wanted.instance_id),
        )
