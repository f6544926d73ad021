"""What goes instead of an object whose class a peer does not take, and what that makes of both.

Everything was made at analysis time (node/report/profile.py); here it is only decided what is sent. One object may
stand in for several, and several for one; what stands in for another may be refused in its turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from storage import events
from storage.closing import close_when_done, in_place
from storage.events import EventKind
from storage.outbox import held
from storage.results import ResultFile, as_file
from storage.states import TO_BE_SENT, DeliveryState
from storage.tables import deliveries, results, stand_ins

Edges = Mapping[int, tuple[int, ...]]
"""Delivery → what stands in for it."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What goes instead of a refused object."""

    bound: frozenset[int]
    """Deliveries that stand in for it now."""
    promoted: tuple[tuple[int, ResultFile], ...]
    """Those of them that waited in reserve; whoever has the parcel in hand has them too, to be sent in their turn."""


def refused(
    conn: Connection, delivery_id: int, error: str, now: float, status: int | None = None
) -> Replacement | None:
    """The peer does not take the class of this object: what stands in for it goes instead.

    None when nothing does, or when the object is not to be sent any more: nothing was changed.
    """
    delivery = held(conn, delivery_id)
    edges, states = _parcel(conn, delivery.parcel_id)
    bound = in_its_place(delivery_id, edges, states)
    if not bound or delivery.state not in TO_BE_SENT:
        return None
    values = {"state": DeliveryState.REPLACED, "status": status, "error": error, "changed_at": now}
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))
    waiting = [number for number in bound if states[number] is DeliveryState.RESERVE]
    going = {"state": DeliveryState.SENDING, "changed_at": now}
    conn.execute(update(deliveries).where(deliveries.c.id.in_(waiting)).values(**going))
    joined = select(deliveries.c.id.label("delivery_id"), results).join_from(deliveries, results)
    rows = conn.execute(joined.where(deliveries.c.id.in_(bound)).order_by(results.c.position, results.c.id)).all()
    kinds = in_place(delivery.kind, [row.kind for row in rows])
    said = f"{delivery.peer} does not take a result ({delivery.kind}); in its place goes: {kinds}. {error}"
    events.add(conn, delivery.study_id, EventKind.REPLACED, said, now)
    close_when_done(conn, delivery.parcel_id, now)
    promoted = tuple((row.delivery_id, as_file(row)) for row in rows if row.delivery_id in waiting)
    return Replacement(frozenset(bound), promoted)


def in_its_place(delivery_id: int, edges: Edges, states: Mapping[int, DeliveryState]) -> frozenset[int]:
    """What stands in for a refused object and was not refused itself; empty when nothing is left.

    A stand-in that was refused before counts by what stands in for it.
    """
    found: set[int] = set()
    for number in edges.get(delivery_id, ()):
        if states[number] is DeliveryState.REPLACED:
            found |= in_its_place(number, edges, states)
        elif states[number] is not DeliveryState.PARKED:
            found.add(number)
    return frozenset(found)


def replacing(conn: Connection, parcel_id: int) -> frozenset[int]:
    """The deliveries of a parcel that stand in for one that the peer refused."""
    was_refused = (deliveries.c.parcel_id == parcel_id) & (deliveries.c.state == DeliveryState.REPLACED)
    query = select(stand_ins.c.delivery_id).join(deliveries, deliveries.c.id == stand_ins.c.instead_of)
    return frozenset(conn.execute(query.where(was_refused)).scalars())


def begin_again(conn: Connection, parcel_id: int, now: float) -> None:
    """Let every chain of a parcel that was refused to its end begin at its head: the peer may have learnt since."""
    edges, states = _parcel(conn, parcel_id)
    dead = {
        number
        for number, state in states.items()
        if state is DeliveryState.REPLACED and not in_its_place(number, edges, states)
    }
    in_dead_places = {number for other in dead for number in edges[other]}
    never_taken = select(deliveries.c.id).where(
        deliveries.c.id.in_(in_dead_places),
        deliveries.c.state == DeliveryState.PARKED,
        deliveries.c.accepted_at.is_(None),
    )
    chains = dead | set(conn.execute(never_taken).scalars())
    reserves = stand_ins.c.delivery_id.in_(chains) & stand_ins.c.in_reserve
    to_wait = set(conn.execute(select(stand_ins.c.delivery_id).where(reserves)).scalars())
    for state, numbers in ((DeliveryState.RESERVE, to_wait), (DeliveryState.PENDING, chains - to_wait)):
        values = {"state": state, "status": None, "error": "", "changed_at": now}
        conn.execute(update(deliveries).where(deliveries.c.id.in_(numbers)).values(**values))


def _parcel(conn: Connection, parcel_id: int) -> tuple[dict[int, tuple[int, ...]], dict[int, DeliveryState]]:
    """Who stands in for whom in a parcel, and where each is."""
    mine = deliveries.c.parcel_id == parcel_id
    states = {
        number: DeliveryState(state)
        for number, state in conn.execute(select(deliveries.c.id, deliveries.c.state).where(mine))
    }
    edges: dict[int, tuple[int, ...]] = {}
    pairs = select(stand_ins.c.instead_of, stand_ins.c.delivery_id).join(
        deliveries, deliveries.c.id == stand_ins.c.delivery_id
    )
    for instead_of, number in conn.execute(pairs.where(mine).order_by(stand_ins.c.delivery_id)):
        edges[instead_of] = (*edges.get(instead_of, ()), number)
    return edges, states
