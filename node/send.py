"""Sends results: the outbox's objects to each peer, SEG first and SR last, identical bytes on every attempt.

One thread per peer that has something due, so that a slow or hanging peer delays no other. How an object travels is
in transport/; what an answer means is decided in statuses.py, when to try again in retry.py.
"""

import logging
import random
import threading
import time
from dataclasses import dataclass

from node.config import Config
from node.database import patiently
from node.errors import NotAccepted, PeerError
from node.retry import RetryRules, next_attempt
from node.statuses import Verdict, verdict
from node.transport.opening import open_session
from node.transport.protocol import Session
from storage import closing, deliveries, parcels, peers
from storage.engine import Connection, Engine, begin, reading
from storage.errors import StorageError, Unknown
from storage.files import ResultStore

log = logging.getLogger(__name__)

_LEASE_S = 900.0


class Dispatcher:
    """Starts a sender for each peer with something due."""

    def __init__(self, engine: Engine, config: Config, owner: str) -> None:
        self._engine = engine
        self._config = config
        self._owner = owner
        self._stop = threading.Event()
        self._running: dict[int, threading.Thread] = {}

    def turn(self) -> bool:
        """Look once; senders go on in their threads."""
        self._running = {peer_id: thread for peer_id, thread in self._running.items() if thread.is_alive()}
        with reading(self._engine) as conn:
            due = [_peer(conn, peer_id) for peer_id in parcels.due_peers(conn, time.time())]
        for peer in due:
            if peer is None:
                continue
            if peer.id not in self._running:
                thread = threading.Thread(target=self._send_all, args=(peer,), name=f"send-{peer.name}", daemon=True)
                self._running[peer.id] = thread
                thread.start()
        return False

    def close(self) -> None:
        """Let the parcels on their way end; what is not sent stays in the outbox."""
        self._stop.set()
        deadline = time.monotonic() + 10
        for thread in self._running.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _send_all(self, peer: peers.Peer) -> None:
        try:
            while not self._stop.is_set() and send_one_study(self._engine, self._config, self._owner, peer):
                pass
        except Exception:  # a sender's turn: the lease runs out and the parcel is taken again
            log.exception(
                "peer %s: sending failed in a way that is not foreseen; it is tried again after %.0f s",
                peer.name,
                _LEASE_S,
            )


def _peer(conn: Connection, peer_id: int) -> peers.Peer | None:
    """The peer; None when it was removed while an answer for it was being recorded: the others get theirs."""
    try:
        return peers.by_id(conn, peer_id)
    except Unknown:
        log.error("Results are due at peer number %d, which was removed. Add it again, or leave them.", peer_id)
        return None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What sending one parcel needs."""

    engine: Engine
    config: Config
    peer: peers.Peer
    store: ResultStore
    rules: RetryRules


def send_one_study(engine: Engine, config: Config, owner: str, peer: peers.Peer) -> bool:
    """Send the next study's results that are due at `peer`; False when none are, or the peer must be left alone."""
    with begin(engine) as conn:
        parcel = parcels.claim_next(conn, peer.id, owner, _LEASE_S, time.time())
    if parcel is None:
        return False
    rules = RetryRules(config.send.first_retry_s, config.send.max_retry_s, config.send.give_up_after_s)
    desk = _Desk(engine, config, peer, ResultStore(config.results_folder), rules)
    started = time.monotonic()
    try:
        session = open_session(config, peer, [result for _, result in parcel.items])
    except PeerError as exc:
        _end_rest(desk, parcel, 0, str(exc), permanent=exc.permanent)
        return False
    try:
        with session:
            sent = _send_items(desk, parcel, session)
    except PeerError:
        return False  # told and scheduled where it happened; the peer is left alone for a while
    log.info(
        "study %d: %d of %d object(s) accepted by %s in %.2f s",
        parcel.study_id, sent, len(parcel.items), peer.name, time.monotonic() - started,
    )  # fmt: skip
    return True


