"""How the tables of an installation come to be what this version of the program expects."""

from __future__ import annotations

from sqlalchemy import Engine

from radiolucent.store import catalogue
from radiolucent.store.tables import Base


def migrate(engine: Engine) -> None:
    """Make the tables that are missing."""
    assert catalogue.MODULES
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
