"""Asks the archive, before results leave, whether it has the study under the patient whom they name.

A patient may have been corrected or merged there after the images left; results under the old one would then be filed
with a stranger. The decision is pure and lives in same_patient.py.
"""

import logging
import time

from node.config import Config
from node.database import patiently
from node.errors import Answered, PeerError
from node.same_patient import Match, match, study_and_patient
from node.statuses import Verdict, verdict
from node.transport.asking import recorded_patients
from storage import deliveries, events, peers, studies
from storage.closing import OTHER_PATIENT
from storage.engine import Engine, reading
from storage.files import ResultStore
from storage.parcels import Parcel

log = logging.getLogger(__name__)

EVENT = "patient"


def may_leave(engine: Engine, config: Config, peer: peers.Peer, parcel: Parcel, patience_s: float) -> bool:
    """Whether the parcel's results may be sent to `peer`; when not, every result of the study is held.

    Asked is the peer itself where it may be asked, else the one that sent the study where that may. A study that the
    archive does not know is sent: there is no record that it could contradict.

    Raises
    ------
    PeerError
        The peer cannot be reached now, and could not be sent to either.
    StorageError
        The first result cannot be read.
    """
    if not config.send.check_patient or not parcel.items:
        return True
    archive = _askable(engine, peer, parcel.study_id)
    if archive is None:
        return True
    first = parcel.items[0][1]
    study_instance_uid, named = study_and_patient(ResultStore(config.results_folder).read(first.path, first.sha256))
    try:
        found = match(named, recorded_patients(config, archive, study_instance_uid))
    except PeerError as exc:
        if archive.id == peer.id and _may_pass(exc):
            raise
        _tell(engine, parcel, f"{archive.name} could not be asked for the patient of this study ({exc})", patience_s)
        return True
    if found is Match.OTHER:
        _hold(engine, archive, parcel, patience_s)
        return False
    if found is Match.UNKNOWN_STUDY:
        _tell(engine, parcel, f"{archive.name} does not know this study, so its patient cannot differ", patience_s)
    elif found is Match.NOT_SAID:
        _tell(engine, parcel, f"{archive.name} gives no Patient ID that can be compared for this study", patience_s)
    return True


def _may_pass(exc: PeerError) -> bool:
    """Whether the archive may answer later what it does not answer now."""
    if isinstance(exc, Answered):
        return verdict(exc.status) is Verdict.RETRY
    return not exc.permanent


def _askable(engine: Engine, peer: peers.Peer, study_id: int) -> peers.Peer | None:
    """Who can tell the patient of the study."""
    if peer.may_find:
        return peer
    with reading(engine) as conn:
        study = studies.study(conn, study_id)
        sender = "" if study is None else study.calling_ae.strip(" ")
        return next((each for each in peers.peers(conn) if each.may_find and each.ae_title == sender), None)


def _hold(engine: Engine, archive: peers.Peer, parcel: Parcel, patience_s: float) -> None:
    words = (
        f"{OTHER_PATIENT}: {archive.name} has this study under another patient than the images name. "
        "Nothing of it is sent. See which of the two is right there; then osteon retry."
    )

    patiently(engine, lambda conn: deliveries.hold(conn, parcel.study_id, words, time.time()), patience_s)
    log.error("study %d: %s", parcel.study_id, words)


def _tell(engine: Engine, parcel: Parcel, why: str, patience_s: float) -> None:
    """Say once for a parcel why its results leave without a comparison."""
    if parcel.attempt > 1:
        return
    words = f"{why}; its results are sent."
    patiently(engine, lambda conn: events.add(conn, parcel.study_id, EVENT, words, time.time()), patience_s)
    log.info("study %d: %s", parcel.study_id, words)
