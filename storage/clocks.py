"""Stored times put right after the wall clock was set; when to do so is decided in node/clocks.py."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, update

from storage.states import DeliveryState, StudyState
from storage.tables import confirmations, deliveries, parcels, studies


@dataclass(frozen=True, slots=True)
class Longest:
    """How far ahead a time may honestly lie, in seconds."""

    sending_s: float
    """Of a parcel: a pause between attempts, or the lease of its sender."""
    asking_s: float
    """Of a question whether a peer keeps what it took."""
    analysing_s: float
    """Of a study that was given back for a while."""


def bring_back(conn: Connection, now: float, longest: Longest) -> int:
    """Make due now what waits for a time that a clock set back has moved out of reach; how much there was.

    A parcel in a sender's hands keeps a lease of full length from now on.
    """
    in_hand = exists().where(deliveries.c.parcel_id == parcels.c.id, deliveries.c.state == DeliveryState.SENDING)
    far_parcels = and_(parcels.c.is_open, parcels.c.due_at > now + longest.sending_s)
    far_questions = confirmations.c.due_at > now + longest.asking_s
    far_studies = and_(studies.c.state == StudyState.READY, studies.c.not_before > now + longest.analysing_s)
    held = update(parcels).where(far_parcels, in_hand).values(due_at=now + longest.sending_s)
    changes = (
        update(parcels).where(far_parcels, ~in_hand).values(due_at=now),
        update(confirmations).where(far_questions).values(due_at=now),
        update(studies).where(far_studies).values(not_before=None),
    )
    conn.execute(held)
    return sum(conn.execute(change).rowcount for change in changes)


def add_patience(conn: Connection, jump_s: float) -> None:
    """After the clock was set forward by `jump_s`: nothing has been tried for any longer because of that."""
    if jump_s > 0:
        conn.execute(update(parcels).where(parcels.c.is_open).values(since=parcels.c.since + jump_s))
        conn.execute(update(confirmations).values(since=confirmations.c.since + jump_s))
