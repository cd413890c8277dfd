"""What Alembic runs, on the connection that `alloc_service.storage.schema` gives it."""

from alembic import context

from alloc_service.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # The connection is in a transaction already, begun before any DDL, on SQLite too.
    transactional_ddl=True,
)
context.run_migrations()
