"""The outbox as it stands: every delivery of a study, with what its peer said last, to be shown or to be changed."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, select

from storage import errors
from storage.moves import locked
from storage.states import DeliveryState
from storage.tables import confirmations, deliveries, parcels, peers, results, stand_ins


@dataclass(frozen=True, slots=True)
class Delivery:
    """One line of the outbox, to be shown."""

    id: int
    study_id: int
    run_id: int
    peer: str
    kind: str
    state: DeliveryState
    status: int | None
    error: str
    attempts: int
    due_at: float
    changed_at: float
    accepted_at: float | None
    confirmed_at: float | None
    confirmed_by: str
    """`commitment` or `find`; empty where the peer's answer is believed."""
    asks_at: float | None
    """When the peer is asked (again) whether it keeps the object."""
    instead_of: tuple[str, ...]
    """Kinds of the objects that it stands in for."""
    stand_ins: tuple[str, ...]
    """Kinds of the objects that stand in for it and are not in reserve."""


def deliveries_of(conn: Connection, study_id: int) -> list[Delivery]:
    """Every delivery of a study, oldest first."""
    rows = conn.execute(joined().where(parcels.c.study_id == study_id).order_by(deliveries.c.id)).all()
    asked = confirmations.c
    of_study = select(asked.parcel_id, asked.due_at).join(parcels, parcels.c.id == asked.parcel_id)
    due = {row.parcel_id: row.due_at for row in conn.execute(of_study.where(parcels.c.study_id == study_id))}
    by_number = {row.id: row for row in rows}
    pairs = [
        (pair.delivery_id, pair.instead_of)
        for pair in conn.execute(select(stand_ins).where(stand_ins.c.delivery_id.in_(by_number)))
    ]
    return [
        Delivery(
            id=row.id,
            study_id=row.study_id,
            run_id=row.run_id,
            peer=row.peer,
            kind=row.kind,
            state=DeliveryState(row.state),
            status=row.status,
            error=row.error,
            attempts=row.attempts,
            due_at=row.due_at,
            changed_at=row.changed_at,
            accepted_at=row.accepted_at,
            confirmed_at=row.confirmed_at,
            confirmed_by=row.confirmed_by,
            asks_at=due.get(row.parcel_id) if row.state == DeliveryState.ACCEPTED else None,
            instead_of=tuple(by_number[other].kind for number, other in pairs if number == row.id),
            stand_ins=tuple(
                by_number[number].kind
                for number, other in pairs
                if other == row.id and by_number[number].state != DeliveryState.RESERVE
            ),
        )
        for row in rows
    ]


def last_accepted(conn: Connection, study_id: int) -> float | None:
    """When the last result of the study's newest parcels was accepted; None while any of them is not.

    A rejection note is no result: it follows when the study has long been delivered.
    """
    newest = select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id).scalar_subquery()
    unneeded = (DeliveryState.RESERVE, DeliveryState.REPLACED)
    mine = and_(
        parcels.c.study_id == study_id,
        parcels.c.run_id == newest,
        deliveries.c.state.not_in(unneeded),
        results.c.kind != "rejection",
    )
    there = deliveries.c.state.in_((DeliveryState.ACCEPTED, DeliveryState.DELIVERED))
    query = select(func.count(), func.sum(case((there, 1), else_=0)), func.max(deliveries.c.accepted_at))
    count, accepted, at = conn.execute(query.join_from(deliveries, parcels).join(results).where(mine)).one()
    return at if count and count == accepted else None


def held(conn: Connection, delivery_id: int) -> Row[Any]:
    """The delivery as `joined` gives it; its study's row is held, so that two endings follow each other.

    Raises
    ------
    Unknown
        There is no such delivery.
    """
    found = select(parcels.c.study_id).join_from(deliveries, parcels).where(deliveries.c.id == delivery_id)
    study_id = conn.execute(found).scalar()
    if study_id is None:
        raise errors.Unknown(f"There is no delivery {delivery_id}.")
    locked(conn, study_id)
    row: Row[Any] = conn.execute(joined().where(deliveries.c.id == delivery_id)).one()
    return row


def joined() -> Select[Any]:
    """A query for deliveries, each with its parcel, the kind of its result and the name of its peer."""
    columns = (deliveries, parcels.c.study_id, parcels.c.run_id, parcels.c.attempts, parcels.c.due_at, results.c.kind)
    return (
        select(*columns, peers.c.name.label("peer"))
        .join_from(deliveries, parcels)
        .join(peers, peers.c.id == parcels.c.peer_id)
        .join(results, results.c.id == deliveries.c.result_id)
    )
