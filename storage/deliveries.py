"""One result object on its way to one peer: what became of it, told by who sends it or by a person."""

from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from storage import errors, events
from storage.closing import close_when_done
from storage.events import EventKind
from storage.moves import locked
from storage.outbox import joined
from storage.states import TO_BE_SENT, DeliveryState
from storage.tables import deliveries, parcels, peers, runs


def delivered(conn: Connection, delivery_id: int, status: int, now: float) -> None:
    """The peer took the object (success or a warning); with the last one the study is delivered."""
    delivery = _locked(conn, delivery_id)
    if delivery.state == DeliveryState.DELIVERED:
        return
    _set(conn, delivery_id, now, state=DeliveryState.DELIVERED, status=status, error="")
    close_when_done(conn, delivery, now)


def later(
    conn: Connection, delivery_id: int, next_at: float, error: str, now: float, status: int | None = None
) -> None:
    """The object could not be sent now: it, and what follows it in its parcel, waits until `next_at`."""
    delivery = _locked(conn, delivery_id)
    if delivery.state not in TO_BE_SENT:
        return
    if delivery.error != error:
        said = f"A result ({delivery.kind}) could not be sent to {delivery.peer} yet: {error}"
        events.add(conn, delivery.study_id, EventKind.DELAYED, said, now)
    being_sent = and_(deliveries.c.parcel_id == delivery.parcel_id, deliveries.c.state == DeliveryState.SENDING)
    conn.execute(update(deliveries).where(being_sent).values(state=DeliveryState.PENDING, changed_at=now))
    _set(conn, delivery_id, now, state=DeliveryState.PENDING, status=status, error=error)
    conn.execute(update(parcels).where(parcels.c.id == delivery.parcel_id).values(due_at=next_at))


def park(conn: Connection, delivery_id: int, error: str, now: float, status: int | None = None) -> None:
    """Trying again makes no sense until a person acts; when nothing else is on its way the study has failed."""
    delivery = _locked(conn, delivery_id)
    if delivery.state not in TO_BE_SENT:
        return
    _set(conn, delivery_id, now, state=DeliveryState.PARKED, status=status, error=error)
    said = f"A result ({delivery.kind}) is not sent to {delivery.peer} any more: {error}"
    events.add(conn, delivery.study_id, EventKind.PARKED, said, now)
    close_when_done(conn, delivery, now)


def hold(conn: Connection, study_id: int, why: str, now: float) -> None:
    """Park every result of the study that has not left yet, until a person has looked and says `osteon retry`."""
    mine = and_(parcels.c.study_id == study_id, deliveries.c.state.in_(TO_BE_SENT))
    for delivery_id in conn.execute(select(deliveries.c.id).join_from(deliveries, parcels).where(mine)).scalars().all():
        park(conn, delivery_id, why, now)


def unpark(conn: Connection, study_id: int, now: float) -> dict[str, Any] | None:
    """Make the parked deliveries of the study's last parcels due again, but for those to removed peers.

    Returns the outcome and explanation of the run they belong to; None when there was nothing to send again.
    """
    last = select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id).scalar_subquery()
    living = select(peers.c.id).where(peers.c.removed_at.is_(None))
    mine = and_(parcels.c.study_id == study_id, parcels.c.run_id == last, parcels.c.peer_id.in_(living))
    ids = select(parcels.c.id).where(mine)
    parked = and_(deliveries.c.parcel_id.in_(ids), deliveries.c.state == DeliveryState.PARKED)
    touched = list(conn.execute(select(deliveries.c.parcel_id).where(parked)).scalars())
    conn.execute(update(deliveries).where(parked).values(state=DeliveryState.PENDING, changed_at=now))
    conn.execute(
        update(parcels).where(parcels.c.id.in_(touched)).values(is_open=True, since=now, due_at=now, attempts=0)
    )
    if not touched:
        return None
    run = conn.execute(select(runs.c.outcome, runs.c.explanation).where(runs.c.id == last)).one()
    return {"outcome": run.outcome, "explanation": run.explanation}


def _locked(conn: Connection, delivery_id: int) -> Row[Any]:
    """The delivery with its parcel, result and peer; its study's row is held, so that two endings follow each other."""
    found = select(parcels.c.study_id).join_from(deliveries, parcels).where(deliveries.c.id == delivery_id)
    study_id = conn.execute(found).scalar()
    if study_id is None:
        raise errors.Unknown(f"There is no delivery {delivery_id}.")
    locked(conn, study_id)
    row: Row[Any] = conn.execute(joined().where(deliveries.c.id == delivery_id)).one()
    return row


def _set(conn: Connection, delivery_id: int, now: float, **values: Any) -> None:
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(changed_at=now, **values))
