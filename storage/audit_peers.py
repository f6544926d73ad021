"""What the audit trail says of peers: one row for each that came or went, one for each value that was changed."""

from collections.abc import Mapping

from sqlalchemy import Connection

from storage.audit import Action, By, Entry, add

Values = Mapping[str, object]


def added(conn: Connection, values: Values, by: By, now: float) -> None:
    """A peer was added with these values."""
    add(conn, Entry(Action.PEER_ADDED, by=by, about=_name(values), after=dict(values)), now)


def changed(conn: Connection, before: Values, after: Values, by: By, now: float) -> None:
    """A peer's values were replaced: one row for each that is another now."""
    for key in before:
        if before[key] != after[key]:
            details = {"setting": key}
            entry = Entry(
                Action.PEER_CHANGED,
                by=by,
                about=_name(after),
                before=before[key],
                after=after[key],
                details=details,
            )
            add(conn, entry, now)


def removed(conn: Connection, values: Values, left: int, by: By, now: float) -> None:
    """A peer was removed; `left` objects that waited for it were parked."""
    entry = Entry(Action.PEER_REMOVED, by=by, about=_name(values), before=dict(values), details={"parked": left})
    add(conn, entry, now)


def _name(values: Values) -> str:
    return f"peer {values['name']}"
