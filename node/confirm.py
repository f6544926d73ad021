"""Finds out whether a peer keeps what it accepted: by storage commitment, else by a query.

One parcel at a time and peer. What is not kept is sent again (node/send.py); what cannot be found out is parked for a
person. A report may also come later, on an association of the peer's own (node/listen).
"""

import contextlib
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.config import Config
from node.database import patiently
from node.dimse import commitment, negotiate
from node.dimse.client import Association, associate
from node.dimse.commands import Command
from node.dimse.negotiate import STUDY_ROOT_FIND
from node.errors import Answered, Disconnected, NotAccepted, PeerError
from node.proof import Proof, proof_of
from node.reports import ResendRules, take_report
from node.retry import RetryRules, next_attempt
from node.statuses import SUCCESS, explain_status, is_passing, is_warning
from node.transport.dimse import timeouts_of
from node.transport.opening import held_of
from storage import commitments, confirmations, peers
from storage.confirmations import Confirmation
from storage.engine import Connection, Engine, begin, reading
from storage.faultpoints import FaultPoint, reached

log = logging.getLogger(__name__)

_LEASE_S = 900.0
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class _Desk:
    """What asking about one parcel needs."""

    engine: Engine
    config: Config
    peer: peers.Peer
    asked: Confirmation
    stopping: Callable[[], bool]

    @property
    def rules(self) -> ResendRules:
        """What becomes of what the peer does not have."""
        return ResendRules.of(self.config.send)

    @property
    def is_patient_with_less(self) -> bool:
        """Whether the best of what the peer offers is enough (--confirm auto)."""
        return self.peer.confirm == "auto"


def confirm_one_parcel(
    engine: Engine, config: Config, owner: str, peer: peers.Peer, stopping: Callable[[], bool]
) -> bool:
    """Ask `peer` about the next parcel that it accepted; False when none is due, or the peer must be left alone."""
    with begin(engine) as conn:
        asked = confirmations.claim(conn, peer.id, owner, _LEASE_S, time.time())
    if asked is None:
        return False
    desk = _Desk(engine, config, peer, asked, stopping)
    proof = proof_of(peer, by_find=asked.by_find)
    if proof is Proof.COMMITMENT:
        return _ask_for_commitment(desk)
    if proof is Proof.FIND:
        return _ask_by_query(desk)
    _believe(desk)
    return True


def _ask_for_commitment(desk: _Desk) -> bool:
    send, asked = desk.config.send, desk.asked
    if asked.asks >= send.commit_asks:
        return _without_commitment(
            desk, f"{desk.peer.name} left {asked.asks} requests for storage commitment without a report, each for "
            f"{send.commit_answer_s:.0f} s. Let it know this node's host and port, to which it has to call.",
        )  # fmt: skip
    transaction_uid = f"2.25.{uuid.uuid4().int}"
    with begin(desk.engine) as conn:  # a report may be here before the answer to the request
        commitments.ask(conn, asked, transaction_uid, time.time())
    contexts = (*negotiate.commitment_contexts(), *(negotiate.find_contexts() if desk.is_patient_with_less else ()))
    try:
        association = associate(
            desk.peer.host, desk.peer.port, calling=desk.config.node.ae_title, called=desk.peer.ae_title,
            contexts=contexts, timeouts=timeouts_of(desk.config),
        )  # fmt: skip
    except PeerError as exc:
        return _failed(desk, str(exc), permanent=exc.permanent)
    try:
        with association:
            status = _requested(desk, association, transaction_uid)
    except PeerError as exc:
        if isinstance(exc, NotAccepted) and desk.is_patient_with_less and not association.takes(STUDY_ROOT_FIND):
            _believe_for_want_of_proof(desk, exc)
            return True
        if isinstance(exc, NotAccepted) or desk.is_patient_with_less:  # Orthanc aborts when it does not know us
            return _without_commitment(desk, str(exc))
        return _failed(desk, str(exc), permanent=exc.permanent)
    if status == SUCCESS or is_warning(status):
        return True
    words = f"{desk.peer.name} answered the request for storage commitment with {explain_status(status)}."
    if desk.is_patient_with_less or not is_passing(status):
        return _without_commitment(desk, words)
    return _failed(desk, words, permanent=False)


