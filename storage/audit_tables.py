"""The tables of the audit trail; what is written into them stands in `storage/audit.py`.

On SQLite triggers refuse to change or remove a row of the trail. On PostgreSQL that is a matter of rights: the
administrator gives the role of the node INSERT and SELECT on `audit`, no more (deploy/ADMIN.md).
"""

from sqlalchemy import DDL, BigInteger, CheckConstraint, Column, Double, Index, Integer, Table, Text, event, text

from storage.tables import metadata

_ID = BigInteger().with_variant(Integer, "sqlite")
_EMPTY = text("''")

audit = Table(
    "audit",
    metadata,
    Column("number", _ID, primary_key=True, autoincrement=False),  # from 1 on, without a gap
    Column("at", Double, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("who", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("study_id", _ID, nullable=True),  # no foreign key: the row outlives its study
    Column("study_instance_uid", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("value_before", Text, nullable=False),
    Column("value_after", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("outcome IN (0, 4, 8, 12)", name="outcome"),
    Index("ix_audit_at", "at"),
    Index("ix_audit_action", "action", "number"),
    Index("ix_audit_study_id", "study_id"),
)

audit_export = Table(
    "audit_export",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),  # the last row of the trail that has arrived there
    Column("owner", Text, nullable=False, server_default=_EMPTY),
    Column("lease_until", Double, nullable=False),
)

_REFUSED = "rows of the audit trail are never changed or removed"
TRIGGERS = tuple(
    f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
    for verb in ("UPDATE", "DELETE")
)
for _statement in TRIGGERS:
    event.listen(audit, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]  # theirs
