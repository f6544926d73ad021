"""What people say of results: the documents that came, and what each says of which result."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables. Documents that came before are not in them: nobody looked for what they say."""
    _returned()
    _assessments()


def _returned() -> None:
    op.create_table(
        "returned",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source_series_uid", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('early', 'due', 'linked', 'unrelated', 'unreadable')", name=op.f("ck_returned_state")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_returned_study_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_returned_instance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returned")),
        sa.UniqueConstraint("instance_id", name=op.f("uq_returned_instance_id")),
    )
    op.create_index("ix_returned_state", "returned", ["state", "id"])
    op.create_index("ix_returned_study_id", "returned", ["study_id"])


def _assessments() -> None:
    op.create_table(
        "assessments",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("result_id", _ID, nullable=False),
        sa.Column("returned_id", _ID, nullable=False),
        sa.Column("tracking_uid", sa.Text(), nullable=False),
        sa.Column("judgement", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "judgement IN ('accepted', 'modified', 'rejected', 'unknown')", name=op.f("ck_assessments_judgement")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_assessments_study_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_assessments_run_id")),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_assessments_result_id")),
        sa.ForeignKeyConstraint(["returned_id"], ["returned.id"], name=op.f("fk_assessments_returned_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
    )
    op.create_index("ix_assessments_study_id", "assessments", ["study_id"])
    op.create_index("ix_assessments_returned_id", "assessments", ["returned_id"])
