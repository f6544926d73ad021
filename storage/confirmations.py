"""What peers accepted and have not confirmed yet: whom to ask, when, and what their answers make of it.

A row stands for a parcel as long as anything of it is accepted and no more. A peer is asked once nothing of the parcel
is left to be sent. Whoever asks holds a lease: when it runs out, or its owner is dead, another asks.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from storage import events
from storage.closing import close_when_done
from storage.events import EventKind
from storage.moves import locked
from storage.results import ResultFile, as_file
from storage.states import DeliveryState
from storage.tables import commitment_items, confirmations, deliveries, parcels, peers, results, studies

HOW = {"commitment": "by storage commitment", "find": "by a query", "": "as far as it can: its answer is believed"}
"""By what a delivery was confirmed, in words."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What one asker has to find out from one peer."""

    parcel_id: int
    study_id: int
    study_instance_uid: str
    owner: str
    asks: int
    """How often the peer was asked for storage commitment since it answered last."""
    tries: int
    """How often in a row it could not even be asked."""
    since: float
    """When the first of these objects was accepted."""
    by_find: bool
    """Storage commitment was given up for this parcel."""
    items: tuple[tuple[int, ResultFile], ...]
    """(number of the delivery, the result) of what was accepted."""


@dataclass(frozen=True, slots=True)
class Resend:
    """What becomes of an object that a peer accepted and does not have."""

    at: float
    """When it is sent again, unix seconds."""
    limit: int
    """How often it is; then a person must look."""


def expect(conn: Connection, parcel_id: int, ask_at: float, now: float) -> None:
    """Something of the parcel was accepted: its peer is to be asked from `ask_at` on."""
    mine = confirmations.c.parcel_id == parcel_id
    if conn.execute(update(confirmations).where(mine).values(due_at=ask_at)).rowcount:
        return
    row = {"parcel_id": parcel_id, "since": now, "due_at": ask_at, "by_find": False}
    conn.execute(insert(confirmations), row)


def due_peers(conn: Connection, now: float) -> list[int]:
    """The peers that are to be asked now."""
    query = select(parcels.c.peer_id).join_from(confirmations, parcels).where(_due(now))
    return list(conn.execute(query.distinct().order_by(parcels.c.peer_id)).scalars())


def claim(conn: Connection, peer_id: int, owner: str, lease_s: float, now: float) -> Confirmation | None:
    """Take what this peer has been to be asked of for longest; None when it is to be asked nothing now."""
    query = (
        select(confirmations, parcels.c.study_id, studies.c.study_instance_uid)
        .join_from(confirmations, parcels)
        .join(studies, studies.c.id == parcels.c.study_id)
        .where(_due(now), parcels.c.peer_id == peer_id)
        .order_by(confirmations.c.due_at, confirmations.c.parcel_id)
        .limit(1)
    )
    row = conn.execute(query.with_for_update(skip_locked=True, of=confirmations)).one_or_none()
    if row is None:
        return None
    _set(conn, row.parcel_id, due_at=now + lease_s, owner=owner)
    joined = select(deliveries.c.id.label("delivery_id"), results).join_from(deliveries, results)
    left = joined.where(_accepted(row.parcel_id)).order_by(results.c.position, results.c.id)
    items = tuple((each.delivery_id, as_file(each)) for each in conn.execute(left))
    return Confirmation(
        parcel_id=row.parcel_id,
        study_id=row.study_id,
        study_instance_uid=row.study_instance_uid,
        owner=owner,
        asks=row.asks,
        tries=row.tries,
        since=row.since,
        by_find=row.by_find,
        items=items,
    )


def postpone(
    conn: Connection, confirmation: Confirmation, due_at: float, *, asks: int, tries: int, by_find: bool
) -> None:
    """Ask (again) from `due_at` on, unless what was asked for has been answered meanwhile."""
    ours = and_(confirmations.c.parcel_id == confirmation.parcel_id, confirmations.c.owner == confirmation.owner)
    values = {"due_at": due_at, "owner": "", "asks": asks, "tries": tries, "by_find": by_find}
    conn.execute(update(confirmations).where(ours).values(**values))


def free_dead(conn: Connection, is_dead: Callable[[str], bool], now: float) -> int:
    """Let what a dead asker had in hand be asked by another at once; how many parcels."""
    in_hand = and_(confirmations.c.owner != "", confirmations.c.due_at > now)
    rows = conn.execute(select(confirmations.c.parcel_id, confirmations.c.owner).where(in_hand)).all()
    dead = [row.parcel_id for row in rows if is_dead(row.owner)]
    for parcel_id in dead:
        _set(conn, parcel_id, due_at=now, owner="")
    return len(dead)


def hasten(conn: Connection, study_id: int, now: float) -> None:
    """Ask at once for what waits for its next asking: a person wants it."""
    mine = select(parcels.c.id).where(parcels.c.study_id == study_id)
    waiting = and_(confirmations.c.parcel_id.in_(mine), confirmations.c.owner == "", confirmations.c.due_at > now)
    conn.execute(update(confirmations).where(waiting).values(due_at=now))


