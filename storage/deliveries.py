"""The outbox: what of a run has to reach which peer, and how far it is.

The results of one run for one peer are one parcel, claimed and sent as a unit; its deliveries keep their order. A
parcel whose lease runs out is due again by itself, and a study's later parcel waits for its earlier ones. What a late
image does to a study does not call a parcel back: what was made is delivered, and the newer result names it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, case, exists, func, insert, select, update

from storage import errors, events
from storage.events import EventKind
from storage.moves import locked, move
from storage.results import ResultFile, as_file
from storage.states import DeliveryState, Outcome, StudyState
from storage.tables import deliveries, parcels, peers, results, runs

COMPANIONS = frozenset({"gsps", "sc", "adc"})
"""Kinds that only show again what segmentation and report say, or can be computed from what the peer has: one that does
not take them has all the same."""
NOBODY = (
    "No peer receives these results, so they are kept here and nobody sees them. Name one (osteon peers remove, then "
    "add with --results own or all), then osteon retry."
)
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


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
    still_open = and_(deliveries.c.parcel_id == parcel.id, deliveries.c.state.in_(_OPEN))
    conn.execute(update(deliveries).where(still_open).values(state=DeliveryState.SENDING, changed_at=now))
    joined = select(deliveries.c.id.label("delivery_id"), results).join_from(deliveries, results)
    rows = conn.execute(joined.where(still_open).order_by(results.c.position, results.c.id))
    items = tuple((row.delivery_id, as_file(row)) for row in rows)
    return Parcel(parcel.id, parcel.study_id, parcel.run_id, peer_id, owner, parcel.attempts + 1, parcel.since, items)


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


def delivered(conn: Connection, delivery_id: int, status: int, now: float) -> None:
    """The peer took the object (success or a warning); with the last one the study is delivered."""
    delivery = _locked(conn, delivery_id)
    if delivery.state == DeliveryState.DELIVERED:
        return
    _set(conn, delivery_id, now, state=DeliveryState.DELIVERED, status=status, error="")
    _close_when_done(conn, delivery, now)


def later(
    conn: Connection, delivery_id: int, next_at: float, error: str, now: float, status: int | None = None
) -> None:
    """The object could not be sent now: it, and what follows it in its parcel, waits until `next_at`."""
    delivery = _locked(conn, delivery_id)
    if delivery.state not in _OPEN:
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
    if delivery.state not in _OPEN:
        return
    _set(conn, delivery_id, now, state=DeliveryState.PARKED, status=status, error=error)
    said = f"A result ({delivery.kind}) is not sent to {delivery.peer} any more: {error}"
    events.add(conn, delivery.study_id, EventKind.PARKED, said, now)
    _close_when_done(conn, delivery, now)


def hold(conn: Connection, study_id: int, why: str, now: float) -> None:
    """Park every result of the study that has not left yet, until a person has looked and says `osteon retry`."""
    mine = and_(parcels.c.study_id == study_id, deliveries.c.state.in_(_OPEN))
    for delivery_id in conn.execute(select(deliveries.c.id).join_from(deliveries, parcels).where(mine)).scalars().all():
        park(conn, delivery_id, why, now)


def outbox(conn: Connection, study_id: int) -> list[Delivery]:
    """Every delivery of a study, oldest first."""
    rows = conn.execute(_joined().where(parcels.c.study_id == study_id).order_by(deliveries.c.id))
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


def dispatch(
    conn: Connection, study_id: int, run_id: int, result_ids: Sequence[int], peer_ids: Sequence[int], now: float
) -> None:
    """Put the results of a run into one parcel per peer, due at once."""
    for peer_id in dict.fromkeys(peer_ids):
        parcel = {
            "study_id": study_id,
            "run_id": run_id,
            "peer_id": peer_id,
            "is_open": True,
            "since": now,
            "due_at": now,
        }
        parcel_id = conn.execute(insert(parcels).returning(parcels.c.id), parcel).scalar_one()
        rows = [
            {"parcel_id": parcel_id, "result_id": result_id, "state": DeliveryState.PENDING, "changed_at": now}
            for result_id in result_ids
        ]
        conn.execute(insert(deliveries), rows)


def hasten(conn: Connection, study_id: int, now: float) -> None:
    """Try the waiting parcels of a study at once: newer ones wait behind them, or a person asks for it."""
    sending = exists().where(deliveries.c.parcel_id == parcels.c.id, deliveries.c.state == DeliveryState.SENDING)
    waiting = and_(parcels.c.study_id == study_id, parcels.c.is_open, parcels.c.due_at > now, ~sending)
    conn.execute(update(parcels).where(waiting).values(due_at=now))


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


def sending_state(conn: Connection, run_id: int) -> tuple[StudyState, dict[str, Any]]:
    """Where a study stands whose answer is that of `run_id`, and the values that go with it."""
    rows = conn.execute(_joined().where(parcels.c.run_id == run_id).order_by(deliveries.c.id)).all()
    if not rows and conn.execute(select(func.count()).where(results.c.run_id == run_id)).scalar():
        explanation = conn.execute(select(runs.c.explanation).where(runs.c.id == run_id)).scalar_one()
        return StudyState.FAILED, {"outcome": Outcome.FAILED_SEND, "explanation": f"{NOBODY}\n{explanation}"}
    if any(row.state in _OPEN for row in rows):
        return StudyState.SENDING, {}
    parked = [row for row in rows if row.state == DeliveryState.PARKED]
    if all(row.kind in COMPANIONS for row in parked):
        return StudyState.DELIVERED, {}
    said = (
        f"{len(parked)} of {len(rows)} results were not taken. {parked[0].kind} to {parked[0].peer}: {parked[0].error}"
    )
    return StudyState.FAILED, {"outcome": Outcome.FAILED_SEND, "explanation": said}


def _joined() -> Any:
    columns = (deliveries, parcels.c.study_id, parcels.c.run_id, parcels.c.attempts, parcels.c.due_at, results.c.kind)
    return (
        select(*columns, peers.c.name.label("peer"))
        .join_from(deliveries, parcels)
        .join(peers, peers.c.id == parcels.c.peer_id)
        .join(results, results.c.id == deliveries.c.result_id)
    )


def _locked(conn: Connection, delivery_id: int) -> Row[Any]:
    """The delivery with its parcel, result and peer; its study's row is held, so that two endings follow each other."""
    found = select(parcels.c.study_id).join_from(deliveries, parcels).where(deliveries.c.id == delivery_id)
    study_id = conn.execute(found).scalar()
    if study_id is None:
        raise errors.Unknown(f"There is no delivery {delivery_id}.")
    locked(conn, study_id)
    row: Row[Any] = conn.execute(_joined().where(deliveries.c.id == delivery_id)).one()
    return row


