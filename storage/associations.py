"""Which associations are open: evidence for the decision that a study has stopped arriving.

An association without a row counts as closed. A listener that starts closes what its former life left open.
"""

from sqlalchemy import Connection, update

from storage.tables import associations
from storage.upsert import insert_or_ignore


def open_association(
    conn: Connection,
    association: str,
    listener: str,
    calling_ae: str,
    called_ae: str,
    address: str,
    now: float,
) -> None:
    """Note that `listener` (its own lasting name) has accepted the association; again is no harm."""
    row = {
        "id": association,
        "listener": listener,
        "calling_ae": _shown(calling_ae),
        "called_ae": _shown(called_ae),
        "address": _shown(address),
        "opened_at": now,
    }
    conn.execute(insert_or_ignore(conn.dialect.name, associations), [row])


def close_association(conn: Connection, association: str, now: float) -> None:
    """Note that it was released or aborted, or has died; again is no harm."""
    still_open = (associations.c.id == association) & associations.c.closed_at.is_(None)
    conn.execute(update(associations).where(still_open).values(closed_at=now))


def close_stale_associations(conn: Connection, listener: str, now: float) -> int:
    """Close what a crash of `listener` left open; called when it starts. Returns how many there were."""
    left_open = (associations.c.listener == listener) & associations.c.closed_at.is_(None)
    return conn.execute(update(associations).where(left_open).values(closed_at=now)).rowcount


def _shown(value: str) -> str:
    return value if value.isprintable() else "".join(char if char.isprintable() else "?" for char in value)
