"""What can still be read in a damaged SQLite file, row by row, into a new and empty one of the newest schema.

What the journal tells again (instances and what hangs on them) is not read here. A study's row comes with the state
in which it begins again, RECEIVING; `restore_states` gives it its former state when the journal held just what the row
counted. Where rows of answers were lost, a study that was on its way is answered anew rather than half.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from storage import tables
from storage.states import FINAL_STUDY_STATES, StudyState

log = logging.getLogger(__name__)

_FROM_JOURNAL = {"segments", "series", "instances", "arrivals", "conflicts", "returned", "assessments"}
_ANSWERS = {"runs", "results", "parcels", "deliveries", "stand_ins", "confirmations"}
_SKIPPED = 10_000
"""So many numbers in a row without a readable row end a table whose highest number is unknown."""
_BEGINS = {"state": StudyState.RECEIVING.value, "outcome": None, "instance_count": 0, "image_count": 0,
           "has_patient_conflict": 0, "ready_at": None}  # fmt: skip
_RETURNS = ("outcome", "explanation", "attempts", "crashes", "forced", "not_before", "ready_at", "receiving_since",
            "changed_at")  # fmt: skip


@dataclass(slots=True)
class Salvaged:
    """What was read."""

    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    damaged: set[str] = field(default_factory=set)
    """Tables of which rows could not be read, or did not fit."""
    studies: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The former rows, by number."""

    @property
    def answers_are_whole(self) -> bool:
        """Whether nothing was lost of runs, results and their way to the peers."""
        return not self.damaged & (_ANSWERS | {"peers"})


def salvage(old: Path, new: Path) -> Salvaged:
    """Copy every row that can be read from `old` into the empty database `new`, in one transaction."""
    found = Salvaged()
    reader = sqlite3.connect(old, isolation_level=None)
    writer = sqlite3.connect(new, isolation_level=None)
    try:
        writer.execute("PRAGMA foreign_keys=ON")
        writer.execute("BEGIN IMMEDIATE")
        for table in tables.metadata.sorted_tables:
            if table.name not in _FROM_JOURNAL:
                _copy(reader, writer, table, found)
        writer.execute("COMMIT")
    finally:
        reader.close()
        writer.close()
    return found


