"""Which rejection notes are due: peers at which a newer run has arrived and that still have results of earlier ones.

The note is one more result of the newer run, for that peer alone. It is made when nothing earlier is on its way to the
peer any more, so that it names exactly what the peer has accepted. It changes no state of the study: whether a peer
takes it makes no difference to the results.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, insert, select, update

from storage import audit_studies, events
from storage.closing import COMPANIONS
from storage.events import EventKind
from storage.moves import locked
from storage.results import ResultFile, as_file, keep
from storage.states import DeliveryState
from storage.tables import deliveries, instances, parcels, peers, results, runs, studies

REJECTION = "rejection"
_THERE = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
_SETTLED = (DeliveryState.DELIVERED, DeliveryState.REPLACED, DeliveryState.RESERVE)
"""Nothing more is due of these: the peer has it, or does not need it."""


@dataclass(frozen=True, slots=True)
class Due:
    """A note to be made."""

    study_id: int
    study_instance_uid: str
    run_id: int
    parcel_id: int
    peer: str
    version: int
    """Of the run that took the place of the others."""
    order: int
    """Behind every result of the run."""
    dated_at: float
    """When the run ended: the moment of the note, the same however often it is made."""
    rejected: tuple[ResultFile, ...]
    instance_id: int
    """An image of the study's patient."""


def due(conn: Connection, after: float) -> list[Due]:
    """The notes that are due, of runs that were handed to the outbox after `after`, oldest first."""
    query = (
        select(parcels.c.id, parcels.c.study_id, parcels.c.run_id, parcels.c.peer_id, peers.c.name,
               studies.c.study_instance_uid, studies.c.patient_key, runs.c.ended_at)
        .join_from(parcels, runs, runs.c.id == parcels.c.run_id)
        .join(peers, peers.c.id == parcels.c.peer_id)
        .join(studies, studies.c.id == parcels.c.study_id)
        .where(runs.c.supersedes.is_not(None), ~parcels.c.is_open, parcels.c.since >= after,
               peers.c.removed_at.is_(None), ~studies.c.has_patient_conflict)
        .order_by(parcels.c.id)
    )  # fmt: skip
    found = []
    for row in conn.execute(query).all():
        if not _is_newest(conn, row.study_id, row.peer_id, row.run_id) or not _has_arrived(conn, row.id):
            continue
        rejected = _superseded(conn, row.study_id, row.peer_id, row.run_id, row.id)
        image = _image(conn, row.study_id, row.patient_key)
        if rejected and image is not None:
            version, order = _numbers(conn, row.study_id, row.run_id)
            found.append(
                Due(
                    study_id=row.study_id,
                    study_instance_uid=row.study_instance_uid,
                    run_id=row.run_id,
                    parcel_id=row.id,
                    peer=row.name,
                    version=version,
                    order=order,
                    dated_at=row.ended_at,
                    rejected=rejected,
                    instance_id=image,
                )
            )
    return found


def record(conn: Connection, wanted: Due, note: ResultFile, now: float) -> bool:
    """Hand the note to the outbox. False when it is no longer due, or somebody else was faster."""
    locked(conn, wanted.study_id)
    peer_id = conn.execute(select(parcels.c.peer_id).where(parcels.c.id == wanted.parcel_id)).scalar_one()
    is_open = conn.execute(select(parcels.c.is_open).where(parcels.c.id == wanted.parcel_id)).scalar_one()
    if is_open or not _is_newest(conn, wanted.study_id, peer_id, wanted.run_id):
        return False
    if not _has_arrived(conn, wanted.parcel_id):
        return False
    (result_id,) = keep(conn, wanted.study_id, wanted.run_id, [note], now)
    row = {"parcel_id": wanted.parcel_id, "result_id": result_id, "state": DeliveryState.PENDING, "changed_at": now}
    conn.execute(insert(deliveries), row)
    reopened = {"is_open": True, "since": now, "due_at": now, "attempts": 0}
    conn.execute(update(parcels).where(parcels.c.id == wanted.parcel_id).values(**reopened))
    words = f"A rejection note goes to {wanted.peer}: it names {len(wanted.rejected)} results of earlier runs."
    events.add(conn, wanted.study_id, EventKind.WITHDRAWN, words, now)
    audit_studies.withdrawn(conn, wanted.study_id, wanted.peer, len(wanted.rejected), now)
    return True


