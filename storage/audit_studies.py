"""What the audit trail says of a study on its way: it came, was analysed, and its results went or did not."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from storage.audit import Action, By, Entry, Indicator, add
from storage.states import DeliveryState, Outcome, StudyState, state_for
from storage.tables import arrivals, associations, deliveries, peers, results, runs, studies

_SENDERS_SHOWN = 10
_OBJECTS_SHOWN = 200


def received(conn: Connection, study: Row[Any], now: float) -> None:
    """The study has stopped arriving."""
    query = (
        select(associations.c.calling_ae, associations.c.address)
        .join_from(arrivals, associations, associations.c.id == arrivals.c.association)
        .where(arrivals.c.study_id == study.id)
        .distinct()
        .limit(_SENDERS_SHOWN)
    )
    senders = sorted((row.calling_ae, row.address) for row in conn.execute(query))
    address = next((address for title, address in senders if title == study.calling_ae), "")
    details = {"objects": study.instance_count, "images": study.image_count}
    others = [f"{title} {address}" for title, address in senders if title != study.calling_ae]
    more = {"other_senders": others} if others else {}
    entry = Entry(
        Action.STUDY_RECEIVED,
        by=By(study.calling_ae, address),
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        details=details | more,
    )
    add(conn, entry, now)


def processed(conn: Connection, study: Row[Any], run_id: int, now: float, *, unchanged: bool = False) -> None:
    """A run of the study came to an end of its own."""
    run = conn.execute(select(runs).where(runs.c.id == run_id)).one()
    details: dict[str, object] = {"run": run_id, "attempt": run.attempt, "outcome": run.outcome or ""}
    if unchanged:
        details |= {"outcome": "unchanged"}
    if run.model_name:
        details |= {"model": run.model_name, "version": run.model_version, "sha256": run.model_sha256,
                    "provider": run.provider}  # fmt: skip
    failed = bool(run.outcome) and state_for(Outcome(run.outcome)) is StudyState.FAILED
    outcome = Indicator.SERIOUS if failed else Indicator.SUCCESS
    add(conn, _of(study, Action.STUDY_PROCESSED, outcome, details), now)


def crashed(conn: Connection, study: Row[Any], run_id: int, after: StudyState, now: float) -> None:
    """An attempt to analyse the study ended with the death of its process, or was not heard of any more."""
    details = {"run": run_id, "crashes": study.crashes + 1}
    entry = Entry(
        Action.STUDY_CRASHED,
        Indicator.SERIOUS,
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        before=study.state,
        after=after.value,
        details=details,
    )
    add(conn, entry, now)


def sent(conn: Connection, parcel: Row[Any], now: float) -> None:
    """Nothing of a parcel is on its way any more: what its peer has, and what it has not."""
    query = select(deliveries.c.state, deliveries.c.status, results.c.sop_class_uid, results.c.sop_instance_uid)
    rows = conn.execute(
        query.join_from(deliveries, results)
        .where(deliveries.c.parcel_id == parcel.id)
        .order_by(results.c.position, results.c.id)
    ).all()
    there = [row for row in rows if row.state == DeliveryState.DELIVERED]
    parked = [row for row in rows if row.state == DeliveryState.PARKED]
    peer = conn.execute(select(peers).where(peers.c.id == parcel.peer_id)).one()
    study = conn.execute(select(studies).where(studies.c.id == parcel.study_id)).one()
    run = conn.execute(select(runs.c.model_sha256).where(runs.c.id == parcel.run_id)).one()
    details: dict[str, object] = {
        "run": parcel.run_id,
        "ae_title": peer.ae_title,
        "destination": peer.url or f"{peer.host}:{peer.port}",
        "sha256": run.model_sha256,
        "delivered": _by_class(there),
    }
    if parked:
        statuses = sorted({f"0x{row.status:04X}" for row in parked if row.status is not None})
        details |= {"parked": _by_class(parked), "statuses": statuses}
    outcome = Indicator.SUCCESS if not parked else Indicator.MINOR if there else Indicator.SERIOUS
    add(conn, _of(study, Action.RESULTS_SENT, outcome, details, f"peer {peer.name}"), now)


def withdrawn(conn: Connection, study_id: int, peer: str, count: int, now: float) -> None:
    """A rejection note for results of earlier runs was made."""
    study = conn.execute(select(studies).where(studies.c.id == study_id)).one()
    entry = _of(study, Action.RESULTS_WITHDRAWN, Indicator.SUCCESS, {"objects": count}, f"peer {peer}")
    add(conn, entry, now)


def retried(conn: Connection, study: Row[Any], after: StudyState, by: By, now: float) -> None:
    """A person had the study analysed, or its results sent, again."""
    action = Action.RESULTS_RESENT if after is StudyState.SENDING else Action.STUDY_RETRIED
    if study.state == StudyState.QUARANTINED:
        action = Action.QUARANTINE_RELEASED
    entry = Entry(
        action,
        by=by,
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        before=study.state,
        after=after.value,
        details={"outcome": study.outcome or ""},
    )
    add(conn, entry, now)


def deleted(conn: Connection, study: Row[Any], counts: dict[str, int], by: By, now: float) -> None:
    """Images, results and rows of the study are gone."""
    entry = Entry(
        Action.STUDY_DELETED,
        by=by,
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        before=study.state,
        details=counts,
    )
    add(conn, entry, now)


def _of(study: Row[Any], action: Action, outcome: Indicator, details: dict[str, object], about: str = "") -> Entry:
    return Entry(
        action,
        outcome,
        study_id=study.id,
        study_instance_uid=study.study_instance_uid,
        about=about,
        details=details,
    )


def _by_class(rows: Sequence[Any]) -> dict[str, list[str]]:
    """SOP Instance UIDs by SOP Class UID; of very many the first."""
    found: dict[str, list[str]] = {}
    for row in rows[:_OBJECTS_SHOWN]:
        found.setdefault(row.sop_class_uid, []).append(row.sop_instance_uid)
    return found
