"""One database and one folder: ``with store.begin() as work`` is one transaction, all of it or nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from radiolucent.errors import SetupError
from radiolucent.store.migrate import migrate

BUSY_TIMEOUT_S = 30
STUCK_TIMEOUT_S = 120
"""A transaction in which nothing happens for so long (its machine hangs, the line is cut) is ended by PostgreSQL."""
WRITER_LOCK = 0x52414449
"""Number of the advisory lock that whoever writes to PostgreSQL holds."""
GATEWAY_LOCK = WRITER_LOCK + 1
"""And of the one that a gateway holds for as long as it runs."""
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
        if engine.dialect.name == "postgresql":  # all queries of one transaction see the same moment, as on SQLite
            self._reader = self._reader.execution_options(isolation_level="REPEATABLE READ")
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
            session.connection()  # begun now, not at the first query: what comes before it is this writer's turn too
            yield Work(session=session)

    @contextmanager
    def read(self) -> Iterator[Work]:
        """A transaction that only reads: it waits for no writer, and whatever it changed is rolled back."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield Work(session=session)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a PostgreSQL database for one gateway; with SQLite the data folder's own lock does that.

        The lock ends with its connection, however that ends.

        Raises
        ------
        SetupError
            If another gateway holds it: with a data folder of its own it would look for images that aren't there.
        """
        if self._engine.dialect.name != "postgresql":
            yield
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT", **{_READ: True}) as connection:
            if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({GATEWAY_LOCK})").scalar():
                raise SetupError(f"another gateway uses the database {self.url}: stop it, or name another database")
            try:
                yield
            finally:
                with suppress(OperationalError):  # the server is gone, and the lock with it
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({GATEWAY_LOCK})")

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def database_is_away(error: BaseException) -> bool:
    """Whether a transaction failed because the database can't be reached or has no room just now.

    >>> database_is_away(ValueError("another fault"))
    False
    """
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


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
            engine = create_engine(
                address, connect_args={"options": _OPTIONS}, pool_size=20, max_overflow=40, pool_pre_ping=True
            )
            event.listen(engine, "begin", _begin_postgresql)
            return engine
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


_OPTIONS = f"-c lock_timeout={BUSY_TIMEOUT_S}s -c idle_in_transaction_session_timeout={STUCK_TIMEOUT_S}s"


def _begin_postgresql(connection: Connection) -> None:
    """One writer at a time, as on SQLite: what a transaction has read stays true until it has written.

    The audit chain has one end, so that writers would wait for each other anyway; so they wait before they read.
    """
    if not connection.get_execution_options().get(_READ, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes could otherwise fail half-way."""
    reads = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
