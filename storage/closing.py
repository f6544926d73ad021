"""What the deliveries of a study together say of the study: it is being sent, has arrived, or has failed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from storage import audit_studies, events
from storage.events import EventKind
from storage.moves import locked, move
from storage.outbox import joined
from storage.states import ON_ITS_WAY, TO_BE_SENT, DeliveryState, Outcome, StudyState
from storage.tables import deliveries, parcels, peers, results, runs, stand_ins

COMPANIONS = frozenset({"map", "adc", "gsps", "sc", "pdf", "kos", "segment-sr", "rejection"})
"""Kinds that only show again what segmentation and report say, can be computed from what the peer has, or tidy up after
them: one that does not take them has all the same."""
OTHER_PATIENT = Outcome.INPUT_PATIENT_MISMATCH.value
"""How the words begin of a delivery that is held because an archive has the study under another patient."""
NOBODY = (
    "No peer receives these results, so they are kept here and nobody sees them. Name one (osteon peers remove, then "
    "add with --results own or all), then osteon retry."
)


def sending_state(conn: Connection, run_id: int) -> tuple[StudyState, dict[str, Any]]:
    """Where a study stands whose answer is that of `run_id`, and the values that go with it."""
    rows = conn.execute(joined().where(parcels.c.run_id == run_id).order_by(deliveries.c.id)).all()
    run = conn.execute(select(runs.c.outcome, runs.c.explanation).where(runs.c.id == run_id)).one()
    if not rows and conn.execute(select(func.count()).where(results.c.run_id == run_id)).scalar():
        return StudyState.FAILED, {"outcome": Outcome.FAILED_SEND, "explanation": f"{NOBODY}\n{run.explanation}"}
    if any(row.state in ON_ITS_WAY for row in rows):
        return StudyState.SENDING, {}
    pairs = [
        (pair.delivery_id, pair.instead_of)
        for pair in conn.execute(select(stand_ins).where(stand_ins.c.delivery_id.in_([row.id for row in rows])))
    ]
    replaced = [row for row in rows if row.state == DeliveryState.REPLACED]
    needed = {number for number, other in pairs if other in {row.id for row in replaced}}
    parked = [row for row in rows if row.state == DeliveryState.PARKED]
    if other := [row.error for row in parked if row.error.startswith(OTHER_PATIENT)]:
        return StudyState.FAILED, {"outcome": Outcome.INPUT_PATIENT_MISMATCH, "explanation": other[0]}
    missed = [row for row in parked if row.kind not in COMPANIONS or row.id in needed or row.accepted_at is not None]
    if missed:
        return StudyState.FAILED, _failure(missed, len(parked), sum(row.state != DeliveryState.RESERVE for row in rows))
    remarks = [_remark(row, [other for other in rows if (other.id, row.id) in pairs]) for row in replaced]
    explanation = "\n".join([run.explanation, *dict.fromkeys(remarks)])
    return StudyState.DELIVERED, {"outcome": run.outcome, "explanation": explanation}


def _failure(missed: list[Row[Any]], parked: int, count: int) -> dict[str, Any]:
    """The outcome of a study of whose `count` results that had to arrive `parked` did not."""
    first = missed[0]
    if all(row.accepted_at is not None for row in missed):
        said = f"{len(missed)} of {count} results were accepted, and not confirmed."
        return {"outcome": Outcome.FAILED_COMMIT, "explanation": f"{said} {first.kind} at {first.peer}: {first.error}"}
    said = f"{parked} of {count} results were not taken."
    return {"outcome": Outcome.FAILED_SEND, "explanation": f"{said} {first.kind} to {first.peer}: {first.error}"}


def _remark(replaced: Row[Any], stand_in: list[Row[Any]]) -> str:
    """What an admin has to know of a result that reached a peer in another form."""
    there = [row.kind for row in stand_in if row.state == DeliveryState.DELIVERED]
    said = f"{replaced.peer} does not take the {replaced.kind}"
    return f"{said}; it got {in_place(replaced.kind, there)} instead." if there else f"{said}."


def in_place(kind: str, stand_ins: Sequence[str]) -> str:
    """What goes in the place of an object of `kind`, in words."""
    return ", ".join("the same in another form" if one == kind else one for one in dict.fromkeys(stand_ins))


def close_when_done(conn: Connection, parcel_id: int, now: float) -> None:
    """Close a parcel when nothing of it is left to be sent, and its study when nothing of it is on its way any more."""
    mine = deliveries.c.parcel_id == parcel_id
    counted = select(deliveries.c.state, func.count()).where(mine).group_by(deliveries.c.state)
    counts: dict[str, int] = {row[0]: row[1] for row in conn.execute(counted)}
    if any(state in counts for state in TO_BE_SENT):
        return
    query = select(parcels, peers.c.name.label("peer")).join(peers, peers.c.id == parcels.c.peer_id)
    parcel = conn.execute(query.where(parcels.c.id == parcel_id)).one()
    conn.execute(update(parcels).where(parcels.c.id == parcel_id).values(is_open=False))
    if DeliveryState.ACCEPTED in counts:
        if parcel.is_open:
            count = counts[DeliveryState.ACCEPTED]
            said = f"{parcel.peer} has accepted {count} result(s); it is asked whether it keeps them."
            events.add(conn, parcel.study_id, EventKind.ACCEPTED, said, now)
        return
    if DeliveryState.PARKED not in counts:
        said = f"Every result was delivered to {parcel.peer}."
        events.add(conn, parcel.study_id, EventKind.DELIVERED, said, now)
    audit_studies.sent(conn, parcel, now)
    _move_study(conn, parcel.study_id, parcel.run_id, now)


def _move_study(conn: Connection, study_id: int, run_id: int, now: float) -> None:
    """When the last parcel of the study's newest answer is closed, the study has arrived or has failed."""
    study = locked(conn, study_id)
    newest = conn.execute(select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id)).scalar()
    unconfirmed = study.state == StudyState.FAILED and study.outcome == Outcome.FAILED_COMMIT
    if run_id != newest or not (study.state == StudyState.SENDING or unconfirmed):
        return
    after, values = sending_state(conn, run_id)
    if after is StudyState.DELIVERED:
        move(conn, study, after, EventKind.DELIVERED, "The study is delivered.", now, **values)
    elif after is StudyState.FAILED and not unconfirmed:
        move(conn, study, after, EventKind.PARKED, values["explanation"], now, **values)
