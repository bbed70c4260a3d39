"""`copy_store`: copies all that a store holds into an empty one, from SQLite to PostgreSQL, back, or as a backup.

The source is read in one state, so that a service may go on writing into it. The target is written in one transaction:
a copy that is interrupted leaves nothing there and can be begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Table, func, select

from segue.errors import DataError
from segue.event_store.database import Database
from segue.event_store.store import Store
from segue.event_store.tables import events, metadata

BLOCK = 5_000  # rows in memory at a time


def copy_store(source: Store, target: Store, advance: Callable[[int], object] = lambda count: None) -> dict[str, int]:
    """Copy events, items, keys, rules and all else.

    Args:
        source: what is read.
        target: an empty store.
        advance: is called with the number of events of each block that was copied.

    Returns:
        The number of rows of each table.

    Raises:
        DataError: the target is not empty, a store fails, or other rows have come into the target meanwhile.
    """
    copied = dict.fromkeys(metadata.tables, 0)
    with target.database.write() as connection, closing(_blocks(source.database)) as blocks:
        full = [name for name, count in _counts(connection).items() if count]
        if full:
            raise DataError(f"{target.name}: is not empty ({', '.join(full)}); copy into a new store")
        for table, rows in blocks:
            connection.execute(table.insert(), rows)
            copied[table.name] += len(rows)
            if table is events:
                advance(len(rows))
        if not target.database.embedded:
            _go_on_numbering(connection)
        wrong = [name for name, count in _counts(connection).items() if count != copied[name]]
        if wrong:
            raise DataError(f"{target.name}: something else wrote into it ({', '.join(wrong)}); copy into a new store")
    return copied


def _blocks(source: Database) -> Generator[tuple[Table, list[dict[str, Any]]]]:
    """The rows of all tables as they are now, in blocks."""
    with source.snapshot() as connection:
        for table in metadata.sorted_tables:
            ordered = select(table).order_by(*table.primary_key)
            with connection.execute(ordered, execution_options={"yield_per": BLOCK}) as rows:
                for block in rows.mappings().partitions():
                    yield table, [dict(row) for row in block]


def _counts(connection: Connection) -> dict[str, int]:
    """The number of rows of each table."""
    statements = {name: select(func.count()).select_from(table) for name, table in metadata.tables.items()}
    return {name: int(connection.execute(statement).scalar_one()) for name, statement in statements.items()}


def _go_on_numbering(connection: Connection) -> None:
    """Let PostgreSQL number new rows from the last copied one on; SQLite does so by itself."""
    for table in metadata.tables.values():
        if "seq" in table.c:
            sequence = func.pg_get_serial_sequence(table.name, "seq")
            connection.execute(select(func.setval(sequence, func.max(table.c.seq))).having(func.count() > 0))
