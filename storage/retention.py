"""Studies are deleted for good: images, results and rows. Never one that is on its way or has something undelivered.

A study that is looked at is held by its row for as long as its bytes are erased and its rows removed, so that a late
image, a worker or a retry comes before or after. Killed in between, its rows are there still, and it is deleted at the
next turn. What proves the deletion is one event that belongs to no study; whoever knows the Study Instance UID can
tell by its SHA-256 that it was this one.
"""

import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, select, update

from storage import audit_studies, errors, events
from storage.audit import NODE, By
from storage.disk import translated
from storage.engine import Engine, begin, reading
from storage.erasing import Spot, erase, find, remove_if_empty
from storage.events import Event, EventKind
from storage.moves import locked
from storage.segment import HEAD
from storage.states import FINAL_STUDY_STATES, ON_ITS_WAY, ReturnedState, RunState, StudyState
from storage.tables import (
    arrivals,
    assessments,
    commitment_items,
    commitments,
    confirmations,
    conflicts,
    deliveries,
    instances,
    parcels,
    results,
    returned,
    runs,
    segments,
    series,
    stand_ins,
    studies,
)
from storage.tables import events as events_table

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Studies of one turn; the segments are searched once for all of them."""
_BY_ITSELF = (StudyState.DELIVERED, StudyState.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Store:
    """Where the bytes lie."""

    journal: Path
    results: Path


def forget_old(engine: Engine, store: Store, before: float, now: float) -> list[int]:
    """Delete studies that were delivered, or found to be for no model, before a moment (unix seconds).

    Returns
    -------
    list of int
        Their numbers, `AT_ONCE` at most. One that got something to do meanwhile is passed over.
    """
    final = studies.c.state.in_(_BY_ITSELF) & (studies.c.changed_at < before) & (studies.c.last_arrival < before)
    query = select(studies.c.id).where(final, ~_has_work()).order_by(studies.c.changed_at).limit(AT_ONCE)
    with reading(engine) as conn:
        numbers = list(conn.execute(query).scalars())
    why = f"It had been kept since {_day(before)} or longer, as [retention] says."
    return _forget(engine, store, numbers, why, now, before=before)


def forget(
    engine: Engine, store: Store, study_id: int, now: float, *, undelivered: bool = False, by: By = NODE
) -> None:
    """Delete one study because a person says so.

    Raises
    ------
    Unknown
        There is no such study.
    NotNow
        It is on its way, or results of it were never delivered and `undelivered` does not say that this is meant.
    """
    with begin(engine) as conn:
        objection = _objection(conn, locked(conn, study_id), undelivered=undelivered)
    if objection or not _forget(engine, store, [study_id], "A person said so.", now, undelivered=undelivered, by=by):
        raise errors.NotNow(f"Study {study_id} is not deleted: {objection or 'something came for it just now'}.")


def forgotten(conn: Connection, limit: int = 500) -> list[Event]:
    """The proofs, newest first."""
    query = select(events_table).where(events_table.c.kind == EventKind.FORGOTTEN)
    rows = conn.execute(query.order_by(events_table.c.id.desc()).limit(limit))
    return [Event(row.id, None, row.kind, row.text, row.at) for row in rows]


def _forget(
    engine: Engine, store: Store, numbers: Sequence[int], why: str, now: float, *, before: float | None = None,
    undelivered: bool = False, by: By = NODE,
) -> list[int]:  # fmt: skip
    with reading(engine) as conn:
        wanted = select(studies.c.study_instance_uid, studies.c.first_arrival).where(studies.c.id.in_(numbers))
        rows = conn.execute(wanted).all()
    if not rows:
        return []
    uids = {row.study_instance_uid for row in rows}
    spots = find(store.journal, uids, min(row.first_arrival for row in rows) - 1)
    for uid, more in find(store.journal, uids, now - 1).items():  # what came during the search
        spots.setdefault(uid, set()).update(more)
    gone = []
    for number in numbers:
        with begin(engine) as conn:
            study = locked(conn, number)
            is_young = before is not None and not (study.changed_at < before and study.last_arrival < before)
            if is_young or _objection(conn, study, undelivered=undelivered):
                continue
            if conn.dialect.name == "sqlite":
                conn.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten in the file
            _delete(conn, store, study, spots.get(study.study_instance_uid, set()), why, now, by)
        gone.append(number)
    return gone


def _objection(conn: Connection, study: Row[Any], *, undelivered: bool) -> str | None:
    """Why a held study must stay; None when it may go."""
    state = StudyState(study.state)
    if state not in FINAL_STUDY_STATES:
        return f"it is {state.words}"
    if conn.scalar(select(_has_work(study.id))):
        return "something of it is still on its way to a peer, or being worked on"
    if state not in _BY_ITSELF and not undelivered:
        return f"it is {state.words}, and was never answered; --undelivered deletes it all the same"
    return None


def _has_work(study_id: int | None = None) -> Any:
    """Whether a run, a delivery or a question to a peer of the study is open."""
    mine = studies.c.id if study_id is None else study_id
    waits = deliveries.c.state.in_(ON_ITS_WAY)
    running = exists().where(runs.c.study_id == mine, runs.c.state == RunState.RUNNING)
    sending = exists().where(parcels.c.study_id == mine, parcels.c.is_open)
    waiting = exists().where(parcels.c.study_id == mine, deliveries.c.parcel_id == parcels.c.id, waits)
    asking = exists().where(parcels.c.study_id == mine, confirmations.c.parcel_id == parcels.c.id)
    unread = exists().where(returned.c.study_id == mine, returned.c.state == ReturnedState.DUE)
    return running | sending | waiting | asking | unread


def _delete(conn: Connection, store: Store, study: Row[Any], found: set[Spot], why: str, now: float, by: By) -> None:
    """Bytes, rows, and the proof, in one transaction."""
    spots = _indexed(conn, found) | _named(conn, study.id)
    files = conn.execute(select(results.c.path).where(results.c.study_id == study.id)).scalars().all()
    erased = erase(store.journal, spots)
    for path in files:
        try:
            (store.results / path).unlink(missing_ok=True)
        except OSError as exc:
            raise translated(exc, store.results / path, "removed") from exc
    _delete_rows(conn, study.id)
    for name in sorted({name for name, _ in spots}):
        _drop_segment(conn, store.journal, name)
    proof = hashlib.sha256(study.study_instance_uid.encode()).hexdigest()
    said = (
        f"Study {study.id} ({StudyState(study.state).words}, first object {_day(study.first_arrival)}) was deleted: "
        f"{erased} received objects and {len(files)} results. {why} SHA-256 of its Study Instance UID: {proof}."
    )
    events.add(conn, None, EventKind.FORGOTTEN, said, now)
    audit_studies.deleted(conn, study, {"objects": erased, "results": len(files)}, by, now)


def _indexed(conn: Connection, found: set[Spot]) -> set[Spot]:
    """Without what was acknowledged a moment ago and has no row yet: it becomes a study of its own."""
    query = select(segments.c.name, segments.c.indexed_to).where(
        segments.c.name.in_(sorted({name for name, _ in found}))
    )
    ends = {row.name: row.indexed_to for row in conn.execute(query)}
    return {(name, at) for name, at in found if at < ends.get(name, 0)}


def _named(conn: Connection, study_id: int) -> set[Spot]:
    """Records that rows of the study name: objects that came under another study's UID among them."""
    spots: set[Spot] = set()
    for table in (instances, conflicts):
        rows = conn.execute(select(table.c.segment, table.c.offset).where(table.c.study_id == study_id))
        spots |= {(row.segment, row.offset - HEAD.size) for row in rows}
    return spots


