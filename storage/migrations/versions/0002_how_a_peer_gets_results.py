"""How a peer gets its results, and what proves that it has them."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the peers that are there keep what they had: C-STORE, and its answer is believed.

    Spelt as SQL, which both databases read alike: Alembic cannot add a column together with its check on SQLite.
    """
    op.execute(
        "ALTER TABLE peers ADD COLUMN confirm TEXT DEFAULT 'none' NOT NULL CONSTRAINT ck_peers_confirm"
        " CHECK (confirm IN ('none', 'commitment', 'find', 'auto'))"
    )
    op.execute(
        "ALTER TABLE peers ADD COLUMN transport TEXT DEFAULT 'dimse' NOT NULL CONSTRAINT ck_peers_transport"
        " CHECK (transport IN ('dimse', 'stow'))"
    )
    op.execute("ALTER TABLE peers ADD COLUMN url TEXT DEFAULT '' NOT NULL")
