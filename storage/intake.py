"""From records of the journal to rows: study, series, instance, and the evidence of who sent what.

Nothing here may fail because of what a sender put into a header: a group that fails would be tried for ever.
`index` may be called again with the same records; what is indexed already is a duplicate.
"""

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import BindParameter, Connection, Executable, Row, bindparam, func, insert, select, text, update

from storage import events, returned
from storage.associations import close_association, close_stale_associations, open_association
from storage.deliveries import hold
from storage.disk import translated
from storage.events import EventKind
from storage.moves import move
from storage.received import add_arrivals, add_conflicts, add_instances
from storage.segment import SUFFIX, head_of, next_head
from storage.states import RunState, StudyState
from storage.tables import runs, segments, studies
from storage.upsert import upsert
from storage.verdicts import Account, Indexed, Record, Taken, Verdict, judged

__all__ = [
    "Indexed",
    "Taken",
    "Verdict",
    "close_association",
    "close_stale_associations",
    "index",
    "note_indexed",
    "open_association",
    "unindexed",
]

GROUP = 500
"""Records handled by one set of statements (SQLite takes 32 766 values in one)."""


# built once: making a statement costs more than running it
_WANTED: BindParameter[Any] = bindparam("wanted", expanding=True)
_BY_UID = select(studies).where(studies.c.study_instance_uid.in_(_WANTED)).order_by(studies.c.id).with_for_update()
_BY_ID = select(studies).where(studies.c.id.in_(_WANTED)).order_by(studies.c.id).with_for_update()
_INDEXED_TO = select(segments.c.name, segments.c.indexed_to).where(segments.c.name.in_(_WANTED))
_ADD_STUDY = insert(studies)
_ADD_ARRIVED = (
    update(studies)
    .where(studies.c.id == bindparam("study"))
    .values(
        instance_count=studies.c.instance_count + bindparam("instances"),
        image_count=studies.c.image_count + bindparam("images"),
        last_arrival=bindparam("last"),
        has_patient_conflict=bindparam("conflict"),
    )
)


def index(conn: Connection, taken: Sequence[Taken], now: float) -> list[Indexed]:
    """Make rows of a group of records, in their order.

    A late image takes its study back to RECEIVING, whatever has become of it; a run on it is void. What is no image
    changes no state, nor do our own results. Two patients in one study are a listed conflict.
    """
    if conn.dialect.name == "postgresql":  # one indexer at a time, so that what was there before is certain
        conn.execute(text("SELECT pg_advisory_xact_lock(7233914)"))
    done: list[Indexed] = []
    for at in range(0, len(taken), GROUP):
        done += _index_group(conn, taken[at : at + GROUP], now)
    return done


def _index_group(conn: Connection, taken: Sequence[Taken], now: float) -> list[Indexed]:
    _note_segments(conn, taken, now)
    records = judged(conn, taken)
    accounts = _studies(conn, records, now)
    add_instances(conn, [record for record in records if record.verdict in (Verdict.NEW, Verdict.OWN)])
    add_conflicts(conn, records, accounts)
    returned.note(conn, records, accounts, now)
    add_arrivals(conn, records, accounts)
    _count(records, accounts)
    _update_studies(conn, accounts.values(), now)
    return [Indexed(record.verdict, record.study_id, record.is_image) for record in records]


def unindexed(conn: Connection, folder: Path) -> list[tuple[Path, int]]:
    """The segments in `folder` that hold more than was indexed, with the byte from which to go on; oldest first."""
    done = {row.name: row.indexed_to for row in conn.execute(select(segments.c.name, segments.c.indexed_to))}
    try:
        with os.scandir(folder) as entries:
            found = [(entry.stat(), Path(entry.path)) for entry in entries if entry.name.endswith(SUFFIX)]
    except OSError as exc:
        raise translated(exc, folder, "listed") from exc
    found.sort(key=lambda item: (item[0].st_mtime, item[1].name))
    return [(path, done.get(path.name, 0)) for stat, path in found if stat.st_size > done.get(path.name, 0)]


def _note_segments(conn: Connection, taken: Sequence[Taken], now: float) -> None:
    """How far each segment is indexed without a gap: what was passed over is found again at the next start."""
    names = sorted({item.place.segment for item in taken})
    ends = dict.fromkeys(names, 0)
    for row in conn.execute(_INDEXED_TO, {"wanted": names}):
        ends[row.name] = row.indexed_to
    for item in taken:
        segment = item.place.segment
        if head_of(item.place) <= next_head(ends[segment]):
            ends[segment] = max(ends[segment], item.end)
    note_indexed(conn, ends, now)


def note_indexed(conn: Connection, ends: dict[str, int], now: float) -> None:
    """Remember up to which byte each segment has been indexed."""
    rows = [{"name": name, "indexed_to": end, "indexed_at": now} for name, end in sorted(ends.items())]
    conn.execute(_note_furthest(conn.dialect.name), rows)


