"""Sends results: the outbox's objects to a peer, SEG first and SR last, identical bytes on every attempt.

How an object travels is in transport/; what an answer means is decided in statuses.py, when to try again in retry.py,
what goes instead of a refused object in storage/fallbacks.py. That a peer keeps what it accepted is found out in
confirm.py.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.config import Config
from node.database import patiently
from node.errors import NotAccepted, PeerError
from node.patient_check import may_leave
from node.proof import seconds_until_asked
from node.retry import RetryRules, next_attempt
from node.statuses import Verdict, refuses_class, verdict
from node.transport.opening import open_session
from node.transport.protocol import Session
from storage import closing, deliveries, fallbacks, parcels, peers
from storage.engine import Connection, Engine, begin
from storage.errors import StorageError
from storage.faultpoints import FaultPoint, reached
from storage.files import ResultStore
from storage.results import ResultFile

log = logging.getLogger(__name__)

LEASE_S = 900.0
"""How long a parcel stays with a sender that gives no sign of life."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """What sending one parcel needs."""

    engine: Engine
    config: Config
    peer: peers.Peer
    store: ResultStore
    rules: RetryRules


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of one attempt to bring one object."""

    verdict: Verdict
    refuses_class: bool = False
    words: str = ""
    status: int | None = None


Item = tuple[int, ResultFile]


def send_one_study(engine: Engine, config: Config, owner: str, peer: peers.Peer, _stopping: Callable[[], bool]) -> bool:
    """Send the next study's results that are due at `peer`; False when none are, or the peer must be left alone."""
    with begin(engine) as conn:
        parcel = parcels.claim_next(conn, peer.id, owner, LEASE_S, time.time())
    if parcel is None:
        return False
    reached(FaultPoint.PARCEL_CLAIMED)
    desk = _Desk(engine, config, peer, ResultStore(config.results_folder), RetryRules.of(config.send))
    started = time.monotonic()
    try:
        if not may_leave(engine, config, peer, parcel, LEASE_S / 3):
            return True
        session = open_session(config, peer, [*(result for _, result in parcel.items), *parcel.reserves])
    except (PeerError, StorageError) as exc:
        meaning = _later_or_stop(exc) if isinstance(exc, PeerError) else Verdict.STOP
        _end_rest(desk, parcel, list(parcel.items), _Tried(meaning, words=str(exc)))
        return False
    try:
        with session:
            sent = _send_items(desk, parcel, session)
    except PeerError:
        return False  # told and scheduled where it happened; the peer is left alone for a while
    log.info(
        "study %d: %d object(s) accepted by %s in %.2f s",
        parcel.study_id, sent, peer.name, time.monotonic() - started,
    )  # fmt: skip
    return True


def _send_items(desk: _Desk, parcel: parcels.Parcel, session: Session) -> int:
    """Send one object after the other; the number accepted.

    An object whose class the peer does not take makes room for what stands in for it. One that fails otherwise holds
    back those that point at it (promise P4), unless it is a companion that stands in for nothing.

    That companions were accepted is recorded with the next object that is none, or at the end: each record waits for
    the disk, and of an ADC map there may be a hundred. After a crash they are sent once more (promise P3).
    """
    renewed, accepted = time.monotonic(), 0
    left, bound = list(parcel.items), parcel.bound
    taken: list[tuple[int, int]] = []
    while left:
        if time.monotonic() - renewed > LEASE_S / 3:  # a slow peer, not a dead sender
            renewed = time.monotonic()
            with begin(desk.engine) as conn:
                if not parcels.renew(conn, parcel, LEASE_S, time.time()):
                    log.warning("study %d: another sender has its parcel by now; this one stops", parcel.study_id)
                    break
        delivery_id, result = left[0]
        try:
            tried = _try(desk, session, result)
        except PeerError as exc:
            _accepted(desk, taken)
            _end_rest(desk, parcel, left, _Tried(_later_or_stop(exc), words=str(exc)))
            raise
        if tried.verdict is Verdict.DELIVERED:
            reached(FaultPoint.OBJECT_ANSWERED)
            taken.append((delivery_id, tried.status or 0))
            accepted += 1
            if result.kind not in closing.COMPANIONS:
                _accepted(desk, taken)
        elif tried.refuses_class and (instead := _replaced(desk, parcel, left[0], tried)):
            bound |= instead.bound
            left = [left[0], *sorted((*left[1:], *instead.promoted), key=lambda item: item[1].order)]
        elif tried.verdict is Verdict.STOP and result.kind in closing.COMPANIONS and delivery_id not in bound:
            _leave_out(desk, delivery_id, tried)
        else:
            _accepted(desk, taken)
            _end_rest(desk, parcel, left, tried)
            return accepted
        left = left[1:]
    _accepted(desk, taken)
    return accepted


