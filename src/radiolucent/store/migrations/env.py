"""How Alembic reaches the database: over the connection that `store.migrate` gives it."""

from alembic import context

from radiolucent.store.tables import Base


def run() -> None:
    """Apply what is wanted, in the transaction of the connection."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite can't alter a table in place
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # Alembic runs this file; anyone else only imports it
    run()
