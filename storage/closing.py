"""What the deliveries of a study together say of the study: it is being sent, has arrived, or has failed."""

from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from storage import events
from storage.events import EventKind
from storage.moves import locked, move
from storage.outbox import joined
from storage.states import TO_BE_SENT, DeliveryState, Outcome, StudyState
from storage.tables import deliveries, parcels, results, runs

COMPANIONS = frozenset({"map", "adc", "gsps", "sc", "pdf", "kos", "segment-sr"})
"""Kinds that only show again what segmentation and report say, or can be computed from what the peer has: one that does
not take them has all the same."""
NOBODY = (
    "No peer receives these results, so they are kept here and nobody sees them. Name one (osteon peers remove, then "
    "add with --results own or all), then osteon retry."
)


def sending_state(conn: Connection, run_id: int) -> tuple[StudyState, dict[str, Any]]:
    """Where a study stands whose answer is that of `run_id`, and the values that go with it."""
    rows = conn.execute(joined().where(parcels.c.run_id == run_id).order_by(deliveries.c.id)).all()
    if not rows and conn.execute(select(func.count()).where(results.c.run_id == run_id)).scalar():
        explanation = conn.execute(select(runs.c.explanation).where(runs.c.id == run_id)).scalar_one()
        return StudyState.FAILED, {"outcome": Outcome.FAILED_SEND, "explanation": f"{NOBODY}\n{explanation}"}
    if any(row.state in TO_BE_SENT for row in rows):
        return StudyState.SENDING, {}
    parked = [row for row in rows if row.state == DeliveryState.PARKED]
    if all(row.kind in COMPANIONS for row in parked):
        return StudyState.DELIVERED, {}
    said = (
        f"{len(parked)} of {len(rows)} results were not taken. {parked[0].kind} to {parked[0].peer}: {parked[0].error}"
    )
    return StudyState.FAILED, {"outcome": Outcome.FAILED_SEND, "explanation": said}


def close_when_done(conn: Connection, delivery: Row[Any], now: float) -> None:
    """Close the parcel of that delivery when nothing of it is left to be sent, and its study when that was the last."""
    own = deliveries.c.parcel_id == delivery.parcel_id
    left = conn.execute(select(func.count()).where(own, deliveries.c.state.in_(TO_BE_SENT))).scalar_one()
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
