"""Transactions of storage commitment (PS3.4 Annex J): kept before the peer is asked, matched with what it reports."""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from storage import confirmations
from storage.confirmations import Confirmation, Resend
from storage.tables import commitment_items, commitments, deliveries, parcels, results
from storage.tables import confirmations as waiting


def ask(conn: Connection, confirmation: Confirmation, transaction_uid: str, now: float) -> None:
    """Keep a transaction that asks for everything in `confirmation`. Commit before the peer hears of it."""
    row = {"parcel_id": confirmation.parcel_id, "transaction_uid": transaction_uid, "asked_at": now}
    number = conn.execute(insert(commitments).returning(commitments.c.id), row).scalar_one()
    rows = [{"commitment_id": number, "delivery_id": delivery_id} for delivery_id, _ in confirmation.items]
    conn.execute(insert(commitment_items), rows)


def is_answered(conn: Connection, transaction_uid: str) -> bool:
    """Whether the peer has reported on a transaction."""
    query = select(commitments.c.answered_at).where(commitments.c.transaction_uid == transaction_uid)
    return conn.execute(query).scalar() is not None


def report(
    conn: Connection,
    peer_id: int,
    transaction_uid: str,
    committed: frozenset[str] | None,
    failed: Mapping[str, str],
    resend: Resend,
    now: float,
) -> int | None:
    """Record what a peer reports of a transaction, once; another report of the same changes nothing more.

    Parameters
    ----------
    committed
        SOP Instance UIDs; None for everything that was asked.
    failed
        By SOP Instance UID what the peer says of it. An object in neither is asked for again.

    Returns
    -------
    int or None
        Our number of the study; None when this peer was never asked in such a transaction.
    """
    query = select(commitments, parcels.c.study_id).join_from(commitments, parcels)
    asked = conn.execute(
        query.where(commitments.c.transaction_uid == transaction_uid, parcels.c.peer_id == peer_id)
    ).one_or_none()
    if asked is None:
        return None
    study_id: int = asked.study_id
    if asked.answered_at is not None:
        return study_id
    conn.execute(update(commitments).where(commitments.c.id == asked.id).values(answered_at=now))
    joined = (
        select(commitment_items.c.delivery_id, results.c.sop_instance_uid)
        .join(deliveries, deliveries.c.id == commitment_items.c.delivery_id)
        .join(results, results.c.id == deliveries.c.result_id)
    )
    numbers = {
        row.sop_instance_uid: row.delivery_id
        for row in conn.execute(joined.where(commitment_items.c.commitment_id == asked.id))
    }
    there = numbers.keys() - failed.keys() if committed is None else numbers.keys() & committed
    lost = {numbers[uid]: words for uid, words in failed.items() if uid in numbers}
    again = {"due_at": resend.at, "owner": ""}
    conn.execute(update(waiting).where(waiting.c.parcel_id == asked.parcel_id).values(**again))
    if lost:
        confirmations.missing(conn, asked.parcel_id, lost, resend, now)
    confirmations.confirmed(conn, asked.parcel_id, [numbers[uid] for uid in there], "commitment", now)
    return study_id
