"""One database and one folder: ``with store.begin() as work`` is one transaction, all of it or nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from radiolucent.errors import SetupError
from radiolucent.store.migrate import migrate

BUSY_TIMEOUT_S = 30
_READ = "radiolucent_read"


@dataclass(frozen=True, kw_only=True)
class Work:
    """One transaction. Repositories take it; what they change is there for others once it has ended without error."""

    session: Session


class Store:
    """The database and the folder of one installation; shared by all threads of a process.

    Parameters
    ----------
    engine : of a database whose tables are in place.
    folder : everything that isn't a row: the archive, readings, results.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.folder = folder
        self._engine = engine
        self._reader = engine.execution_options(**{_READ: True})
        # SQLite has one writer; a fair queue in the process spares its threads the busy loop
        self._one_writer = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()

    @property
    def url(self) -> str:
        """The database's address, password masked."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self) -> Iterator[Work]:
        """A transaction that may write: committed, and on disk, where the block ends; rolled back where it raises."""
        with self._one_writer, Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield Work(session=session)

    @contextmanager
    def read(self) -> Iterator[Work]:
        """A transaction that only reads: it waits for no writer, and whatever it changed is rolled back."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield Work(session=session)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def default_url(folder: Path) -> str:
    """The SQLite file that is used where no database is named."""
    return f"sqlite:///{folder.resolve() / 'radiolucent.sqlite'}"


def open_store(url: str, folder: Path) -> Store:
    """Open the store, making folder, file and tables where they are missing, and bring older tables up to date.

    Parameters
    ----------
    url : ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``; empty takes a SQLite file in the folder.

    Raises
    ------
    SetupError
        If the address is none, its database can't be reached, or it was made by a newer version of this program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    engine = _engine(url or default_url(folder))
    try:
        migrate(engine)
    except OperationalError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise SetupError(f"the database {shown} can't be opened: {error.orig}") from error
    return Store(engine, folder)


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            return create_engine(address, pool_size=20, max_overflow=40, pool_pre_ping=True)
        if address.get_backend_name() == "sqlite":
            engine = create_engine(
                address, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=20, max_overflow=240, pool_timeout=60
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
    except (ArgumentError, NoSuchModuleError) as error:
        raise SetupError("the database address isn't one: give sqlite:///FILE or postgresql://…") from error
    raise SetupError(f"{address.get_backend_name()} is no database that is known here: use SQLite or PostgreSQL")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Write-ahead log, a commit that survives a power cut, foreign keys, and transactions begun by us alone."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes could otherwise fail half-way."""
    reads = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
