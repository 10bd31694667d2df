"""How Alembic reaches the database: over the connection that `store.migrate` gives it."""

from alembic import context

from radiolucent.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can't alter a table in place
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
