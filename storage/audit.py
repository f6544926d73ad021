"""The audit trail: who did what to what, when, from where, and whether it succeeded. Rows are added, never changed.

`add` is called anywhere in a write transaction; `storage.engine.begin` seals what was added just before it commits. So
a row is there exactly when what it tells of is, and the chain is serialised for the shortest time: the lock on its end
is the last one that a transaction takes, and no transaction waits for another while it holds it.

A row holds the SHA-256 of the row before it and of itself (`storage/audit_chain.py`). No name, patient number, birth
date or other text of a header belongs here; the Study Instance UID does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from sqlalchemy import Connection, Executable, insert, select, text

from storage.audit_chain import FIRST, sealed
from storage.audit_tables import audit

_PENDING = "audit"
_LOCK = text("SELECT pg_advisory_xact_lock(7233915)")
_HEAD: Executable = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
_ADD = insert(audit)
_LONGEST = 200


class Action(StrEnum):
    """What a row tells of; node/audit/messages.py says as which DICOM event."""

    STARTED = "started"
    STOPPED = "stopped"
    RECOVERED = "recovered"
    """A process found that its former life had ended without stopping in order."""
    CONFIGURED = "configured"
    """All settings of the configuration file, whenever they are others than at the start before."""
    SETTING_CHANGED = "setting-changed"
    ASSOCIATION_ACCEPTED = "association-accepted"
    ASSOCIATION_REJECTED = "association-rejected"
    USER_ACCEPTED = "user-accepted"
    USER_REFUSED = "user-refused"
    STUDY_RECEIVED = "study-received"
    STUDY_PROCESSED = "study-processed"
    STUDY_CRASHED = "study-crashed"
    RESULTS_SENT = "results-sent"
    RESULTS_WITHDRAWN = "results-withdrawn"
    PEER_ADDED = "peer-added"
    PEER_CHANGED = "peer-changed"
    PEER_REMOVED = "peer-removed"
    STUDY_DELETED = "study-deleted"
    STUDY_RETRIED = "study-retried"
    RESULTS_RESENT = "results-resent"
    QUARANTINE_RELEASED = "quarantine-released"
    PASSCODE_MADE = "passcode-made"
    EXPORTED = "exported"
    BACKED_UP = "backed-up"
    RESTORED = "restored"
    REBUILT = "rebuilt"
    MODEL_LOADED = "model-loaded"
    MODEL_REFUSED = "model-refused"
    DISK_WATERMARK = "disk-watermark"
    CLOCK_JUMPED = "clock-jumped"


class Indicator(IntEnum):
    """EventOutcomeIndicator (PS3.15 A.5.1.1)."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12
    """What reports is not available any more."""


@dataclass(frozen=True, slots=True)
class By:
    """Who acts."""

    who: str
    """A user of the machine, an AE title, or `osteon` for the node itself."""
    address: str = ""
    reason: str = ""
    """What a person gave as the reason."""


NODE = By("osteon")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row to be."""

    action: Action
    outcome: Indicator = Indicator.SUCCESS
    by: By = NODE
    study_id: int | None = None
    study_instance_uid: str = ""
    about: str = ""
    """What it is about where that is no study: "peer pacs", "model hand 1.0"."""
    before: object = ""
    """The old value, where one was changed."""
    after: object = ""
    details: Mapping[str, object] = field(default_factory=dict)


def expect(conn: Connection) -> None:
    """Entries may be added from here on: a transaction begins."""
    conn.info[_PENDING] = []


def add(conn: Connection, entry: Entry, now: float) -> None:
    """Have a row written when this transaction commits."""
    conn.info[_PENDING].append((entry, now))


def forget(conn: Connection) -> None:
    """The transaction is over: nothing can be added any more."""
    if not conn.invalidated:
        conn.info.pop(_PENDING, None)


def alone(conn: Connection) -> None:
    """Let nobody else add rows until this transaction ends; to be called before it takes any other lock."""
    if conn.dialect.name == "postgresql":  # SQLite's write transactions are alone anyway
        conn.execute(_LOCK)


def seal(conn: Connection) -> None:
    """Write what was added, chained to what is there. The last thing that a transaction does."""
    pending: list[tuple[Entry, float]] = conn.info.pop(_PENDING, [])
    if not pending:
        return
    alone(conn)
    head = conn.execute(_HEAD).one_or_none()
    number, previous = (head.number, head.hash) if head is not None else (0, FIRST)
    rows = []
    for entry, at in pending:
        number += 1
        row = _row(entry, at) | {"number": number, "previous": previous}
        previous = row["hash"] = sealed(row)
        rows.append(row)
    conn.execute(_ADD, rows)


def _row(entry: Entry, at: float) -> dict[str, object]:
    details = dict(entry.details)
    if entry.by.reason:
        details["reason"] = entry.by.reason
    return {
        "at": round(at, 3),
        "action": str(entry.action),
        "outcome": int(entry.outcome),
        "who": shown(entry.by.who),
        "address": shown(entry.by.address),
        "study_id": entry.study_id,
        "study_instance_uid": shown(entry.study_instance_uid),
        "object": shown(entry.about),
        "value_before": _value(entry.before),
        "value_after": _value(entry.after),
        "details": _value(details) if details else "",
    }


def _value(value: object) -> str:
    """JSON, pure ASCII; "" where there is none."""
    return "" if value == "" else json.dumps(value, sort_keys=True)


def shown(value: str) -> str:
    """What somebody else may have chosen: printable, and of limited length."""
    return "".join(char if char.isprintable() else "?" for char in value[:_LONGEST])
