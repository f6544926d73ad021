"""The timeline of a study: what happened, when, in words an admin reads. No patient data, no UIDs."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from storage.tables import events


class EventKind(StrEnum):
    """What `storage` itself writes; `node` adds kinds of its own."""

    RECEIVED = "received"
    REOPENED = "reopened"
    OWN_RETURNED = "own_returned"
    CONFLICT = "conflict"
    READY = "ready"
    CLAIMED = "claimed"
    RELEASED = "released"
    CRASHED = "crashed"
    QUARANTINED = "quarantined"
    ENDED = "ended"
    UNCHANGED = "unchanged"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REPLACED = "replaced"
    DELIVERED = "delivered"
    DELAYED = "delayed"
    PARKED = "parked"
    RETRIED = "retried"
    ASSESSED = "assessed"
    WITHDRAWN = "withdrawn"
    FORGOTTEN = "forgotten"
    """Belongs to no study: the study is gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    id: int
    study_id: int | None
    kind: str
    text: str
    at: float


_ADD = insert(events)


def add(conn: Connection, study_id: int | None, kind: str, text: str, now: float) -> None:
    """Write one event; `study_id` None for what concerns no single study."""
    conn.execute(_ADD, {"study_id": study_id, "kind": str(kind), "text": text, "at": now})


def timeline(conn: Connection, study_id: int) -> list[Event]:
    """The events of a study, oldest first."""
    rows = conn.execute(select(events).where(events.c.study_id == study_id).order_by(events.c.id))
    return [Event(row.id, row.study_id, row.kind, row.text, row.at) for row in rows]
