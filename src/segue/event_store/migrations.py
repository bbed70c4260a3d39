"""The version of the schema of a store, and the steps from one version to the next.

A store is created at the newest version. An older one is migrated when it is opened, in one transaction. One that a
newer segue wrote is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, inspect, select, update

from segue.errors import DataError
from segue.event_store import tables
from segue.event_store.first_schema import create_first_schema

_version = Table("segue_schema", MetaData(), Column("version", Integer, nullable=False))


def _add_complete(connection: Connection) -> None:
    """Say of the items that were written before that the models may know more of them."""
    connection.exec_driver_sql("ALTER TABLE items ADD COLUMN complete BOOLEAN NOT NULL DEFAULT FALSE")


def _add_features(connection: Connection) -> None:
    """Let events have features; those that were written before have none."""
    connection.exec_driver_sql("ALTER TABLE events ADD COLUMN features JSON")


# step i leads to version i + 1; a step that was released never changes, whatever becomes of `tables`
STEPS: Sequence[Callable[[Connection], None]] = (create_first_schema, _add_complete, _add_features)
VERSION = len(STEPS)


def migrate(engine: Engine, name: str) -> None:
    """Bring the schema to the newest version.

    Args:
        engine: of the database.
        name: of the store, for messages.

    Raises:
        DataError: the database holds other tables of these names, or was written by a newer segue.
    """
    with engine.begin() as connection:
        _lock(connection)
        found = _found_version(connection, name)
        if found > VERSION:
            raise DataError(
                f"{name}: version {found} of the store, and this segue knows versions up to {VERSION}; install the "
                "segue that wrote it"
            )
        for step in STEPS[found:]:
            step(connection)
        if found < VERSION:
            connection.execute(update(_version).values(version=VERSION))
        _check_tables(connection, name)


def _found_version(connection: Connection, name: str) -> int:
    """The version of the schema; 0 for an empty database, for which the table of the version is created."""
    present = set(inspect(connection).get_table_names())
    if _version.name in present:
        found = connection.execute(select(_version.c.version)).scalar()
        if not isinstance(found, int) or found < 1:
            raise DataError(
                f"{name}: the table {_version.name} says version {found!r}; restore the store from its backup"
            )
        return found
    foreign = sorted(present & set(tables.metadata.tables))
    if foreign:
        raise DataError(
            f"{name}: holds tables of another program ({', '.join(foreign)}); give a database or a schema of its own"
        )
    _version.create(connection)
    connection.execute(_version.insert().values(version=0))
    return 0


def _check_tables(connection: Connection, name: str) -> None:
    """Raise `DataError` if a table or a column is missing."""
    found = inspect(connection)
    present = set(found.get_table_names())
    for table in tables.metadata.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)} if table.name in present else set()
        missing = [column.name for column in table.columns if column.name not in columns]
        if missing:
            raise DataError(f"{name}: {table.name} has no {missing[0]}; restore the store from its backup")


def _lock(connection: Connection) -> None:
    """Let one process at a time migrate a PostgreSQL database; SQLite locks its file in a transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7342)")
