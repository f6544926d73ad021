"""The tables, for SQLite and PostgreSQL alike. What the states mean stands in `storage/states.py`.

Times are unix seconds. Nothing here identifies a patient: `patient_key` is a SHA-256. The migrations
(`storage/migrations`) make exactly these tables; a test compares them.
"""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.states import DeliveryState, ReturnedState, RunState, StudyState

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_ID = BigInteger().with_variant(Integer, "sqlite")


def _number() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _references(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _ID, ForeignKey(target), nullable=nullable)


def _one_of(column: str, choices: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{choice.value}'" for choice in choices)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=None if default is None else text(f"'{default}'"))


def _choice(name: str, choices: tuple[str, ...]) -> Column[str]:
    """One of `choices`, the first by default; the check stands at the column, so that a migration can add both."""
    listed = ", ".join(f"'{choice}'" for choice in choices)
    check = CheckConstraint(f"{name} IN ({listed})", name=name)
    return Column(name, Text, check, nullable=False, server_default=text(f"'{choices[0]}'"))


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


peers = Table(
    "peers",
    metadata,
    _number(),
    _text("name"),
    _text("ae_title"),
    _text("host"),
    Column("port", Integer, nullable=False),
    _flag("may_send"),
    _text("addresses"),  # JSON list of CIDR blocks; empty: any address
    _text("results"),
    _flag("may_find"),
    _text("profile"),
    _time("added_at"),
    _time("changed_at"),
    _time("removed_at", nullable=True),
    _choice("confirm", ("none", "commitment", "find", "auto")),
    _choice("transport", ("dimse", "stow")),
    _text("url", ""),
    CheckConstraint("results IN ('none', 'own', 'all')", name="results"),
    CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    sqlite_autoincrement=True,
)
_LIVE = peers.c.removed_at.is_(None)
Index("uq_peers_name", peers.c.name, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
Index("uq_peers_ae_title", peers.c.ae_title, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)

associations = Table(
    "associations",
    metadata,
    Column("id", Text, primary_key=True),
    _text("listener"),
    _text("calling_ae"),
    _text("called_ae"),
    _text("address"),
    _time("opened_at"),
    _time("closed_at", nullable=True),
    Index("ix_associations_listener", "listener", "closed_at"),
)

segments = Table(
    "segments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("indexed_to", BigInteger, nullable=False),
    _time("indexed_at"),
)

studies = Table(
    "studies",
    metadata,
    _number(),
    Column("study_instance_uid", Text, nullable=False, unique=True),
    _text("state"),
    Column("outcome", Text),
    _text("explanation", ""),
    _text("patient_key"),
    _flag("has_patient_conflict"),
    _text("calling_ae"),
    _count("instance_count"),
    _count("image_count"),
    _time("first_arrival"),
    _time("last_arrival"),
    _time("receiving_since"),
    _time("changed_at"),
    _time("ready_at", nullable=True),
    _time("not_before", nullable=True),
    _count("attempts"),
    _count("crashes"),
    _flag("forced"),
    _one_of("state", StudyState),
    Index("ix_studies_ready", "state", "ready_at"),
    Index("ix_studies_state", "state", "id"),
    sqlite_autoincrement=True,
)

series = Table(
    "series",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _text("series_instance_uid"),
    _text("modality"),
    _count("image_count"),
    UniqueConstraint("study_id", "series_instance_uid"),
)

instances = Table(
    "instances",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _references("series_id", "series.id"),
    _text("sop_class_uid"),
    Column("sop_instance_uid", Text, nullable=False, unique=True),
    _text("transfer_syntax_uid"),
    Column("segment", Text, ForeignKey("segments.name"), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    _text("sha256"),
    _text("patient_key"),
    _flag("is_image"),
    _flag("is_own"),
    _text("association"),
    _time("received_at"),
    Index("ix_instances_study_id", "study_id"),
    Index("ix_instances_segment", "segment"),
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("study_id", _ID, ForeignKey("studies.id"), primary_key=True),
    Column("association", Text, primary_key=True),
)

conflicts = Table(
    "conflicts",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _text("kind"),
    _text("sop_instance_uid"),
    _text("sha256"),
    _text("patient_key"),
    Column("segment", Text, ForeignKey("segments.name"), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    _time("received_at"),
    CheckConstraint("kind IN ('instance', 'patient')", name="kind"),
    UniqueConstraint("study_id", "kind", "sop_instance_uid", "sha256"),
)

runs = Table(
    "runs",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _text("state"),
    _text("owner"),
    Column("attempt", Integer, nullable=False),
    _time("claimed_at"),
    _time("lease_until"),
    _time("ended_at", nullable=True),
    Column("outcome", Text),
    _text("explanation", ""),
    _text("model_name", ""),
    _text("model_version", ""),
    _text("model_sha256", ""),
    _text("provider", ""),
    _text("answer", ""),
    _text("probabilities", "{}"),
    _text("timings", "{}"),
    _text("fingerprint", ""),
    _references("supersedes", "runs.id", nullable=True),
    _one_of("state", RunState),
    Index("ix_runs_study_id", "study_id"),
    Index("ix_runs_state", "state", "lease_until"),
    sqlite_autoincrement=True,
)
_RUNNING = runs.c.state == text("'running'")
Index("uq_runs_running", runs.c.study_id, unique=True, sqlite_where=_RUNNING, postgresql_where=_RUNNING)

results = Table(
    "results",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _references("run_id", "runs.id"),
    _text("kind"),
    Column("position", Integer, nullable=False),
    _text("sop_class_uid"),
    Column("sop_instance_uid", Text, nullable=False, unique=True),
    _text("series_instance_uid"),
    _text("transfer_syntax_uid"),
    Column("path", Text, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    _text("sha256"),
    _time("made_at"),
    Index("ix_results_study_id", "study_id"),
    Index("ix_results_run_id", "run_id"),
    sqlite_autoincrement=True,
)

parcels = Table(
    "parcels",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _references("run_id", "runs.id"),
    _references("peer_id", "peers.id"),
    _flag("is_open"),
    _time("since"),
    _time("due_at"),
    _text("owner", ""),
    _count("attempts"),
    UniqueConstraint("run_id", "peer_id"),
    Index("ix_parcels_due", "peer_id", "is_open", "due_at"),
    Index("ix_parcels_open", "is_open", "due_at", "peer_id"),
    Index("ix_parcels_study_id", "study_id"),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    _number(),
    _references("parcel_id", "parcels.id"),
    _references("result_id", "results.id"),
    _text("state"),
    Column("status", Integer),
    _text("error", ""),
    _time("changed_at"),
    _time("accepted_at", nullable=True),
    _time("confirmed_at", nullable=True),
    _text("confirmed_by", ""),
    _count("resends"),
    _one_of("state", DeliveryState),
    UniqueConstraint("parcel_id", "result_id"),
    Index("ix_deliveries_state", "state"),
    sqlite_autoincrement=True,
)

stand_ins = Table(
    "stand_ins",
    metadata,
    Column("delivery_id", _ID, ForeignKey("deliveries.id"), primary_key=True),
    Column("instead_of", _ID, ForeignKey("deliveries.id"), primary_key=True),
    _flag("in_reserve"),  # of the delivery: it goes only instead
    Index("ix_stand_ins_instead_of", "instead_of"),
)

confirmations = Table(
    "confirmations",
    metadata,
    Column("parcel_id", _ID, ForeignKey("parcels.id"), primary_key=True),
    _time("since"),
    _time("due_at"),
    _text("owner", ""),
    _count("asks"),  # since the last answer
    _count("tries"),  # in a row that did not get as far as to ask
    _flag("by_find"),
    Index("ix_confirmations_due_at", "due_at"),
)

commitments = Table(
    "commitments",
    metadata,
    _number(),
    _references("parcel_id", "parcels.id"),
    Column("transaction_uid", Text, nullable=False, unique=True),
    _time("asked_at"),
    _time("answered_at", nullable=True),
    Index("ix_commitments_parcel_id", "parcel_id"),
    sqlite_autoincrement=True,
)

commitment_items = Table(
    "commitment_items",
    metadata,
    Column("commitment_id", _ID, ForeignKey("commitments.id"), primary_key=True),
    Column("delivery_id", _ID, ForeignKey("deliveries.id"), primary_key=True),
    Index("ix_commitment_items_delivery_id", "delivery_id"),
)

returned = Table(
    "returned",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _references("instance_id", "instances.id"),
    _text("state"),
    _text("note", ""),
    _text("source_series_uid", ""),
    _time("changed_at"),
    _one_of("state", ReturnedState),
    UniqueConstraint("instance_id"),
    Index("ix_returned_state", "state", "id"),
    Index("ix_returned_study_id", "study_id"),
)

assessments = Table(
    "assessments",
    metadata,
    _number(),
    _references("study_id", "studies.id"),
    _references("run_id", "runs.id"),
    _references("result_id", "results.id"),
    _references("returned_id", "returned.id"),
    _text("tracking_uid"),
    _text("judgement"),
    _time("received_at"),
    CheckConstraint("judgement IN ('accepted', 'modified', 'rejected', 'unknown')", name="judgement"),
    Index("ix_assessments_study_id", "study_id"),
    Index("ix_assessments_returned_id", "returned_id"),
)

events = Table(
    "events",
    metadata,
    _number(),
    _references("study_id", "studies.id", nullable=True),
    _text("kind"),
    _text("text"),
    _time("at"),
    Index("ix_events_study_id", "study_id", "id"),
)
