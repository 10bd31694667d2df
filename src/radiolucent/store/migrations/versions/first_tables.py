"""The first tables, with the triggers that belong to them."""

from alembic import op

from radiolucent.store.tables import Base

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table; later changes are revisions of their own."""
    Base.metadata.create_all(op.get_bind())