def _requested(desk: _Desk, association: Association, transaction_uid: str) -> int:
    """Ask, and hold the association for the report as long as that is worth it; the status of the request."""

    def on_event(command: Command, what: Dataset) -> int:
        return take_report(desk.engine, desk.peer, command, what, desk.rules)

    objects = [(result.sop_class_uid, result.sop_instance_uid) for _, result in desk.asked.items]
    what = commitment.request(transaction_uid, objects)
    status = association.action(negotiate.STORAGE_COMMITMENT, commitment.INSTANCE, commitment.REQUEST, what, on_event)
    if status != SUCCESS and not is_warning(status):
        return status
    log.info("study %d: %s was asked to commit to %d object(s)", desk.asked.study_id, desk.peer.name, len(objects))
    _postpone(desk, time.time() + desk.config.send.commit_answer_s, asks=desk.asked.asks + 1)
    deadline = time.monotonic() + desk.config.send.commit_hold_s

    def is_over() -> bool:
        with reading(desk.engine) as conn:
            return desk.stopping() or commitments.is_answered(conn, transaction_uid)

    with contextlib.suppress(PeerError):  # it was asked: how this association ends says nothing
        while not is_over() and association.await_event(deadline, is_over, on_event):
            pass
    return status


def _ask_by_query(desk: _Desk) -> bool:
    asked = desk.asked
    try:
        there = held_of(desk.config, desk.peer, asked.study_instance_uid, [result for _, result in asked.items])
    except PeerError as exc:
        if desk.is_patient_with_less and not asked.asks and _is_refusal(exc, asked.tries):
            _believe_for_want_of_proof(desk, exc)
            return True
        passing = isinstance(exc, Answered) and is_passing(exc.status)
        return _failed(desk, str(exc), permanent=(isinstance(exc, Answered) or exc.permanent) and not passing)
    found = [delivery_id for delivery_id, result in asked.items if result.sop_instance_uid in there]
    words = f"{desk.peer.name} accepted it, and a query does not find it."
    lost = {delivery_id: words for delivery_id, result in asked.items if result.sop_instance_uid not in there}

    def change(conn: Connection) -> None:
        if lost:
            confirmations.missing(conn, asked.parcel_id, lost, desk.rules.from_now(), time.time())
        confirmations.confirmed(conn, asked.parcel_id, found, "find", time.time())

    reached(FaultPoint.PROOF_HEARD)
    patiently(desk.engine, change, _PATIENCE_S)
    log.info("study %d: a query finds %d of %d object(s) at %s",
             asked.study_id, len(found), len(asked.items), desk.peer.name)  # fmt: skip
    return True


def _is_refusal(exc: PeerError, tries: int) -> bool:
    """Whether a peer that is asked by query says that it answers none.

    Some abort instead (Orthanc, asked by one whom it does not know); the second time it is no accident.
    """
    if isinstance(exc, Answered):
        return not is_passing(exc.status)
    return isinstance(exc, NotAccepted) or (isinstance(exc, Disconnected) and tries > 0)


def _believe_for_want_of_proof(desk: _Desk, exc: PeerError) -> None:
    said = "study %d: %s offers no proof, so its answers are believed. %s"
    log.info(said, desk.asked.study_id, desk.peer.name, exc)
    _believe(desk)


def _believe(desk: _Desk) -> None:
    """The peer's answers to the objects are proof enough."""
    numbers = [delivery_id for delivery_id, _ in desk.asked.items]

    def change(conn: Connection) -> None:
        confirmations.confirmed(conn, desk.asked.parcel_id, numbers, "", time.time())

    reached(FaultPoint.PROOF_HEARD)
    patiently(desk.engine, change, _PATIENCE_S)


def _without_commitment(desk: _Desk, why: str) -> bool:
    """The peer does not commit: ask by query where that is enough, else call a person."""
    if not desk.is_patient_with_less:
        return _failed(desk, why, permanent=True)
    log.info("study %d: it is asked by query instead of storage commitment. %s", desk.asked.study_id, why)
    _postpone(desk, time.time() + desk.config.send.find_wait_s, asks=desk.asked.asks, by_find=True)
    return True


def _failed(desk: _Desk, why: str, *, permanent: bool) -> bool:
    """It could not be found out: tried again later, or parked for a person. The peer is left alone for a while."""
    asked, now = desk.asked, time.time()
    rules = RetryRules.of(desk.config.send)
    again = None if permanent else next_attempt(asked.tries + 1, asked.since, now, random.random(), rules)
    if again is not None:
        _postpone(desk, again, asks=asked.asks, tries=asked.tries + 1, by_find=asked.by_find)
        log.warning("study %d: whether %s keeps its results is asked again in %.0f s. %s",
                    asked.study_id, desk.peer.name, again - now, why)  # fmt: skip
        return False
    patiently(desk.engine, lambda conn: confirmations.give_up(conn, asked.parcel_id, why, now), _PATIENCE_S)
    log.error("study %d: results that %s accepted are not confirmed. %s Mend it, then: osteon retry %d",
              asked.study_id, desk.peer.name, why, asked.study_id)  # fmt: skip
    return False


def _postpone(desk: _Desk, due_at: float, *, asks: int, tries: int = 0, by_find: bool = False) -> None:
    def change(conn: Connection) -> None:
        confirmations.postpone(conn, desk.asked, due_at, asks=asks, tries=tries, by_find=by_find)

    patiently(desk.engine, change, _PATIENCE_S)
