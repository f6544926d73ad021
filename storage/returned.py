"""Documents that came for a study and may speak of our results: reports, segmentations and key object notes.

A row is made with the instance (storage/intake.py). It waits until the study has results of ours, is read once by the
analysing child (node/assessing.py), and then says what was found in it. What it says of single results are rows of
`assessments`. Who says so is stored nowhere here: the document itself has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, select, update

from storage import events
from storage.classes import may_assess
from storage.events import EventKind
from storage.journal import Place
from storage.states import ReturnedState
from storage.tables import assessments, instances, results, returned, studies
from storage.upsert import insert_or_ignore
from storage.verdicts import Account, Record, Verdict


class Judgement(StrEnum):
    """What a person says of a result of ours, as far as it is coded."""

    ACCEPTED = "accepted"
    """It is right."""
    MODIFIED = "modified"
    """Here is a corrected version of it."""
    REJECTED = "rejected"
    """It is wrong, or must not be used."""
    UNKNOWN = "unknown"
    """The document speaks of it, and no code that we know says how."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is due to be read."""

    id: int
    study_id: int
    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    place: Place
    received_at: float


@dataclass(frozen=True, slots=True)
class Said:
    """What a document says of one result."""

    judgement: Judgement
    tracking_uid: str
    """Of the lesion or answer it speaks of; "" where it speaks of an object as a whole."""
    result_sop_instance_uid: str
    """The object of ours that it is about."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One line of the list, to be shown."""

    id: int
    study_id: int
    run_number: int
    """Among the study's runs that left results, from 1."""
    result_kind: str
    judgement: Judgement
    tracking_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    """Of the document that says so."""
    received_at: float


@dataclass(frozen=True, slots=True)
class Correction:
    """A segmentation that corrects one of ours."""

    document_id: int
    study_id: int
    source_series_uid: str
    """The series that it was drawn on; "" where it does not say."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    place: Place


_HAS_RESULTS = select(results.c.study_id).where(results.c.study_id.in_(bindparam("studies", expanding=True))).distinct()
_INSTANCES = select(instances.c.id, instances.c.sop_instance_uid).where(
    instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True))
)


def note(conn: Connection, records: Sequence[Record], accounts: dict[int, Account], now: float) -> None:
    """Make the rows of those of the records that may speak of a result; another patient's never do."""
    new = [
        record
        for record in records
        if record.verdict is Verdict.NEW
        and may_assess(record.meta.sop_class_uid)
        and record.meta.patient_key == accounts[record.study_id].study.patient_key
    ]
    if not new:
        return
    answered = set(conn.execute(_HAS_RESULTS, {"studies": sorted({each.study_id for each in new})}).scalars())
    numbers = {row.sop_instance_uid: row.id for row in
               conn.execute(_INSTANCES, {"uids": [each.meta.sop_instance_uid for each in new]})}  # fmt: skip
    rows = [
        {
            "study_id": record.study_id,
            "instance_id": numbers[record.meta.sop_instance_uid],
            "state": ReturnedState.DUE if record.study_id in answered else ReturnedState.EARLY,
            "changed_at": now,
        }
        for record in new
    ]
    conn.execute(insert_or_ignore(conn.dialect.name, returned), rows)


def results_came(conn: Connection, study_id: int, now: float) -> None:
    """The study has results now: what came before them is due."""
    early = (returned.c.study_id == study_id) & (returned.c.state == ReturnedState.EARLY)
    conn.execute(update(returned).where(early).values(state=ReturnedState.DUE, changed_at=now))


