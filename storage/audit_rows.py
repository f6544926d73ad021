"""Reading the audit trail: lists, its last row, and whether it is whole."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from storage.audit import Action, Indicator
from storage.audit_chain import FIRST, Anchor, Verified, verified
from storage.audit_tables import audit, audit_export


@dataclass(frozen=True, slots=True)
class Audited:
    """One row of the trail."""

    number: int
    at: float
    action: str
    outcome: Indicator
    who: str
    address: str
    study_id: int | None
    study_instance_uid: str
    about: str
    before: Any
    after: Any
    details: dict[str, Any]
    hash: str


def head(conn: Connection) -> Anchor:
    """The last row; number 0 when there is none."""
    row = conn.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).one_or_none()
    return Anchor(0, FIRST) if row is None else Anchor(row.number, row.hash)


def newest(conn: Connection, limit: int, since: float | None = None) -> list[Audited]:
    """The last `limit` rows, oldest first; only those of `since` (unix seconds) and later."""
    query = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if since is not None:
        query = query.where(audit.c.at >= since)
    return [_audited(row) for row in reversed(conn.execute(query).all())]


def following(conn: Connection, number: int, limit: int) -> list[Audited]:
    """Up to `limit` rows behind row `number`."""
    query = select(audit).where(audit.c.number > number).order_by(audit.c.number).limit(limit)
    return [_audited(row) for row in conn.execute(query)]


def of_actions(conn: Connection, actions: Collection[Action], limit: int, about: str = "") -> list[Audited]:
    """The last `limit` rows of these actions, oldest first; only those about the object `about`, if one is named."""
    query = select(audit).where(audit.c.action.in_([str(action) for action in actions]))
    if about:
        query = query.where(audit.c.object == about)
    rows = conn.execute(query.order_by(audit.c.number.desc()).limit(limit)).all()
    return [_audited(row) for row in reversed(rows)]


def verify(conn: Connection, anchors: Collection[Anchor] = ()) -> Verified:
    """Read the whole trail for rows that are missing or were changed."""
    sent = conn.execute(select(func.max(audit_export.c.position))).scalar() or 0
    query = select(audit).order_by(audit.c.number)
    with conn.execute(query, execution_options={"yield_per": 1000}) as rows:
        return verified((row._asdict() for row in rows), anchors, sent)


def _audited(row: Row[Any]) -> Audited:
    return Audited(
        number=row.number,
        at=row.at,
        action=row.action,
        outcome=Indicator(row.outcome),
        who=row.who,
        address=row.address,
        study_id=row.study_id,
        study_instance_uid=row.study_instance_uid,
        about=row.object,
        before=_read(row.value_before),
        after=_read(row.value_after),
        details=_read(row.details) or {},
        hash=row.hash,
    )


def _read(value: str) -> Any:
    return json.loads(value) if value else None