def _is_newest(conn: Connection, study_id: int, peer_id: int, run_id: int) -> bool:
    """Whether no later run goes to the peer, and nothing of an earlier one is still on its way there."""
    mine = and_(parcels.c.study_id == study_id, parcels.c.peer_id == peer_id)
    newest = conn.execute(select(func.max(parcels.c.run_id)).where(mine)).scalar()
    waiting = and_(mine, parcels.c.run_id < run_id, parcels.c.is_open)
    return newest == run_id and conn.execute(select(parcels.c.id).where(waiting).limit(1)).first() is None


def _has_arrived(conn: Connection, parcel_id: int) -> bool:
    """Whether the peer has the report and all that matters of the parcel, and no note was made for it yet."""
    query = select(results.c.kind, deliveries.c.state).join_from(deliveries, results)
    rows = conn.execute(query.where(deliveries.c.parcel_id == parcel_id)).all()
    needed = [row.state in _SETTLED for row in rows if row.kind not in COMPANIONS]
    has_report = any(row.kind == "sr" and row.state == DeliveryState.DELIVERED for row in rows)
    return has_report and all(needed) and not any(row.kind == REJECTION for row in rows)


def _superseded(conn: Connection, study_id: int, peer_id: int, run_id: int, parcel_id: int) -> tuple[ResultFile, ...]:
    """What the peer has of earlier runs, without what an earlier note named and what the new run sent once more."""
    query = (
        select(results, parcels.c.id.label("parcel_id"))
        .join_from(deliveries, results)
        .join(parcels, parcels.c.id == deliveries.c.parcel_id)
        .where(parcels.c.study_id == study_id, parcels.c.peer_id == peer_id, parcels.c.run_id <= run_id,
               deliveries.c.state.in_(_THERE))
        .order_by(results.c.run_id, results.c.position, results.c.id)
    )  # fmt: skip
    rows = conn.execute(query).all()
    again = {row.id for row in rows if row.parcel_id == parcel_id}
    named_before = max(_noted(conn, study_id, peer_id), default=0)
    return tuple(
        as_file(row)
        for row in rows
        if row.id not in again and row.kind != REJECTION and named_before <= row.run_id < run_id
    )


def _noted(conn: Connection, study_id: int, peer_id: int) -> list[int]:
    """The runs whose notes went to the peer."""
    query = (
        select(results.c.run_id)
        .join_from(deliveries, results)
        .join(parcels, parcels.c.id == deliveries.c.parcel_id)
        .where(parcels.c.study_id == study_id, parcels.c.peer_id == peer_id, results.c.kind == REJECTION)
    )
    return list(conn.execute(query).scalars())


def _numbers(conn: Connection, study_id: int, run_id: int) -> tuple[int, int]:
    """The version of a run (1 for the study's first that left results), and the place behind its last result."""
    made = results.c.study_id == study_id
    version = conn.execute(
        select(func.count(results.c.run_id.distinct())).where(made, results.c.run_id <= run_id)
    ).scalar_one()
    last = conn.execute(select(func.max(results.c.position)).where(results.c.run_id == run_id)).scalar_one()
    return version, last + 1


def _image(conn: Connection, study_id: int, patient_key: str) -> int | None:
    mine = and_(instances.c.study_id == study_id, instances.c.is_image, instances.c.patient_key == patient_key)
    return conn.execute(select(instances.c.id).where(mine).order_by(instances.c.id).limit(1)).scalar()
