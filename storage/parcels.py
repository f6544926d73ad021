"""The queue of what has to reach which peer.

The results of one run for one peer are one parcel, claimed and sent as a unit; its deliveries keep their order. A
parcel whose lease runs out is due again by itself, and a study's later parcel waits for its earlier ones. What a late
image does to a study does not call a parcel back: what was made is delivered, and the newer result names it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, insert, select, update

from storage.fallbacks import replacing
from storage.results import ResultFile, as_file
from storage.states import TO_BE_SENT, DeliveryState
from storage.tables import deliveries, parcels, peers, results, stand_ins


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one sender has to bring to one peer, in this order."""

    id: int
    study_id: int
    run_id: int
    peer_id: int
    owner: str
    attempt: int
    since: float
    """When these results were first due: a sender gives up a while after that."""
    items: tuple[tuple[int, ResultFile], ...]
    """(number of the delivery, the result)."""
    bound: frozenset[int] = frozenset()
    """Those of them that stand in for an object which the peer refused: no companions any more."""
    reserves: tuple[ResultFile, ...] = ()
    """What may go instead of one of them, so that its class can be proposed."""


def dispatch(
    conn: Connection,
    study_id: int,
    run_id: int,
    made: Sequence[tuple[int, ResultFile]],
    peer_ids: Sequence[int],
    now: float,
) -> int:
    """Put the results of a run into one parcel per peer, each with what the peer's profile asks for, due at once.

    Parameters
    ----------
    made
        Number and value of every result of the run.

    Returns
    -------
    int
        How many parcels there are: none for a peer whose profile asks for nothing of this.
    """
    rows = conn.execute(select(peers.c.id, peers.c.profile).where(peers.c.id.in_(peer_ids)))
    profiles = {row.id: row.profile for row in rows}
    count = 0
    for peer_id in dict.fromkeys(peer_ids):
        wanted = [
            (result_id, file, role)
            for result_id, file in made
            if (role := file.role_for(profiles.get(peer_id, ""))) is not None
        ]
        if not any(not role.in_reserve for _, _, role in wanted):
            continue
        count += 1
        parcel = {
            "study_id": study_id,
            "run_id": run_id,
            "peer_id": peer_id,
            "is_open": True,
            "since": now,
            "due_at": now,
        }
        parcel_id = conn.execute(insert(parcels).returning(parcels.c.id), parcel).scalar_one()
        numbers: dict[str, int] = {}
        for result_id, file, role in wanted:
            state = DeliveryState.RESERVE if role.in_reserve else DeliveryState.PENDING
            row = {"parcel_id": parcel_id, "result_id": result_id, "state": state, "changed_at": now}
            new = insert(deliveries).returning(deliveries.c.id)
            numbers[file.sop_instance_uid] = conn.execute(new, row).scalar_one()
        pairs = [
            {
                "delivery_id": numbers[file.sop_instance_uid],
                "instead_of": numbers[uid],
                "in_reserve": role.in_reserve,
            }
            for _, file, role in wanted
            for uid in role.instead_of
            if uid in numbers
        ]
        if pairs:
            conn.execute(insert(stand_ins), pairs)
    return count


def due_peers(conn: Connection, now: float) -> list[int]:
    """The peers for which a parcel is due."""
    due = and_(parcels.c.is_open, parcels.c.due_at <= now)
    return list(conn.execute(select(parcels.c.peer_id).where(due).distinct().order_by(parcels.c.peer_id)).scalars())


def claim_next(conn: Connection, peer_id: int, owner: str, lease_s: float, now: float) -> Parcel | None:
    """Take the parcel for this peer that has been due for longest; None when none is. Commit before sending."""
    earlier = parcels.alias()
    first = ~exists().where(
        earlier.c.study_id == parcels.c.study_id,
        earlier.c.peer_id == peer_id,
        earlier.c.is_open,
        earlier.c.id < parcels.c.id,
    )
    due = and_(parcels.c.peer_id == peer_id, parcels.c.is_open, parcels.c.due_at <= now, first)
    oldest = select(parcels).where(due).order_by(parcels.c.due_at, parcels.c.id).limit(1)
    parcel = conn.execute(oldest.with_for_update(skip_locked=True)).one_or_none()
    if parcel is None:
        return None
    taken = {"due_at": now + lease_s, "owner": owner, "attempts": parcel.attempts + 1}
    conn.execute(update(parcels).where(parcels.c.id == parcel.id).values(**taken))
    still_open = and_(deliveries.c.parcel_id == parcel.id, deliveries.c.state.in_(TO_BE_SENT))
    conn.execute(update(deliveries).where(still_open).values(state=DeliveryState.SENDING, changed_at=now))
    joined = select(deliveries.c.id.label("delivery_id"), results).join_from(deliveries, results)
    rows = conn.execute(joined.where(still_open).order_by(results.c.position, results.c.id))
    items = tuple((row.delivery_id, as_file(row)) for row in rows)
    bound = replacing(conn, parcel.id)
    waiting = and_(deliveries.c.parcel_id == parcel.id, deliveries.c.state == DeliveryState.RESERVE)
    reserves = tuple(as_file(row) for row in conn.execute(joined.where(waiting).order_by(results.c.id)))
    return Parcel(
        id=parcel.id,
        study_id=parcel.study_id,
        run_id=parcel.run_id,
        peer_id=peer_id,
        owner=owner,
        attempt=parcel.attempts + 1,
        since=parcel.since,
        items=items,
        bound=bound,
        reserves=reserves,
    )


def renew(conn: Connection, parcel: Parcel, lease_s: float, now: float) -> bool:
    """Prolong the lease of a parcel being sent; False when another sender has it by now."""
    ours = and_(parcels.c.id == parcel.id, parcels.c.is_open, parcels.c.attempts == parcel.attempt)
    return conn.execute(update(parcels).where(ours).values(due_at=now + lease_s)).rowcount == 1


def free_dead(conn: Connection, is_dead: Callable[[str], bool], now: float) -> int:
    """Make the parcels that a dead sender had in hand due at once; how many."""
    sending = and_(deliveries.c.parcel_id == parcels.c.id, deliveries.c.state == DeliveryState.SENDING)
    in_hand = and_(parcels.c.is_open, parcels.c.due_at > now, exists().where(sending))
    rows = conn.execute(select(parcels.c.id, parcels.c.owner).where(in_hand)).all()
    dead = [row.id for row in rows if is_dead(row.owner)]
    if dead:
        conn.execute(update(parcels).where(parcels.c.id.in_(dead)).values(due_at=now))
    return len(dead)


def hasten(conn: Connection, study_id: int, now: float) -> None:
    """Try the waiting parcels of a study at once: newer ones wait behind them, or a person asks for it."""
    sending = exists().where(deliveries.c.parcel_id == parcels.c.id, deliveries.c.state == DeliveryState.SENDING)
    waiting = and_(parcels.c.study_id == study_id, parcels.c.is_open, parcels.c.due_at > now, ~sending)
    conn.execute(update(parcels).where(waiting).values(due_at=now))
