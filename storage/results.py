"""The rows of result objects; the bytes lie in a `ResultStore` (storage/files.py) before a row exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from storage import errors
from storage.tables import results


@dataclass(frozen=True, slots=True)
class Role:
    """What an object is to the receivers of one result profile."""

    profile: str
    instead_of: tuple[str, ...] = ()
    """SOP Instance UIDs of the objects of this profile that it stands in for when the peer refuses their class."""
    in_reserve: bool = False
    """True: it goes only then; False: it goes anyway, and one that it stands in for needs nothing else."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One DICOM object that a run made, encoded and on stable storage."""

    kind: str
    """`seg`, `map`, `adc`, `gsps`, `sc`, `pdf`, `kos`, `segment-sr`, `sr`: what an admin calls it."""
    order: int
    """Its turn within its study when sent: the segmentation first, the report last (promise P4)."""
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the `ResultStore`."""
    size: int
    sha256: str
    roles: tuple[Role, ...] = ()
    """Which profiles it was made for; () is for everybody, at once. Not stored: what becomes of it is a delivery."""

    def role_for(self, profile: str) -> Role | None:
        """What it is to a peer of that profile; None when such a peer does not get it."""
        if not self.roles:
            return Role(profile)
        return next((role for role in self.roles if role.profile == profile), None)


def keep(conn: Connection, study_id: int, run_id: int, files: Sequence[ResultFile], now: float) -> list[int]:
    """Record the results of a run; return their numbers. One that the study has already keeps its row and bytes."""
    uids = [file.sop_instance_uid for file in files]
    column = results.c
    rows = conn.execute(
        select(column.sop_instance_uid, column.id, column.study_id).where(column.sop_instance_uid.in_(uids))
    ).all()
    if any(row.study_id != study_id for row in rows):
        raise errors.Broken(f"A result of study {study_id} has the UID of another study's. This is a fault of Osteon.")
    known = {row.sop_instance_uid: row.id for row in rows}
    for file in files:
        if file.sop_instance_uid not in known:
            row = {"study_id": study_id, "run_id": run_id, "made_at": now} | _columns(file)
            known[file.sop_instance_uid] = conn.execute(insert(results).returning(column.id), row).scalar_one()
    return [known[uid] for uid in uids]


def of_run(conn: Connection, run_id: int) -> tuple[ResultFile, ...]:
    """The results of a run, in their order."""
    rows = conn.execute(select(results).where(results.c.run_id == run_id).order_by(results.c.position, results.c.id))
    return tuple(as_file(row) for row in rows)


def of_study(conn: Connection, study_id: int) -> tuple[ResultFile, ...]:
    """Every result of a study, oldest run first."""
    order = (results.c.run_id, results.c.position, results.c.id)
    rows = conn.execute(select(results).where(results.c.study_id == study_id).order_by(*order))
    return tuple(as_file(row) for row in rows)


def as_file(row: Row[Any]) -> ResultFile:
    """A row of `results` (or a join with it) as a value."""
    return ResultFile(
        row.kind,
        row.position,
        row.sop_class_uid,
        row.sop_instance_uid,
        row.series_instance_uid,
        row.transfer_syntax_uid,
        row.path,
        row.size,
        row.sha256,
    )


def _columns(file: ResultFile) -> dict[str, Any]:
    return {
        "kind": file.kind,
        "position": file.order,
        "sop_class_uid": file.sop_class_uid,
        "sop_instance_uid": file.sop_instance_uid,
        "series_instance_uid": file.series_instance_uid,
        "transfer_syntax_uid": file.transfer_syntax_uid,
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
    }