def _delete_rows(conn: Connection, study_id: int) -> None:
    mine = select(parcels.c.id).where(parcels.c.study_id == study_id)
    sent = select(deliveries.c.id).where(deliveries.c.parcel_id.in_(mine))
    conn.execute(delete(commitment_items).where(commitment_items.c.delivery_id.in_(sent)))
    conn.execute(delete(stand_ins).where(stand_ins.c.delivery_id.in_(sent) | stand_ins.c.instead_of.in_(sent)))
    for table in (commitments, confirmations, deliveries):
        conn.execute(delete(table).where(table.c.parcel_id.in_(mine)))
    conn.execute(update(runs).where(runs.c.study_id == study_id).values(supersedes=None))
    for table in (parcels, assessments, returned, results, runs, conflicts, arrivals, instances, series, events_table):
        conn.execute(delete(table).where(table.c.study_id == study_id))
    conn.execute(delete(studies).where(studies.c.id == study_id))


def _drop_segment(conn: Connection, folder: Path, name: str) -> None:
    """A segment without records goes, and its row, unless another study's row names it."""
    for table in (instances, conflicts):
        if conn.scalar(select(func.count()).select_from(table).where(table.c.segment == name)):
            return
    with suppress(FileNotFoundError):
        if remove_if_empty(folder / name) or not (folder / name).exists():
            conn.execute(delete(segments).where(segments.c.name == name))


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d")
