"""Takes a peer's report of storage commitment, on whichever association it comes, and says what to answer."""

import logging
import time

from pydicom.dataset import Dataset

from node.dimse import commitment
from node.dimse.commands import Command
from node.errors import ProtocolBroken
from node.resends import ResendRules
from node.statuses import (
    DUPLICATE_TRANSACTION,
    INVALID_ARGUMENT,
    NO_SUCH_EVENT_TYPE,
    RESOURCE_LIMITATION,
    SUCCESS,
    explain_status,
)
from storage import commitments
from storage.engine import Engine, begin
from storage.errors import StorageError
from storage.peers import Peer

log = logging.getLogger(__name__)

__all__ = ["ResendRules", "take_report"]


def take_report(engine: Engine, peer: Peer, command: Command, what: Dataset, rules: ResendRules) -> int:
    """Record a report; the status for its N-EVENT-REPORT-RSP (PS3.7 10.1.1.1.8).

    Success is answered only once it is recorded: a peer that hears anything else may report again.
    """
    try:
        report = commitment.report(command.event_or_action, what)
    except ProtocolBroken as exc:
        log.warning("peer %s: its report of a storage commitment cannot be used: %s", peer.name, exc)
        known = command.event_or_action in (commitment.ALL_COMMITTED, commitment.SOME_FAILED)
        return INVALID_ARGUMENT if known else NO_SUCH_EVENT_TYPE
    failed = {
        uid: f"{peer.name} does not keep it: {explain_status(reason)}."
        for uid, reason in report.failed.items()
        if reason != DUPLICATE_TRANSACTION  # nothing is said of the object: it is asked for again
    }
    everything = report.names_none and command.event_or_action == commitment.ALL_COMMITTED
    committed = None if everything else report.committed
    try:
        with begin(engine) as conn:
            study_id = commitments.report(
                conn, peer.id, report.transaction_uid, committed, failed, rules.from_now(), time.time()
            )
    except StorageError as exc:
        log.warning("peer %s: its report of a storage commitment cannot be recorded now: %s", peer.name, exc)
        return RESOURCE_LIMITATION
    if study_id is None:
        log.warning("peer %s reports on a storage commitment that it was not asked for; nothing is changed", peer.name)
        return INVALID_ARGUMENT
    log.info("study %d: %s reports %d object(s) as kept, %d as not kept",
             study_id, peer.name, len(report.committed), len(report.failed))  # fmt: skip
    return SUCCESS
