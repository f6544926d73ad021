"""What a received record is: new, a duplicate, a conflict, or one of our own results coming back."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, select

from storage.classes import is_analysable
from storage.journal import Place, RecordMeta
from storage.tables import instances, results


@dataclass(frozen=True, slots=True)
class Taken:
    """A committed record: its values, where its payload lies, and the end of the record in its segment."""

    meta: RecordMeta
    place: Place
    end: int


class Verdict(StrEnum):
    """What `index` made of a record."""

    NEW = "new"
    """An instance that was not there before."""
    DUPLICATE = "duplicate"
    """The same SOP Instance UID with the same bytes; no second row."""
    CONFLICT = "conflict"
    """The same SOP Instance UID with other bytes; the first is kept, this one is listed."""
    OWN = "own"
    """One of our own results coming back; kept, and changes nothing."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """The verdict on one record and the study it belongs to."""

    verdict: Verdict
    study_id: int
    is_image: bool


@dataclass(slots=True)
class Record:
    """A record on its way to a row."""

    meta: RecordMeta
    place: Place
    is_image: bool
    verdict: Verdict
    study_id: int = 0


@dataclass(slots=True)
class Account:
    """What a group of records changes in one study."""

    study: Row[Any]
    instance_count: int = 0
    image_count: int = 0
    own_count: int = 0
    conflict_count: int = 0
    first_image: float = float("inf")
    last_arrival: float = 0.0
    has_patient_conflict: bool = False


_UIDS: BindParameter[list[str]] = bindparam("uids", expanding=True)
_HELD = select(instances.c.sop_instance_uid, instances.c.sha256, instances.c.study_id).where(
    instances.c.sop_instance_uid.in_(_UIDS)
)
_OWN = select(results.c.sop_instance_uid, results.c.study_id).where(results.c.sop_instance_uid.in_(_UIDS))


def judged(conn: Connection, taken: Sequence[Taken]) -> list[Record]:
    """Each record with its verdict; all but the new ones with their study."""
    metas = [_printable(item.meta) for item in taken]
    uids = sorted({meta.sop_instance_uid for meta in metas})
    known = {uid: (sha256, study_id) for uid, sha256, study_id in conn.execute(_HELD, {"uids": uids})}
    own = {uid: study_id for uid, study_id in conn.execute(_OWN, {"uids": uids})}  # noqa: C416  # rows are no pairs
    first: dict[str, Record] = {}
    records = []
    for item, meta in zip(taken, metas, strict=True):
        uid = meta.sop_instance_uid
        is_image = uid not in own and is_analysable(meta.sop_class_uid)
        record = Record(meta, item.place, is_image, Verdict.NEW)
        earlier = first.get(uid)
        if uid in known or earlier is not None:
            sha256 = known[uid][0] if earlier is None else earlier.place.sha256
            record.verdict = Verdict.DUPLICATE if sha256 == item.place.sha256 else Verdict.CONFLICT
            record.study_id = known[uid][1] if earlier is None else 0
        else:
            first[uid] = record
            if uid in own:
                record.verdict, record.study_id = Verdict.OWN, own[uid]
        records.append(record)
    return records


_TEXTS = tuple(field.name for field in fields(RecordMeta) if field.type in (str, "str"))


def _printable(meta: RecordMeta) -> RecordMeta:
    """Without what a database or a terminal would choke on (NUL, line ends, lone surrogates)."""
    bad = {name: value for name in _TEXTS if not (value := getattr(meta, name)).isprintable()}
    if not bad:
        return meta
    clean: dict[str, Any] = {
        name: "".join(char if char.isprintable() else "?" for char in value) for name, value in bad.items()
    }
    return replace(meta, **clean)