def restore_states(new: Path, found: Salvaged, now: float) -> int:
    """Give the studies their former states where that is safe; return how many are as they were."""
    writer = sqlite3.connect(new, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE runs SET state = 'crashed', ended_at = ? WHERE state = 'running'", (now,))
        restored = 0
        for number, study in found.studies.items():
            after = _state_after(writer, number, study, found)
            if after is not None:
                settings = ", ".join(f"{name} = :{name}" for name in ("state", *_RETURNS))
                writer.execute(
                    f"UPDATE studies SET {settings} WHERE id = :id",  # noqa: S608  our own names
                    study | {"id": number, "state": after.value, "ready_at": study["ready_at"] or now},
                )
                restored += after == study["state"]
            if not found.answers_are_whole and after in (None, StudyState.READY, StudyState.FAILED):
                _forget_answers(writer, number)
        writer.execute("COMMIT")
    finally:
        writer.close()
    return restored


def _state_after(db: sqlite3.Connection, number: int, study: dict[str, Any], found: Salvaged) -> StudyState | None:
    """The state to give back; None for a study that begins again."""
    now = db.execute("SELECT instance_count, image_count FROM studies WHERE id = ?", (number,)).fetchone()
    try:
        former = StudyState(study["state"])
    except ValueError:
        return None
    if now != (study["instance_count"], study["image_count"]):
        return None
    if former in FINAL_STUDY_STATES or (former is StudyState.SENDING and found.answers_are_whole):
        return former
    return StudyState.READY if former in (StudyState.READY, StudyState.ANALYSING) else None


def _forget_answers(db: sqlite3.Connection, number: int) -> None:
    """Without a trace, so that the next analysis is the first: results get the same UIDs from the same images."""
    parcel = "SELECT id FROM parcels WHERE study_id = ?"
    delivery = f"SELECT id FROM deliveries WHERE parcel_id IN ({parcel})"  # noqa: S608
    for statement in (
        f"DELETE FROM commitment_items WHERE delivery_id IN ({delivery})",  # noqa: S608
        f"DELETE FROM stand_ins WHERE delivery_id IN ({delivery})",  # noqa: S608
        f"DELETE FROM commitments WHERE parcel_id IN ({parcel})",  # noqa: S608
        f"DELETE FROM confirmations WHERE parcel_id IN ({parcel})",  # noqa: S608
        f"DELETE FROM deliveries WHERE parcel_id IN ({parcel})",  # noqa: S608
        "DELETE FROM parcels WHERE study_id = ?",
        "DELETE FROM results WHERE study_id = ?",
        "UPDATE runs SET supersedes = NULL WHERE study_id = ?",
        "DELETE FROM runs WHERE study_id = ?",
        "UPDATE returned SET state = 'early' WHERE study_id = ?",
    ):
        db.execute(statement, (number,))


def _copy(reader: sqlite3.Connection, writer: sqlite3.Connection, table: Table, found: Salvaged) -> None:
    """The rows of one table; one that does not fit goes without its optional references, or not at all."""
    names = _columns(reader, table)
    if not names:
        found.damaged.add(table.name)
        return
    listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" for _ in names)
    statement = f"INSERT INTO {table.name} ({listed}) VALUES ({marks})"  # noqa: S608
    optional = {column.name for column in table.columns if column.foreign_keys and column.nullable}
    count = 0
    for values in _rows(reader, table.name, listed, found):
        row = dict(zip(names, values, strict=True))
        if table is tables.studies:
            found.studies[row["id"]] = dict(row)
            row |= _BEGINS
        if _add(writer, statement, row) or _add(writer, statement, row | dict.fromkeys(optional)):
            count += 1
        else:
            found.damaged.add(table.name)
            found.studies.pop(row["id"], None) if table is tables.studies else None
    found.rows[table.name] = count
    _go_on_counting(reader, writer, table.name)


def _add(writer: sqlite3.Connection, statement: str, row: dict[str, Any]) -> bool:
    try:
        writer.execute(statement, tuple(row.values()))
    except (sqlite3.IntegrityError, sqlite3.DataError):
        return False
    return True


def _columns(reader: sqlite3.Connection, table: Table) -> list[str]:
    """Those of our columns that the old database has; none when the table cannot be found."""
    try:
        there = {row[1] for row in reader.execute(f"PRAGMA table_info({table.name})")}
    except sqlite3.DatabaseError:
        return []
    return [column.name for column in table.columns if column.name in there]


def _rows(reader: sqlite3.Connection, name: str, listed: str, found: Salvaged) -> Iterator[Sequence[Any]]:
    """Every row that can be read, by its number; pages that cannot be read are stepped over."""
    at, highest = -1, _highest(reader, name)
    query = f"SELECT rowid, {listed} FROM {name} NOT INDEXED WHERE rowid > ? ORDER BY rowid"  # noqa: S608
    last = at
    while at <= (last + _SKIPPED if highest is None else highest):
        try:
            for number, *values in reader.execute(query, (at,)):
                if number <= at:
                    raise sqlite3.DatabaseError("numbers out of order")  # noqa: TRY301  the same way out
                at = last = number
                yield values
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            found.damaged.add(name)
            at += 1
        else:
            return


def _highest(reader: sqlite3.Connection, name: str) -> int | None:
    for query, values in (
        ("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)),
        (f"SELECT max(rowid) FROM {name} NOT INDEXED", ()),  # noqa: S608
    ):
        try:
            row = reader.execute(query, values).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row and isinstance(row[0], int):
            return row[0]
    return None


def _go_on_counting(reader: sqlite3.Connection, writer: sqlite3.Connection, name: str) -> None:
    """No number is given twice, whatever was lost behind the last row that was read."""
    try:
        row = reader.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)).fetchone()
    except sqlite3.DatabaseError:
        return
    if row and isinstance(row[0], int):
        own = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)).fetchone()
        writer.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        writer.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, max(row[0], own[0] if own else 0)))