def next_due(conn: Connection) -> Document | None:
    """The document that has been due for longest; a look that takes no lock."""
    query = (
        select(returned.c.id.label("document_id"), studies.c.study_instance_uid, instances)
        .join_from(returned, instances)
        .join(studies, studies.c.id == returned.c.study_id)
        .where(returned.c.state == ReturnedState.DUE)
        .order_by(returned.c.id)
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        return None
    return Document(
        id=row.document_id,
        study_id=row.study_id,
        study_instance_uid=row.study_instance_uid,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        place=_place(row),
        received_at=row.received_at,
    )


def linked(conn: Connection, document: Document, said: Sequence[Said], source_series_uid: str, now: float) -> bool:
    """The document was read: it speaks of these results, or of none. False when somebody else has recorded it."""
    own = {row.sop_instance_uid: row for row in
           conn.execute(select(results).where(results.c.study_id == document.study_id))}  # fmt: skip
    rows = [
        {
            "study_id": document.study_id,
            "run_id": own[each.result_sop_instance_uid].run_id,
            "result_id": own[each.result_sop_instance_uid].id,
            "returned_id": document.id,
            "tracking_uid": each.tracking_uid,
            "judgement": each.judgement,
            "received_at": document.received_at,
        }
        for each in dict.fromkeys(said)
        if each.result_sop_instance_uid in own
    ]
    state = ReturnedState.LINKED if rows else ReturnedState.UNRELATED
    if not _end(conn, document, state, now, source_series_uid=source_series_uid):
        return False
    if rows:
        conn.execute(insert(assessments), rows)
        told = ", ".join(dict.fromkeys(str(row["judgement"]) for row in rows))
        words = f"A document came that speaks of {len(rows)} of our results: {told}. It is kept and starts no run."
        events.add(conn, document.study_id, EventKind.ASSESSED, words, now)
    return True


def unreadable(conn: Connection, document: Document, why: str, now: float) -> bool:
    """The document could not be read; it stays where it is, and nothing is made of it."""
    return _end(conn, document, ReturnedState.UNREADABLE, now, note=why)


def listed(conn: Connection, study_id: int | None = None, limit: int = 500) -> list[Assessment]:
    """What was said of the results of a study, or of all, newest first."""
    earlier = results.alias()
    number = (
        select(func.count(earlier.c.run_id.distinct()))
        .where(earlier.c.study_id == assessments.c.study_id, earlier.c.run_id <= assessments.c.run_id)
        .scalar_subquery()
    )
    columns = (assessments, number.label("run_number"), results.c.kind)
    query = (
        select(*columns, instances.c.sop_class_uid, instances.c.sop_instance_uid)
        .join_from(assessments, results, results.c.id == assessments.c.result_id)
        .join(returned, returned.c.id == assessments.c.returned_id)
        .join(instances, instances.c.id == returned.c.instance_id)
        .order_by(assessments.c.id.desc())
        .limit(limit)
    )
    if study_id is not None:
        query = query.where(assessments.c.study_id == study_id)
    return [
        Assessment(
            row.id,
            row.study_id,
            row.run_number,
            row.kind,
            Judgement(row.judgement),
            row.tracking_uid,
            row.sop_class_uid,
            row.sop_instance_uid,
            row.received_at,
        )
        for row in conn.execute(query)
    ]


def corrections(conn: Connection) -> list[Correction]:
    """Segmentations that correct ours, oldest first; of several of one series all."""
    modified = exists().where(
        assessments.c.returned_id == returned.c.id, assessments.c.judgement == Judgement.MODIFIED.value
    )
    query = (
        select(returned.c.id.label("document_id"), returned.c.source_series_uid, instances)
        .join_from(returned, instances)
        .where(returned.c.state == ReturnedState.LINKED, modified)
        .order_by(returned.c.id)
    )
    return [
        Correction(
            row.document_id,
            row.study_id,
            row.source_series_uid,
            row.sop_class_uid,
            row.sop_instance_uid,
            row.transfer_syntax_uid,
            _place(row),
        )
        for row in conn.execute(query)
    ]


def _end(conn: Connection, document: Document, state: ReturnedState, now: float, **values: Any) -> bool:
    due = (returned.c.id == document.id) & (returned.c.state == ReturnedState.DUE)
    return conn.execute(update(returned).where(due).values(state=state, changed_at=now, **values)).rowcount == 1


def _place(row: Row[Any]) -> Place:
    return Place(row.segment, row.offset, row.length, row.sha256)
