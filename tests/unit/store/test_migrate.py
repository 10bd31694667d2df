"""Tables of an installation: made once, compared with the models, refused where they are too new."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from radiolucent.errors import SetupError
from radiolucent.store.migrate import FOLDER, LATEST
from radiolucent.store.tables import Base
from radiolucent.store.unit_of_work import open_store


def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    open_store("", tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'radiolucent.sqlite'}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_newest_revision_is_the_one_that_is_asked_for() -> None:
    assert ScriptDirectory(str(FOLDER)).get_heads() == [LATEST]


def test_tables_of_a_newer_program_are_refused(tmp_path: Path) -> None:
    store = open_store("", tmp_path)
    with store.begin() as work:
        work.session.execute(text("update alembic_version set version_num = '9999'"))
    store.close()
    with pytest.raises(SetupError, match="newer version"):
        open_store("", tmp_path)


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    open_store("", tmp_path).close()
    store = open_store("", tmp_path)
    with store.read() as work:
        assert work.session.execute(text("select version_num from alembic_version")).scalar() == LATEST
    store.close()
