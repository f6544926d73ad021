"""What a person's `osteon retry` does to the outbox: what was parked goes again, what waits goes at once."""

from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from storage.fallbacks import begin_again
from storage.states import DeliveryState
from storage.tables import deliveries, parcels, peers, runs


def unpark(conn: Connection, study_id: int, now: float) -> dict[str, Any] | None:
    """Make the parked deliveries of the study's last parcels due again, but for those to removed peers.

    Of objects that stood in for each other and were all refused the first is tried again, and the others wait for what
    becomes of it. What a peer took and did not confirm is sent and asked for once more.

    Returns
    -------
    The outcome and explanation of the run they belong to; None when there was nothing to send again.
    """
    last = select(func.max(parcels.c.run_id)).where(parcels.c.study_id == study_id).scalar_subquery()
    living = select(peers.c.id).where(peers.c.removed_at.is_(None))
    mine = and_(parcels.c.study_id == study_id, parcels.c.run_id == last, parcels.c.peer_id.in_(living))
    ids = select(parcels.c.id).where(mine)
    parked = and_(deliveries.c.parcel_id.in_(ids), deliveries.c.state == DeliveryState.PARKED)
    touched = list(conn.execute(select(deliveries.c.parcel_id).where(parked).distinct()).scalars())
    for parcel_id in touched:
        begin_again(conn, parcel_id, now)
    again = {"state": DeliveryState.PENDING, "changed_at": now, "resends": 0}
    conn.execute(update(deliveries).where(parked).values(**again))
    conn.execute(
        update(parcels).where(parcels.c.id.in_(touched)).values(is_open=True, since=now, due_at=now, attempts=0)
    )
    if not touched:
        return None
    run = conn.execute(select(runs.c.outcome, runs.c.explanation).where(runs.c.id == last)).one()
    return {"outcome": run.outcome, "explanation": run.explanation}
