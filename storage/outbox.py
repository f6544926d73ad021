"""The outbox as it is shown: every delivery of a study, with what its peer said last."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, select

from storage.states import DeliveryState
from storage.tables import deliveries, parcels, peers, results


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


def deliveries_of(conn: Connection, study_id: int) -> list[Delivery]:
    """Every delivery of a study, oldest first."""
    rows = conn.execute(joined().where(parcels.c.study_id == study_id).order_by(deliveries.c.id))
    return [
        Delivery(
            row.id,
            row.study_id,
            row.run_id,
            row.peer,
            row.kind,
            DeliveryState(row.state),
            row.status,
            row.error,
            row.attempts,
            row.due_at,
            row.changed_at,
        )
        for row in rows
    ]


def last_delivered(conn: Connection, study_id: int) -> float | None:
    """When the last result of the study's newest parcels was accepted; None while any of them is not."""
    newest = select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id).scalar_subquery()
    mine = and_(parcels.c.study_id == study_id, parcels.c.run_id == newest)
    query = select(
        func.count(),
        func.sum(case((deliveries.c.state == DeliveryState.DELIVERED, 1), else_=0)),
        func.max(deliveries.c.changed_at),
    )
    count, accepted, at = conn.execute(query.join_from(deliveries, parcels).where(mine)).one()
    return at if count and count == accepted else None


def joined() -> Select[Any]:
    """A query for deliveries, each with its parcel, the kind of its result and the name of its peer."""
    columns = (deliveries, parcels.c.study_id, parcels.c.run_id, parcels.c.attempts, parcels.c.due_at, results.c.kind)
    return (
        select(*columns, peers.c.name.label("peer"))
        .join_from(deliveries, parcels)
        .join(peers, peers.c.id == parcels.c.peer_id)
        .join(results, results.c.id == deliveries.c.result_id)
    )
