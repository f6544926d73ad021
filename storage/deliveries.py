"""One result object on its way to one peer: what became of it, told by who sends it or by a person."""

from typing import Any

from sqlalchemy import Connection, and_, select, update

from storage import confirmations, events
from storage.closing import close_when_done
from storage.events import EventKind
from storage.outbox import held
from storage.states import TO_BE_SENT, DeliveryState
from storage.tables import deliveries, parcels

_THERE = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)


def delivered(conn: Connection, delivery_id: int, status: int, now: float) -> None:
    """A peer whose answer is proof enough took the object; with the last one the study is delivered."""
    delivery = held(conn, delivery_id)
    if delivery.state in _THERE:
        return
    _set(conn, delivery_id, now, state=DeliveryState.DELIVERED, status=status, error="", accepted_at=now)
    close_when_done(conn, delivery.parcel_id, now)


def accepted(conn: Connection, delivery_id: int, status: int, ask_at: float, now: float) -> None:
    """The peer took the object (success or a warning); from `ask_at` on it is asked whether it keeps it."""
    delivery = held(conn, delivery_id)
    if delivery.state in _THERE:
        return
    _set(conn, delivery_id, now, state=DeliveryState.ACCEPTED, status=status, error="", accepted_at=now)
    confirmations.expect(conn, delivery.parcel_id, ask_at, now)
    close_when_done(conn, delivery.parcel_id, now)


def later(
    conn: Connection, delivery_id: int, next_at: float, error: str, now: float, status: int | None = None
) -> None:
    """The object could not be sent now: it, and what follows it in its parcel, waits until `next_at`."""
    delivery = held(conn, delivery_id)
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
    delivery = held(conn, delivery_id)
    if delivery.state not in TO_BE_SENT:
        return
    _set(conn, delivery_id, now, state=DeliveryState.PARKED, status=status, error=error)
    said = f"A result ({delivery.kind}) is not sent to {delivery.peer} any more: {error}"
    events.add(conn, delivery.study_id, EventKind.PARKED, said, now)
    close_when_done(conn, delivery.parcel_id, now)


def hold(conn: Connection, study_id: int, why: str, now: float) -> None:
    """Park every result of the study that has not left yet, until a person has looked and says `osteon retry`."""
    mine = and_(parcels.c.study_id == study_id, deliveries.c.state.in_(TO_BE_SENT))
    for delivery_id in conn.execute(select(deliveries.c.id).join_from(deliveries, parcels).where(mine)).scalars().all():
        park(conn, delivery_id, why, now)


def _set(conn: Connection, delivery_id: int, now: float, **values: Any) -> None:
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(changed_at=now, **values))