def _send_items(desk: _Desk, parcel: parcels.Parcel, session: Session) -> int:
    """Send one object after the other; the number accepted. An object that fails holds back those that point at it
    (promise P4), unless it is a companion.

    That companions were accepted is recorded with the next object that is none, or at the end: each record waits for
    the disk, and of an ADC map there may be a hundred. After a crash they are sent once more (promise P3).
    """
    renewed, accepted = time.monotonic(), 0
    taken: list[tuple[int, int]] = []
    for sent, (delivery_id, result) in enumerate(parcel.items):
        if time.monotonic() - renewed > _LEASE_S / 3:  # a slow peer, not a dead sender
            renewed = time.monotonic()
            with begin(desk.engine) as conn:
                if not parcels.renew(conn, parcel, _LEASE_S, time.time()):
                    log.warning("study %d: another sender has its parcel by now; this one stops", parcel.study_id)
                    break
        try:
            data = desk.store.read(result.path, result.sha256)
            answer = session.store(result, data)
        except (NotAccepted, StorageError) as exc:
            if result.kind in closing.COMPANIONS:
                _leave_out(desk, delivery_id, str(exc))
                continue
            _accepted(desk, taken)
            _end_rest(desk, parcel, sent, str(exc), permanent=True)
            return accepted
        except PeerError as exc:
            _accepted(desk, taken)
            _end_rest(desk, parcel, sent, str(exc), permanent=exc.permanent)
            raise
        meaning = verdict(answer.status)
        if meaning is not Verdict.DELIVERED:
            words = f"{desk.peer.name} answered it with {answer.words}."
            if meaning is Verdict.STOP and result.kind in closing.COMPANIONS:
                _leave_out(desk, delivery_id, words, answer.status)
                continue
            _accepted(desk, taken)
            _end_rest(desk, parcel, sent, words, permanent=meaning is Verdict.STOP, status=answer.status)
            return accepted
        taken.append((delivery_id, answer.status))
        accepted += 1
        if result.kind not in closing.COMPANIONS:
            _accepted(desk, taken)
    _accepted(desk, taken)
    return accepted


def _accepted(desk: _Desk, taken: list[tuple[int, int]]) -> None:
    """Record in one transaction what the peer has accepted, by delivery and status; `taken` is empty afterwards."""
    if not taken:
        return

    def change(conn: Connection) -> None:
        for delivery_id, status in taken:
            deliveries.delivered(conn, delivery_id, status, time.time())

    patiently(desk.engine, change, _LEASE_S / 3)
    taken.clear()


def _leave_out(desk: _Desk, delivery_id: int, error: str, status: int | None = None) -> None:
    """Park an object that only shows again what SEG and SR say: it holds back nothing."""
    patiently(desk.engine, lambda conn: deliveries.park(conn, delivery_id, error, time.time(), status), _LEASE_S / 3)


def _end_rest(
    desk: _Desk, parcel: parcels.Parcel, sent: int, error: str, *, permanent: bool, status: int | None = None
) -> None:
    """What is left of the parcel from item `sent` on: tried later all together, or parked for a person."""
    now = time.time()
    again = None if permanent else next_attempt(parcel.attempt, parcel.since, now, random.random(), desk.rules)
    first_id, first = parcel.items[sent]

    def change(conn: Connection) -> None:
        if again is not None:
            deliveries.later(conn, first_id, again, error, now, status)
            return
        deliveries.park(conn, first_id, error, now, status)
        held_back = f"it is held back, because the {first.kind} before it was not taken."
        for delivery_id, _ in parcel.items[sent + 1 :]:
            deliveries.park(conn, delivery_id, held_back, now)

    patiently(desk.engine, change, _LEASE_S / 3)
    if again is None:
        log.error(
            "study %d: results for %s are parked. %s Mend it, then: osteon retry %d",
            parcel.study_id, desk.peer.name, error, parcel.study_id,
        )  # fmt: skip
    else:
        log.warning(
            "study %d: results for %s are tried again in %.0f s. %s",
            parcel.study_id,
            desk.peer.name,
            again - now,
            error,
        )
