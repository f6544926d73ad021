"""The rows that hold what was received: instances, their series, conflicts, and who brought what."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from storage.states import StudyState
from storage.tables import arrivals, conflicts, instances, series
from storage.upsert import insert_or_ignore
from storage.verdicts import Account, Record, Verdict

# built once: making a statement costs more than running it
_ADD_INSTANCE = insert(instances)
_ADD_IMAGES = (
    update(series)
    .where(series.c.id == bindparam("series"))
    .values(image_count=series.c.image_count + bindparam("more"))
)
_SERIES_OF = select(series.c.study_id, series.c.series_instance_uid, series.c.id).where(
    series.c.study_id.in_(bindparam("studies", expanding=True)),
    series.c.series_instance_uid.in_(bindparam("uids", expanding=True)),
)


def add_instances(conn: Connection, records: Sequence[Record]) -> None:
    if not records:
        return
    series_ids = _series(conn, records)
    rows = []
    images: dict[int, int] = {}
    for record in records:
        meta, place = record.meta, record.place
        series_id = series_ids[record.study_id, meta.series_instance_uid]
        images[series_id] = images.get(series_id, 0) + record.is_image
        rows.append(
            {
                "study_id": record.study_id,
                "series_id": series_id,
                "sop_class_uid": meta.sop_class_uid,
                "sop_instance_uid": meta.sop_instance_uid,
                "transfer_syntax_uid": meta.transfer_syntax_uid,
                "segment": place.segment,
                "offset": place.offset,
                "length": place.length,
                "sha256": place.sha256,
                "patient_key": meta.patient_key,
                "is_image": record.is_image,
                "is_own": record.verdict is Verdict.OWN,
                "association": meta.association,
                "received_at": meta.received_at,
            }
        )
    conn.execute(_ADD_INSTANCE, rows)
    counts = [{"series": series_id, "more": count} for series_id, count in sorted(images.items()) if count]
    if counts:
        conn.execute(_ADD_IMAGES, counts)


def _series(conn: Connection, records: Sequence[Record]) -> dict[tuple[int, str], int]:
    firsts: dict[tuple[int, str], Record] = {}
    for record in records:
        firsts.setdefault((record.study_id, record.meta.series_instance_uid), record)
    found = _series_ids(conn, firsts)
    missing = [key for key in firsts if key not in found]
    if missing:
        rows = [
            {"study_id": key[0], "series_instance_uid": key[1], "modality": firsts[key].meta.modality}
            for key in missing
        ]
        conn.execute(insert(series), rows)
        found |= _series_ids(conn, missing)
    return found


def _series_ids(conn: Connection, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    pairs = list(keys)
    wanted = {"studies": sorted({pair[0] for pair in pairs}), "uids": sorted({pair[1] for pair in pairs})}
    rows = conn.execute(_SERIES_OF, wanted)
    return {(study_id, uid): number for study_id, uid, number in rows}


def add_conflicts(conn: Connection, records: Sequence[Record], accounts: dict[int, Account]) -> None:
    rows = []
    for record in records:
        account = accounts[record.study_id]
        kind = None
        if record.verdict is Verdict.CONFLICT:
            kind = "instance"
            account.conflict_count += 1
        elif record.verdict is Verdict.NEW and record.meta.patient_key != account.study.patient_key:
            kind = "patient"
            account.has_patient_conflict = True
        if kind:
            rows.append(
                {
                    "study_id": record.study_id,
                    "kind": kind,
                    "sop_instance_uid": record.meta.sop_instance_uid,
                    "sha256": record.place.sha256,
                    "patient_key": record.meta.patient_key,
                    "segment": record.place.segment,
                    "offset": record.place.offset,
                    "length": record.place.length,
                    "received_at": record.meta.received_at,
                }
            )
    if rows:
        conn.execute(insert_or_ignore(conn.dialect.name, conflicts), rows)


def add_arrivals(conn: Connection, records: Sequence[Record], accounts: dict[int, Account]) -> None:
    """Who brought something of a study; a sender that repeats itself counts while the study is still receiving."""
    pairs = {
        (record.study_id, record.meta.association)
        for record in records
        if record.verdict is Verdict.NEW
        or (record.verdict is Verdict.DUPLICATE and accounts[record.study_id].study.state == StudyState.RECEIVING)
    }
    if pairs:
        rows = [{"study_id": study_id, "association": association} for study_id, association in sorted(pairs)]
        conn.execute(insert_or_ignore(conn.dialect.name, arrivals), rows)