def _set(conn: Connection, delivery_id: int, now: float, **values: Any) -> None:
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(changed_at=now, **values))


def _close_when_done(conn: Connection, delivery: Row[Any], now: float) -> None:
    own = deliveries.c.parcel_id == delivery.parcel_id
    left = conn.execute(select(func.count()).where(own, deliveries.c.state.in_(_OPEN))).scalar_one()
    if left:
        return
    conn.execute(update(parcels).where(parcels.c.id == delivery.parcel_id).values(is_open=False))
    parked = conn.execute(select(func.count()).where(own, deliveries.c.state == DeliveryState.PARKED)).scalar_one()
    if not parked:
        said = f"Every result was delivered to {delivery.peer}."
        events.add(conn, delivery.study_id, EventKind.DELIVERED, said, now)
    _move_study(conn, delivery.study_id, delivery.run_id, now)


def _move_study(conn: Connection, study_id: int, run_id: int, now: float) -> None:
    """When the last parcel of the study's newest answer is closed, the study has arrived or has failed."""
    study = locked(conn, study_id)
    newest = conn.execute(select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id)).scalar()
    if study.state != StudyState.SENDING or run_id != newest:
        return
    after, values = sending_state(conn, run_id)
    if after is StudyState.DELIVERED:
        move(conn, study, after, EventKind.DELIVERED, "The study is delivered.", now)
    elif after is StudyState.FAILED:
        move(conn, study, after, EventKind.PARKED, values["explanation"], now, **values)