@cache
def _note_furthest(dialect: str) -> Executable:
    statement = upsert(dialect, segments)
    furthest = func.max if dialect == "sqlite" else func.greatest
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "indexed_to": furthest(segments.c.indexed_to, statement.excluded.indexed_to),
            "indexed_at": statement.excluded.indexed_at,
        },
    )


def _studies(conn: Connection, records: Sequence[Record], now: float) -> dict[int, Account]:
    """Find or make the study of each record; the rows stay locked until the transaction ends."""
    firsts: dict[str, Record] = {}
    for record in records:
        if record.verdict is Verdict.NEW:
            firsts.setdefault(record.meta.study_instance_uid, record)
    ids = {record.study_id for record in records} - {0}
    rows = _locked(conn, firsts, ids)
    missing = set(firsts) - {row.study_instance_uid for row in rows}
    if missing:
        _add_studies(conn, [firsts[uid] for uid in firsts if uid in missing], now)
        rows += _locked(conn, missing, ())
        for row in rows:
            if row.study_instance_uid in missing:
                text_ = f"The first object arrived from {row.calling_ae}."
                events.add(conn, row.id, EventKind.RECEIVED, text_, row.first_arrival)
    by_uid = {row.study_instance_uid: row.id for row in rows}
    study_of: dict[str, int] = {}
    for record in records:
        uid = record.meta.sop_instance_uid
        if record.verdict is Verdict.NEW:
            record.study_id = by_uid[record.meta.study_instance_uid]
        record.study_id = record.study_id or study_of[uid]
        study_of.setdefault(uid, record.study_id)
    return {row.id: Account(row) for row in rows}


def _locked(conn: Connection, uids: Iterable[str], ids: Iterable[int]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    if uids:
        rows += conn.execute(_BY_UID, {"wanted": sorted(uids)})
    others = set(ids) - {row.id for row in rows}
    if others:
        rows += conn.execute(_BY_ID, {"wanted": sorted(others)})
    return rows


def _add_studies(conn: Connection, records: Iterable[Record], now: float) -> None:
    rows = [
        {
            "study_instance_uid": record.meta.study_instance_uid,
            "state": StudyState.RECEIVING,
            "patient_key": record.meta.patient_key,
            "has_patient_conflict": False,
            "forced": False,
            "calling_ae": record.meta.calling_ae,
            "first_arrival": record.meta.received_at,
            "last_arrival": record.meta.received_at,
            "receiving_since": record.meta.received_at,
            "changed_at": now,
        }
        for record in records
    ]
    conn.execute(_ADD_STUDY, rows)


def _count(records: Sequence[Record], accounts: dict[int, Account]) -> None:
    for record in records:
        account, at = accounts[record.study_id], record.meta.received_at
        if record.verdict is Verdict.NEW:
            account.instance_count += 1
            account.last_arrival = max(account.last_arrival, at)
            if record.is_image:
                account.image_count += 1
                account.first_image = min(account.first_image, at)
        elif record.verdict is Verdict.OWN:
            account.own_count += 1
        elif record.verdict is Verdict.DUPLICATE and account.study.state == StudyState.RECEIVING and record.is_image:
            account.last_arrival = max(account.last_arrival, at)


def _update_studies(conn: Connection, accounts: Iterable[Account], now: float) -> None:
    rows = []
    for account in accounts:
        study = account.study
        if account.last_arrival:
            rows.append(
                {
                    "study": study.id,
                    "instances": account.instance_count,
                    "images": account.image_count,
                    "last": max(account.last_arrival, study.last_arrival),
                    "conflict": study.has_patient_conflict or account.has_patient_conflict,
                }
            )
        if account.image_count and study.state != StudyState.RECEIVING:
            _reopen(conn, account, now)
        _tell(conn, account, now)
    if rows:
        conn.execute(_ADD_ARRIVED, rows)


def _reopen(conn: Connection, account: Account, now: float) -> None:
    study = account.study
    if study.state == StudyState.ANALYSING:
        running = (runs.c.study_id == study.id) & (runs.c.state == RunState.RUNNING)
        conn.execute(update(runs).where(running).values(state=RunState.VOID, ended_at=now))
    came = "An image came late" if account.image_count == 1 else f"{account.image_count} images came late"
    said = f"{came}, when the study was {StudyState(study.state).words}; the study is received again."
    since = {"receiving_since": account.first_image, "ready_at": None, "not_before": None, "attempts": 0, "crashes": 0}
    move(conn, study, StudyState.RECEIVING, EventKind.REOPENED, said, now, **since)


def _tell(conn: Connection, account: Account, now: float) -> None:
    study = account.study
    if account.own_count:
        said = f"{account.own_count} of our own results came back; they are kept and change nothing."
        events.add(conn, study.id, EventKind.OWN_RETURNED, said, now)
    if account.conflict_count:
        said = f"{account.conflict_count} objects came again with other bytes; the first of each is kept."
        events.add(conn, study.id, EventKind.CONFLICT, said, now)
    if account.has_patient_conflict and not study.has_patient_conflict:
        said = "Objects of another patient came under this study; no result may leave until a person has looked."
        events.add(conn, study.id, EventKind.CONFLICT, said, now)
        hold(conn, study.id, said, now)
