"""Studies and their instances as values, the evidence for settling them, and what a person may do with one."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, select

from storage import audit_studies, confirmations, errors, events, tables
from storage.audit import NODE, By
from storage.events import EventKind
from storage.journal import Place
from storage.moves import locked, move
from storage.parcels import hasten
from storage.retrying import unpark
from storage.states import Outcome, StudyState


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it stands."""

    id: int
    study_instance_uid: str
    state: StudyState
    outcome: Outcome | None
    explanation: str
    attempts: int
    crashes: int
    calling_ae: str
    """The AE title that sent its first object."""
    instance_count: int
    image_count: int
    has_patient_conflict: bool
    first_arrival: float
    last_arrival: float
    changed_at: float
    ready_at: float | None
    not_before: float | None


@dataclass(frozen=True, slots=True)
class Instance:
    """One received object, and where its data set lies."""

    id: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    modality: str
    place: Place
    patient_key: str
    is_image: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """The evidence on which a RECEIVING study is settled."""

    id: int
    study_instance_uid: str
    calling_ae: str
    modalities: tuple[str, ...]
    """Of its images, sorted; empty when it has none."""
    image_count: int
    instance_count: int
    first_arrival: float
    """Of this round: the late image that reopened the study counts as its first."""
    last_arrival: float
    open_associations: int
    """Associations that brought something of it and have not ended."""
    released_at: float | None
    """When the last association that brought something of it ended; None when none has (or none is on record)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """What came under a study and does not belong: other bytes for a UID, or another patient."""

    kind: str
    """`instance` or `patient`."""
    sop_instance_uid: str
    place: Place
    received_at: float


_STUDY_COLUMNS = [tables.studies.c[field.name] for field in fields(Study)]


_SENT_AGAIN = (Outcome.FAILED_SEND, Outcome.FAILED_COMMIT, Outcome.INPUT_PATIENT_MISMATCH)
"""Outcomes of a study that failed after its results had been made."""


def studies(conn: Connection, *, state: StudyState | None = None, limit: int = 50) -> list[Study]:
    """The newest studies, newest first."""
    query = select(*_STUDY_COLUMNS).order_by(tables.studies.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(tables.studies.c.state == state)
    return [_study(row) for row in conn.execute(query)]


def study(conn: Connection, study_id: int) -> Study | None:
    """The study of that number."""
    row = conn.execute(select(*_STUDY_COLUMNS).where(tables.studies.c.id == study_id)).one_or_none()
    return _study(row) if row is not None else None


def study_of(conn: Connection, study_id: int) -> Study:
    """The study of that number.

    Raises
    ------
    Unknown
    """
    found = study(conn, study_id)
    if found is None:
        raise errors.Unknown(f"There is no study {study_id}. List them with: osteon studies")
    return found


def study_by_uid(conn: Connection, study_instance_uid: str) -> Study | None:
    """The study of that Study Instance UID."""
    mine = tables.studies.c.study_instance_uid == study_instance_uid
    row = conn.execute(select(*_STUDY_COLUMNS).where(mine)).one_or_none()
    return _study(row) if row is not None else None


def instances(conn: Connection, study_id: int) -> list[Instance]:
    """Everything received under a study, in the order of arrival."""
    instance, of_series = tables.instances, tables.series
    query = (
        select(instance, of_series.c.series_instance_uid, of_series.c.modality)
        .join_from(instance, of_series)
        .where(instance.c.study_id == study_id)
        .order_by(instance.c.id)
    )
    return [
        Instance(
            row.id,
            row.sop_class_uid,
            row.sop_instance_uid,
            row.series_instance_uid,
            row.transfer_syntax_uid,
            row.modality,
            _place(row),
            row.patient_key,
            row.is_image,
            row.is_own,
        )
        for row in conn.execute(query)
    ]


def last_image_at(conn: Connection, study_id: int) -> float | None:
    """When the last image of a study arrived that is no result of ours; None when it has none."""
    instance = tables.instances
    mine = (instance.c.study_id == study_id) & instance.c.is_image & ~instance.c.is_own
    latest: float | None = conn.execute(select(func.max(instance.c.received_at)).where(mine)).scalar_one()
    return latest


def conflicts(conn: Connection, study_id: int) -> list[Conflict]:
    """What came under the study and does not belong, oldest first."""
    table = tables.conflicts
    rows = conn.execute(select(table).where(table.c.study_id == study_id).order_by(table.c.id))
    return [Conflict(row.kind, row.sop_instance_uid, _place(row), row.received_at) for row in rows]


def held(conn: Connection) -> Iterator[tuple[str, str]]:
    """(SOP Instance UID, SHA-256) of everything kept, sorted by UID, not gathered in memory."""
    column = tables.instances.c
    query = select(column.sop_instance_uid, column.sha256).order_by(column.sop_instance_uid)
    for row in conn.execution_options(yield_per=1000).execute(query):
        yield row.sop_instance_uid, row.sha256


def arriving(conn: Connection) -> list[Arrival]:
    """The evidence for every study that is RECEIVING, oldest first; costs nothing for the others."""
    receiving = tables.studies.c.state == StudyState.RECEIVING
    rows = conn.execute(select(tables.studies).where(receiving).order_by(tables.studies.c.id)).all()
    if not rows:
        return []
    modalities = _modalities(conn, receiving)
    evidence = _associations(conn, receiving)
    found = []
    for row in rows:
        open_count, released_at = evidence.get(row.id, (0, None))
        found.append(
            Arrival(
                id=row.id,
                study_instance_uid=row.study_instance_uid,
                calling_ae=row.calling_ae,
                modalities=tuple(sorted(modalities.get(row.id, ()))),
                image_count=row.image_count,
                instance_count=row.instance_count,
                first_arrival=row.receiving_since,
                last_arrival=row.last_arrival,
                open_associations=open_count,
                released_at=released_at,
            )
        )
    return found


def mark_ready(conn: Connection, study_id: int, reason: str, now: float, seen: float | None = None) -> bool:
    """The study has stopped arriving, for `reason` (a sentence).

    False when it is not RECEIVING any more, or when something arrived after `seen`, the last arrival that the decision
    was made on.
    """
    row = locked(conn, study_id)
    if row.state != StudyState.RECEIVING or (seen is not None and row.last_arrival != seen):
        return False
    move(conn, row, StudyState.READY, EventKind.READY, reason, now, ready_at=now, not_before=None)
    audit_studies.received(conn, row, now)
    return True


def retry(conn: Connection, study_id: int, now: float, by: By = NODE) -> StudyState:
    """A person wants the study tried again; returns where it went.

    What could not be delivered is sent again as it is; what waits for its next try, or for the peer's word that it is
    kept, is tried or asked for at once; everything else is analysed again.

    Raises
    ------
    Unknown, NotNow
        There is no such study, or it is on its way.
    """
    row = locked(conn, study_id)
    state = StudyState(row.state)
    if state is StudyState.FAILED and row.outcome in _SENT_AGAIN:
        answer = unpark(conn, study_id, now)
        if answer is not None:
            said = "A person had the results sent again."
            move(conn, row, StudyState.SENDING, EventKind.RETRIED, said, now, **answer)
            audit_studies.retried(conn, row, StudyState.SENDING, by, now)
            return StudyState.SENDING
    if state is StudyState.SENDING:
        hasten(conn, study_id, now)
        confirmations.hasten(conn, study_id, now)
        events.add(conn, study_id, EventKind.RETRIED, "A person had the waiting results tried at once.", now)
        audit_studies.retried(conn, row, StudyState.SENDING, by, now)
        return StudyState.SENDING
    if state not in (StudyState.FAILED, StudyState.QUARANTINED, StudyState.NOT_APPLICABLE, StudyState.DELIVERED):
        raise errors.NotNow(
            f"Study {study_id} is {state.words}: wait until it has ended. See: osteon studies {study_id}"
        )
    again = {"ready_at": now, "not_before": None, "attempts": 0, "crashes": 0, "forced": True}
    move(conn, row, StudyState.READY, EventKind.RETRIED, "A person had the study analysed again.", now, **again)
    audit_studies.retried(conn, row, StudyState.READY, by, now)
    return StudyState.READY


def _modalities(conn: Connection, receiving: Any) -> dict[int, set[str]]:
    series = tables.series
    query = select(series.c.study_id, series.c.modality).join_from(series, tables.studies)
    found: dict[int, set[str]] = {}
    for study_id, modality in conn.execute(query.where(receiving, series.c.image_count > 0)):
        found.setdefault(study_id, set()).add(modality)
    return found


def _associations(conn: Connection, receiving: Any) -> dict[int, tuple[int, float | None]]:
    """(how many are open, when the last one ended) of the associations that brought something, by study."""
    arrival, assoc = tables.arrivals, tables.associations
    open_count = func.count(assoc.c.id) - func.count(assoc.c.closed_at)
    query = (
        select(arrival.c.study_id, open_count, func.max(assoc.c.closed_at))
        .join_from(arrival, tables.studies)
        .join(assoc, assoc.c.id == arrival.c.association)
        .where(receiving)
        .group_by(arrival.c.study_id)
    )
    return {study_id: (count, released_at) for study_id, count, released_at in conn.execute(query)}


def _study(row: Row[Any]) -> Study:
    values = dict(row._mapping)
    values["state"] = StudyState(row.state)
    values["outcome"] = Outcome(row.outcome) if row.outcome is not None else None
    return Study(**values)


def _place(row: Row[Any]) -> Place:
    return Place(row.segment, row.offset, row.length, row.sha256)
