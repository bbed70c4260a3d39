"""`Database`: the connections of a store, to SQLite (one file, no server) or to PostgreSQL (several services share it).

sqlite:///segue-events.db                   a file in the current folder; four slashes for an absolute path
postgresql://user:password@host/database    a PostgreSQL server, through psycopg 3
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from segue.errors import DataError
from segue.event_store.address import is_store_url
from segue.event_store.migrations import migrate
from segue.event_store.readers import Readers
from segue.folders import Kind, is_folder_of

BUSY_SECONDS = 30  # how long a process waits for the lock of another one on an SQLite file
NETWORK = {"connect_timeout": "10", "tcp_user_timeout": "20000"}  # of a server that does not answer; milliseconds
PRIVATE: dict[str, Any] = {"hide_parameters": True}  # errors do not show names of users
REPLACED: tuple[Kind, ...] = ("saved model", "saved log", "search")  # folders that are replaced as a whole


class Database:
    """The tables of a store at an address. Methods can be called from several threads.

    Attributes:
        name: the address without the password.
        embedded: whether the data is in a file that this process reads itself, so that a read takes microseconds.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        """Open a store, and migrate it to the newest schema.

        Args:
            url: its address.
            create: whether an SQLite file that does not exist is created.

        Raises:
            DataError: it is not the address of a store, the server cannot be reached, the file is no store, or a newer
                segue wrote it.
        """
        if not is_store_url(url):
            raise DataError(
                f"{url}: not the address of a store; give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            )
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise DataError(f"{url}: not the address of a store ({error})") from error
        self.embedded = parsed.get_backend_name() == "sqlite"
        self.name = parsed.render_as_string(hide_password=True)
        self._write_lock = threading.Lock() if self.embedded else None
        self._engine, self._reading = self._sqlite(parsed, create) if self.embedded else self._postgresql(parsed)
        self._readers = Readers(self._reading, self.name) if self.embedded else None
        try:
            with self.errors():
                migrate(self._engine, self.name)
        except BaseException:
            self.close()
            raise
        self._path = Path(parsed.database).absolute() if self.embedded and parsed.database else None
        self._file = _file_number(self._path) if self._path else None

    def close(self) -> None:
        """Wait for reads of an SQLite file that are under way, and close all connections."""
        if self._readers is not None:
            self._readers.close()
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes the store. When the block has ended, the change is on the disk."""
        self.check()
        with self.errors():
            if self._write_lock is None:
                with self._engine.begin() as connection:
                    yield connection
                return
            with self._write_lock, self._engine.begin() as connection:
                yield connection

    def check(self) -> None:
        """Raise `DataError` if the file of the store was deleted or replaced: what is written to it would be lost."""
        if self._path is not None and _file_number(self._path) != self._file:
            raise DataError(
                f"{self.name}: the file was deleted or replaced while it was open; put it back and start again"
            )

    def empty_journal(self) -> bool:
        """Take what was written out of the journal of an SQLite file, where deleted values are still to be read.

        Returns:
            Whether the journal is empty. It is not while somebody reads a state of before, such as a backup; nobody
            waits for that.
        """
        if self._write_lock is None:
            return True
        with self.errors(), self._reading.connect() as connection:  # one of its own, which never waits for a lock
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()  # the long part, beside others who write
            with self._write_lock:
                (is_busy, _, _), *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        return not is_busy

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that reads. Each statement sees all changes that were complete when it began."""
        with self.errors(), self._readers.read() if self._readers else self._reading.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that reads the store in one state, whatever is written meanwhile."""
        with self.errors():
            if self._readers is None:
                with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                    yield connection
                return
            with self._readers.read() as connection:
                connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the database into one clear error."""
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise DataError(f"{self.name}: {reason}") from error
        except SQLAlchemyError as error:
            raise DataError(f"{self.name}: {str(error).partition(chr(10))[0]}") from error

    def insert_new(self, table: Table) -> Any:
        """An INSERT that leaves rows out whose key is already there."""
        return self._insert(table).on_conflict_do_nothing()

    def upsert(self, table: Table, key: Sequence[str], keep: Sequence[str] = ()) -> Any:
        """An INSERT that replaces the values of rows whose key is already there, except the columns to `keep`."""
        statement = self._insert(table)
        fixed = {*key, *keep}
        new = {column.name: statement.excluded[column.name] for column in table.c if column.name not in fixed}
        return statement.on_conflict_do_update(index_elements=list(key), set_=new)

    def _insert(self, table: Table) -> Any:
        return sqlite.insert(table) if self.embedded else postgresql.insert(table)

    def _sqlite(self, url: Any, create: bool) -> tuple[Engine, Engine]:
        """The engines that write and read a file."""
        path = Path(url.database or "")
        if not url.database or url.database == ":memory:":
            raise DataError(f"{self.name}: events are kept in a file; give its name, such as sqlite:///segue-events.db")
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise DataError(f"{self.name}: {path.absolute().parent} must be a folder, and {path.name} a file in it")
        if not create and not path.exists():
            raise DataError(f"{self.name}: there is no such file")
        if url.query or url.database.startswith("file:"):
            raise DataError(f"{self.name}: give the name of the file alone: sqlite:///{path.name.partition('?')[0]}")
        _check_place(self.name, path)
        options = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        engine = create_engine(url, connect_args=options, **PRIVATE)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        autocommit: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
        reading = create_engine(url, connect_args=options, **autocommit, **PRIVATE)
        event.listen(reading, "connect", _prepare_sqlite)
        return engine, reading

    def _postgresql(self, url: Any) -> tuple[Engine, Engine]:
        """The engines that write and read a database of a server; they share their connections."""
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        options = {**NETWORK, **url.query}
        engine = create_engine(url, pool_pre_ping=True, pool_size=10, connect_args=options, **PRIVATE)
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT")


def _file_number(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_place(name: str, path: Path) -> None:
    """Refuse a file in a folder that segue replaces as a whole.

    Raises:
        DataError: it lies in a saved model, a saved log or a search.
    """
    for parent in path.resolve().parents:
        kind = next((kind for kind in REPLACED if is_folder_of(kind, parent)), None)
        if kind:
            raise DataError(f"{name}: lies in the {kind} {parent}, which may be replaced; move it elsewhere")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers and one writer at a time (WAL); a commit waits for the disk; what is deleted is overwritten.

    Transactions begin where we say so.
    """
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
