"""Makes rows of what the journal holds: one thread that takes committed records in groups, in their order.

An object was acknowledged before it comes here. If this process ends first, storage/replay.py makes its row at the next
start.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from node.listen.store import Caller
from storage import intake
from storage.engine import Engine, begin
from storage.errors import Broken, StorageError
from storage.intake import Taken

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.5
_MAX_GROUP = 500
_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 5.0
_STUCK_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """An association brings its first object."""

    association: str
    calling_ae: str
    called_ae: str
    address: str
    at: float


@dataclass(frozen=True, slots=True)
class Closed:
    """An association that brought objects has ended."""

    association: str
    at: float


Event = Opened | Taken | Closed


class Bookings:
    """What one association hands to the indexer: that it opened with its first object, the objects, its end."""

    def __init__(self, indexer: "Indexer", caller: Caller) -> None:
        self._indexer = indexer
        self._caller = caller
        self._is_open = False

    def take(self, taken: Taken) -> None:
        """One committed record."""
        if not self._is_open:
            self._is_open = True
            caller = self._caller
            opened = Opened(caller.association, caller.calling_ae, caller.called_ae, caller.address, time.time())
            self._indexer.put(opened)
        self._indexer.put(taken)

    def close(self) -> None:
        """The association has ended; nothing to say when it brought no object."""
        if self._is_open:
            self._is_open = False
            self._indexer.put(Closed(self._caller.association, time.time()))


class Indexer:
    """The thread and its queue. `put` never blocks; whoever puts looks at `backlog` first."""

    def __init__(self, engine: Engine, listener: str) -> None:
        self._engine = engine
        self._listener = listener
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._ending = threading.Event()
        self._in_work = 0
        self._stuck: list[Event] = []
        self._stuck_since = 0.0
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, event: Event) -> None:
        """Queue an event; the end of an association is not kept waiting."""
        self._events.put(event)
        if isinstance(event, Closed):
            self._hurry.set()

    @property
    def backlog(self) -> int:
        """How many events wait for their rows."""
        return self._events.qsize() + self._in_work + len(self._stuck)

    def close(self, patience_s: float) -> None:
        """Make the rows of what is queued, then end; what takes longer is left to the next start."""
        self._ending.set()
        self._hurry.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        self._close_stale(time.time())
        pause = _SHORTEST_PAUSE_S
        while True:
            group = self._next_group(pause)
            if not group and self._ending.is_set():
                return
            started = time.monotonic()
            self._in_work = len(group)
            self._index(group)
            self._in_work = 0
            # Larger groups under load: at most an eleventh of the time goes into transactions, which hold up receiving.
            pause = min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, 10 * (time.monotonic() - started)))

    def _close_stale(self, started: float) -> None:
        """Close what a former life left open, before rows of this one are made; callers need not wait for it."""
        wait = _FIRST_RETRY_S
        while True:
            try:
                with begin(self._engine) as conn:
                    left = intake.close_stale_associations(conn, self._listener, started)
            except StorageError as exc:
                if self._ending.is_set():
                    return
                log.warning("The rows of this listener wait; tried again in %.1f s: %s", wait, exc)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_RETRY_S)
            except Exception:  # the thread must live
                log.exception("What a former run left open could not be closed; rows are made nevertheless")
                return
            else:
                if left:
                    log.info("%d association(s) that a former run left open are closed", left)
                return

    def _next_group(self, pause: float) -> list[Event]:
        """Wait for an event, then a little for others; empty when ending, or when stuck ones are due."""
        group: list[Event] = []
        with contextlib.suppress(queue.Empty):
            group.append(self._events.get(timeout=0.25))
            if not self._ending.is_set():
                self._hurry.wait(pause)
            self._hurry.clear()
            while len(group) < _MAX_GROUP:
                group.append(self._events.get_nowait())
        if self._stuck and time.monotonic() - self._stuck_since > _STUCK_RETRY_S:
            group, self._stuck = self._stuck + group, []
        return group

    def _index(self, group: Sequence[Event]) -> None:
        """Make rows of a group; a database that is busy or away is waited for."""
        wait = _FIRST_RETRY_S
        while group:
            try:
                self._transact(group)
            except Broken:
                log.exception("A group of %d object(s) cannot be indexed; they are tried one by one", len(group))
                self._one_by_one(group)
                return
            except StorageError as exc:
                if self._ending.is_set():
                    log.warning("%d object(s) are left for the next start to index: %s", len(group), exc)
                    return
                log.warning("%d object(s) wait for their rows; tried again in %.1f s: %s", len(group), wait, exc)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_RETRY_S)
            except Exception:  # whatever it is, the thread must live: the listener goes on answering success
                log.exception("A group of %d object(s) cannot be indexed; they are tried one by one", len(group))
                self._one_by_one(group)
                return
            else:
                return

    def _one_by_one(self, group: Sequence[Event]) -> None:
        for event in group:
            try:
                self._transact([event])
            except Exception:
                where = (
                    f"{event.place.segment} at byte {event.place.offset}" if isinstance(event, Taken) else "no object"
                )
                log.exception("One event cannot be indexed (%s); it is tried again, report this", where)
                self._stuck.append(event)
                self._stuck_since = time.monotonic()

    def _transact(self, group: Sequence[Event]) -> None:
        now = time.time()
        with begin(self._engine) as conn:
            for event in group:
                if isinstance(event, Opened):
                    intake.open_association(
                        conn,
                        event.association,
                        self._listener,
                        event.calling_ae,
                        event.called_ae,
                        event.address,
                        event.at,
                    )
            intake.index(conn, [event for event in group if isinstance(event, Taken)], now)
            for event in group:
                if isinstance(event, Closed):
                    intake.close_association(conn, event.association, event.at)
