"""The only place where a study changes its state: allowed moves only, and an event in the same transaction."""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from storage import errors, events
from storage.states import StudyState, may_move
from storage.tables import studies


def locked(conn: Connection, study_id: int) -> Row[Any]:
    """The study's row, held against other writers until the transaction ends.

    Raises
    ------
    Unknown
        There is no such study.
    """
    row = conn.execute(select(studies).where(studies.c.id == study_id).with_for_update()).one_or_none()
    if row is None:
        raise errors.Unknown(f"There is no study {study_id}. List them with: osteon studies")
    return row


def move(
    conn: Connection, study: Row[Any], after: StudyState, kind: events.EventKind, text: str, now: float, **values: Any
) -> None:
    """Move a locked study to another state, set `values` beside it, and write the event.

    Raises
    ------
    ForbiddenMove
        `STUDY_MOVES` has no such way.
    """
    before = StudyState(study.state)
    if not may_move(before, after):
        raise errors.ForbiddenMove(f"Study {study.id} cannot go from {before} to {after}. This is a fault of Osteon.")
    conn.execute(update(studies).where(studies.c.id == study.id).values(state=after, changed_at=now, **values))
    events.add(conn, study.id, kind, text, now)
