"""Deliveries that are proved: when each was accepted, when and how confirmed, what stands in for what."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATES = "'pending', 'sending', 'accepted', 'delivered', 'reserve', 'replaced', 'parked'"
_KEPT = "id, parcel_id, result_id, state, status, error, changed_at"


def upgrade() -> None:
    """What was delivered until now was accepted then; nothing else proved it."""
    if op.get_bind().dialect.name == "sqlite":
        _deliveries_anew()
    else:
        _deliveries_altered()
    op.execute("UPDATE deliveries SET accepted_at = changed_at WHERE state = 'delivered'")
    _stand_ins()
    _confirmations()
    _commitments()


def _deliveries_anew() -> None:
    """SQLite cannot change a check: the table is made again beside the old one. Nothing refers to it yet."""
    op.create_table(
        "deliveries_anew",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("parcel_id", _ID, nullable=False),
        sa.Column("result_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        *_new_columns(),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcels.id"], name=op.f("fk_deliveries_parcel_id")),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_deliveries_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("parcel_id", "result_id", name=op.f("uq_deliveries_parcel_id")),
        sqlite_autoincrement=True,
    )
    op.execute(f"INSERT INTO deliveries_anew ({_KEPT}) SELECT {_KEPT} FROM deliveries")  # noqa: S608  our own names
    op.drop_table("deliveries")
    op.rename_table("deliveries_anew", "deliveries")
    op.create_index("ix_deliveries_state", "deliveries", ["state"], unique=False)


def _deliveries_altered() -> None:
    op.drop_constraint(op.f("ck_deliveries_state"), "deliveries", type_="check")
    op.create_check_constraint(op.f("ck_deliveries_state"), "deliveries", f"state IN ({_STATES})")
    for column in _new_columns():
        op.add_column("deliveries", column)


def _new_columns() -> "list[sa.Column[object]]":
    return [
        sa.Column("accepted_at", sa.Double(), nullable=True),
        sa.Column("confirmed_at", sa.Double(), nullable=True),
        sa.Column("confirmed_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("resends", sa.Integer(), server_default=sa.text("0"), nullable=False),
    ]


def _stand_ins() -> None:
    op.create_table(
        "stand_ins",
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("instead_of", _ID, nullable=False),
        sa.Column("in_reserve", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_stand_ins_delivery_id")),
        sa.ForeignKeyConstraint(["instead_of"], ["deliveries.id"], name=op.f("fk_stand_ins_instead_of")),
        sa.PrimaryKeyConstraint("delivery_id", "instead_of", name=op.f("pk_stand_ins")),
    )
    op.create_index("ix_stand_ins_instead_of", "stand_ins", ["instead_of"], unique=False)


def _confirmations() -> None:
    op.create_table(
        "confirmations",
        sa.Column("parcel_id", _ID, nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("asks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("by_find", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcels.id"], name=op.f("fk_confirmations_parcel_id")),
        sa.PrimaryKeyConstraint("parcel_id", name=op.f("pk_confirmations")),
    )
    op.create_index("ix_confirmations_due_at", "confirmations", ["due_at"], unique=False)


def _commitments() -> None:
    op.create_table(
        "commitments",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("parcel_id", _ID, nullable=False),
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcels.id"], name=op.f("fk_commitments_parcel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
        sa.UniqueConstraint("transaction_uid", name=op.f("uq_commitments_transaction_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commitments_parcel_id", "commitments", ["parcel_id"], unique=False)
    op.create_table(
        "commitment_items",
        sa.Column("commitment_id", _ID, nullable=False),
        sa.Column("delivery_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["commitment_id"], ["commitments.id"], name=op.f("fk_commitment_items_commitment_id")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_commitment_items_delivery_id")),
        sa.PrimaryKeyConstraint("commitment_id", "delivery_id", name=op.f("pk_commitment_items")),
    )
    op.create_index("ix_commitment_items_delivery_id", "commitment_items", ["delivery_id"], unique=False)
