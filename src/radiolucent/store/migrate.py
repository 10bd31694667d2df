"""How the tables of an installation come to be what this version of the program expects."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from radiolucent.errors import SetupError
from radiolucent.store import catalogue
from radiolucent.store.tables import Base

FOLDER: Final = Path(__file__).with_name("migrations")
LATEST: Final = "0001"
"""The newest revision below ``migrations/versions``; a test compares."""


def migrate(engine: Engine) -> None:
    """Bring the tables up to date, in one transaction where the database can do that.

    Raises
    ------
    SetupError
        If a newer version of this program made the tables.
    """
    assert catalogue.MODULES
    with engine.begin() as connection:  # a writer like any other: of two that start at once, the second finds it done
        present = _present(connection)
        if present != LATEST:
            _upgrade(connection, present)
        Base.metadata.create_all(connection)  # tables that came without a change to others


def _present(connection: Connection) -> str:
    """The revision that the tables have, empty for a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")


def _upgrade(connection: Connection, present: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SetupError(
            f"the tables are of a newer version of this program (revision {present}): install that version again"
        ) from error
