"""How far the repository of audit messages has got, and which process sends to it."""

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from storage.audit_tables import audit_export
from storage.upsert import insert_or_ignore


def claim(
    conn: Connection, repository: str, owner: str, lease_s: float, now: float, is_dead: Callable[[str], bool]
) -> int | None:
    """Take over the sending; the last row that has arrived, or None while another process that lives has it."""
    row = {"repository": repository, "position": 0, "owner": "", "lease_until": 0.0}
    conn.execute(insert_or_ignore(conn.dialect.name, audit_export), [row])
    mine = audit_export.c.repository == repository
    found = conn.execute(select(audit_export).where(mine).with_for_update()).one()
    if found.owner not in ("", owner) and found.lease_until > now and not is_dead(found.owner):
        return None
    conn.execute(update(audit_export).where(mine).values(owner=owner, lease_until=now + lease_s))
    return int(found.position)


def advance(conn: Connection, repository: str, owner: str, position: int, lease_until: float) -> bool:
    """Everything up to row `position` has arrived; False when another process sends by now."""
    mine = (audit_export.c.repository == repository) & (audit_export.c.owner == owner)
    values = {"position": position, "lease_until": lease_until}
    return conn.execute(update(audit_export).where(mine).values(**values)).rowcount == 1


def release(conn: Connection, repository: str, owner: str) -> None:
    """Let another process send."""
    mine = (audit_export.c.repository == repository) & (audit_export.c.owner == owner)
    conn.execute(update(audit_export).where(mine).values(owner="", lease_until=0.0))
