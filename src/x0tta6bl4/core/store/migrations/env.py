"""Runs the steps on the connection that `engine.migrate` passes in; there is no alembic.ini."""

from alembic import context

from x0tta6bl4.core.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
