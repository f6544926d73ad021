"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, referenced ones first."""
    _peers()
    _associations()
    _segments()
    _studies()
    _series()
    _instances()
    _arrivals()
    _conflicts()
    _runs()
    _results()
    _parcels()
    _deliveries()
    _events()


def _peers() -> None:
    op.create_table(
        "peers",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ae_title", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("may_send", sa.Boolean(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("may_find", sa.Boolean(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("removed_at", sa.Double(), nullable=True),
        sa.CheckConstraint("results IN ('none', 'own', 'all')", name=op.f("ck_peers_results")),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_peers_port")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peers")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_peers_ae_title",
        "peers",
        ["ae_title"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_peers_name",
        "peers",
        ["name"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def _associations() -> None:
    op.create_table(
        "associations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("called_ae", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_associations")),
    )
    op.create_index("ix_associations_listener", "associations", ["listener", "closed_at"], unique=False)


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("indexed_to", sa.BigInteger(), nullable=False),
        sa.Column("indexed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_segments")),
    )


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("patient_key", sa.Text(), nullable=False),
        sa.Column("has_patient_conflict", sa.Boolean(), nullable=False),
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("instance_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("image_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_arrival", sa.Double(), nullable=False),
        sa.Column("last_arrival", sa.Double(), nullable=False),
        sa.Column("receiving_since", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("ready_at", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state IN ('receiving', 'ready', 'analysing', 'sending', 'delivered', "
            "'not_applicable', 'failed', 'quarantined')",
            name=op.f("ck_studies_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("study_instance_uid", name=op.f("uq_studies_study_instance_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_studies_ready", "studies", ["state", "ready_at"], unique=False)
    op.create_index("ix_studies_state", "studies", ["state", "id"], unique=False)


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("image_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_series_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("study_id", "series_instance_uid", name=op.f("uq_series_study_id")),
    )


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("series_id", _ID, nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("patient_key", sa.Text(), nullable=False),
        sa.Column("is_image", sa.Boolean(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("association", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["segment"], ["segments.name"], name=op.f("fk_instances_segment")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_instances_series_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_instances_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_instances_sop_instance_uid")),
    )
    op.create_index("ix_instances_segment", "instances", ["segment"], unique=False)
    op.create_index("ix_instances_study_id", "instances", ["study_id"], unique=False)


def _arrivals() -> None:
    op.create_table(
        "arrivals",
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("association", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_arrivals_study_id")),
        sa.PrimaryKeyConstraint("study_id", "association", name=op.f("pk_arrivals")),
    )


def _conflicts() -> None:
    op.create_table(
        "conflicts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("patient_key", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('instance', 'patient')", name=op.f("ck_conflicts_kind")),
        sa.ForeignKeyConstraint(["segment"], ["segments.name"], name=op.f("fk_conflicts_segment")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_conflicts_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflicts")),
        sa.UniqueConstraint("study_id", "kind", "sop_instance_uid", "sha256", name=op.f("uq_conflicts_study_id")),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("claimed_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("model_name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("model_version", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("model_sha256", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("provider", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("answer", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("probabilities", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("timings", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("supersedes", _ID, nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'void', 'crashed', 'released')", name=op.f("ck_runs_state")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_runs_study_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["runs.id"], name=op.f("fk_runs_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_state", "runs", ["state", "lease_until"], unique=False)
    op.create_index("ix_runs_study_id", "runs", ["study_id"], unique=False)
    op.create_index(
        "uq_runs_running",
        "runs",
        ["study_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _results() -> None:
    op.create_table(
        "results",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_results_run_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_results_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sa.UniqueConstraint("path", name=op.f("uq_results_path")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_results_sop_instance_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_results_run_id", "results", ["run_id"], unique=False)
    op.create_index("ix_results_study_id", "results", ["study_id"], unique=False)


def _parcels() -> None:
    op.create_table(
        "parcels",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("peer_id", _ID, nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["peer_id"], ["peers.id"], name=op.f("fk_parcels_peer_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_parcels_run_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_parcels_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcels")),
        sa.UniqueConstraint("run_id", "peer_id", name=op.f("uq_parcels_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_parcels_due", "parcels", ["peer_id", "is_open", "due_at"], unique=False)
    op.create_index("ix_parcels_open", "parcels", ["is_open", "due_at", "peer_id"], unique=False)
    op.create_index("ix_parcels_study_id", "parcels", ["study_id"], unique=False)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("parcel_id", _ID, nullable=False),
        sa.Column("result_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'sending', 'delivered', 'parked')", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcels.id"], name=op.f("fk_deliveries_parcel_id")),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_deliveries_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("parcel_id", "result_id", name=op.f("uq_deliveries_parcel_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_state", "deliveries", ["state"], unique=False)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("study_id", _ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_events_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_study_id", "events", ["study_id", "id"], unique=False)
