"""What Alembic runs: the revisions, on the connection and in the transaction that `upgrade` holds."""

from alembic import context

from storage import audit_tables  # noqa: F401  its tables belong to the metadata
from storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