def _try(desk: _Desk, session: Session, result: ResultFile) -> _Tried:
    """Bring one object. Raises PeerError when the session is over."""
    try:
        answer = session.store(result, desk.store.read(result.path, result.sha256))
    except StorageError as exc:
        return _Tried(Verdict.STOP, words=str(exc))
    except NotAccepted as exc:
        return _Tried(Verdict.STOP, True, str(exc))
    words = f"{desk.peer.name} answered it with {answer.words}."
    return _Tried(verdict(answer.status), refuses_class(answer.status), words, answer.status)


def _later_or_stop(exc: PeerError) -> Verdict:
    return Verdict.STOP if exc.permanent else Verdict.RETRY


def _accepted(desk: _Desk, taken: list[tuple[int, int]]) -> None:
    """Record in one transaction what the peer has accepted, by delivery and status; `taken` is empty afterwards."""
    if not taken:
        return
    wait_s = seconds_until_asked(desk.peer, desk.config.send.find_wait_s)

    def change(conn: Connection) -> None:
        for delivery_id, status in taken:
            if wait_s is None:
                deliveries.delivered(conn, delivery_id, status, time.time())
            else:
                deliveries.accepted(conn, delivery_id, status, time.time() + wait_s, time.time())
        reached(FaultPoint.ANSWER_WRITTEN)

    patiently(desk.engine, change, LEASE_S / 3)
    taken.clear()
    reached(FaultPoint.ANSWER_RECORDED)


def _replaced(desk: _Desk, parcel: parcels.Parcel, item: Item, tried: _Tried) -> fallbacks.Replacement | None:
    """Have what stands in for a refused object go instead; None when nothing does."""
    delivery_id, result = item

    def change(conn: Connection) -> fallbacks.Replacement | None:
        return fallbacks.refused(conn, delivery_id, tried.words, time.time(), tried.status)

    instead = patiently(desk.engine, change, LEASE_S / 3)
    if instead is not None:
        log.warning(
            "study %d: %s does not take the %s; what stands in for it goes instead. %s",
            parcel.study_id, desk.peer.name, result.kind, tried.words,
        )  # fmt: skip
    return instead


def _leave_out(desk: _Desk, delivery_id: int, tried: _Tried) -> None:
    """Park an object that only shows again what SEG and SR say: it holds back nothing."""

    def change(conn: Connection) -> None:
        deliveries.park(conn, delivery_id, tried.words, time.time(), tried.status)

    patiently(desk.engine, change, LEASE_S / 3)


def _end_rest(desk: _Desk, parcel: parcels.Parcel, left: Sequence[Item], tried: _Tried) -> None:
    """What is left of the parcel: tried later all together, or parked for a person."""
    now = time.time()
    again = None
    if tried.verdict is Verdict.RETRY:
        again = next_attempt(parcel.attempt, parcel.since, now, random.random(), desk.rules)
    first_id, first = left[0]

    def change(conn: Connection) -> None:
        if again is not None:
            deliveries.later(conn, first_id, again, tried.words, now, tried.status)
            return
        deliveries.park(conn, first_id, tried.words, now, tried.status)
        held_back = f"it is held back, because the {first.kind} before it was not taken."
        for delivery_id, _ in left[1:]:
            deliveries.park(conn, delivery_id, held_back, now)

    patiently(desk.engine, change, LEASE_S / 3)
    if again is None:
        log.error(
            "study %d: results for %s are parked. %s Mend it, then: osteon retry %d",
            parcel.study_id, desk.peer.name, tried.words, parcel.study_id,
        )  # fmt: skip
    else:
        log.warning(
            "study %d: results for %s are tried again in %.0f s. %s",
            parcel.study_id, desk.peer.name, again - now, tried.words,
        )  # fmt: skip