def confirmed(conn: Connection, parcel_id: int, delivery_ids: Collection[int], by: str, now: float) -> None:
    """The peer has these objects of a parcel for good. `by` is a key of `HOW`."""
    peer, study_id = _parcel(conn, parcel_id)
    believed = or_(_accepted(parcel_id), _given_up(parcel_id))
    values = {"state": DeliveryState.DELIVERED, "changed_at": now, "error": "", "confirmed_by": by}
    values |= {"confirmed_at": now} if by else {}
    mine = and_(believed, deliveries.c.id.in_(delivery_ids))
    count = conn.execute(update(deliveries).where(mine).values(**values)).rowcount
    if count:
        said = f"{peer} has {count} result(s), confirmed {HOW[by]}."
        events.add(conn, study_id, EventKind.CONFIRMED, said, now)
    settle(conn, parcel_id, now)


def missing(conn: Connection, parcel_id: int, words: Mapping[int, str], resend: Resend, now: float) -> None:
    """The peer does not have these objects, though it accepted them: the same bytes go again, or a person must look.

    Parameters
    ----------
    words
        By delivery, what the peer says of it.
    """
    peer, study_id = _parcel(conn, parcel_id)
    mine = and_(_accepted(parcel_id), deliveries.c.id.in_(words))
    query = select(deliveries.c.id, deliveries.c.resends, results.c.kind).join_from(deliveries, results).where(mine)
    told: dict[tuple[str, bool], list[str]] = {}
    for row in conn.execute(query.order_by(deliveries.c.id)).all():
        again = row.resends < resend.limit
        state = DeliveryState.PENDING if again else DeliveryState.PARKED
        values = {"state": state, "error": words[row.id], "resends": row.resends + again, "changed_at": now}
        conn.execute(update(deliveries).where(deliveries.c.id == row.id).values(**values))
        # what is asked from here on speaks of what will be sent, not of what was
        conn.execute(delete(commitment_items).where(commitment_items.c.delivery_id == row.id))
        told.setdefault((words[row.id], again), []).append(row.kind)
    for (said, again), kinds in told.items():
        which = f"{len(kinds)} result(s) that {peer} accepted ({', '.join(dict.fromkeys(kinds))})"
        kind, rest = (EventKind.DELAYED, "sent again") if again else (EventKind.PARKED, "not sent again")
        events.add(conn, study_id, kind, f"{which} are {rest}: {said}", now)
    if any(again for _, again in told):
        reopened = {"is_open": True, "due_at": resend.at, "since": now, "attempts": 0}
        conn.execute(update(parcels).where(parcels.c.id == parcel_id).values(**reopened))
    settle(conn, parcel_id, now)


def give_up(conn: Connection, parcel_id: int, why: str, now: float) -> int:
    """Park what the peer accepted and does not confirm, until a person has looked; how many objects."""
    peer, study_id = _parcel(conn, parcel_id)
    values = {"state": DeliveryState.PARKED, "error": why, "changed_at": now}
    count = conn.execute(update(deliveries).where(_accepted(parcel_id)).values(**values)).rowcount
    if count:
        said = f"{count} result(s) that {peer} accepted are not confirmed: {why}"
        events.add(conn, study_id, EventKind.PARKED, said, now)
    settle(conn, parcel_id, now)
    return count


def settle(conn: Connection, parcel_id: int, now: float) -> None:
    """Forget a parcel of which nothing is left to ask; with that its study may have arrived."""
    if conn.execute(select(func.count()).where(_accepted(parcel_id))).scalar_one():
        return
    conn.execute(delete(confirmations).where(confirmations.c.parcel_id == parcel_id))
    close_when_done(conn, parcel_id, now)


def _due(now: float) -> ColumnElement[bool]:
    return and_(confirmations.c.due_at <= now, ~parcels.c.is_open)


def _accepted(parcel_id: int) -> ColumnElement[bool]:
    return and_(deliveries.c.parcel_id == parcel_id, deliveries.c.state == DeliveryState.ACCEPTED)


def _given_up(parcel_id: int) -> ColumnElement[bool]:
    """What was accepted, not confirmed, and parked for that: a late confirmation still counts."""
    parked = and_(deliveries.c.parcel_id == parcel_id, deliveries.c.state == DeliveryState.PARKED)
    return and_(parked, deliveries.c.accepted_at.is_not(None))


def _set(conn: Connection, parcel_id: int, **values: object) -> None:
    conn.execute(update(confirmations).where(confirmations.c.parcel_id == parcel_id).values(**values))


def _parcel(conn: Connection, parcel_id: int) -> tuple[str, int]:
    """The parcel's peer by name and its study, whose row is held, so that two endings follow each other."""
    query = select(peers.c.name, parcels.c.study_id).join_from(parcels, peers).where(parcels.c.id == parcel_id)
    row = conn.execute(query).one()
    locked(conn, row.study_id)
    return row.name, row.study_id
