"""`Aliases`: the users whom anonymous sessions belong to since they were joined.

A transaction that stores an event first reads which user its session belongs to. In PostgreSQL, where transactions run
at the same time, a join or an erasure between this read and the end of the transaction would leave the event with the
session. An advisory lock keeps them apart: many transactions may `read` at a time, and one that may `change` is alone.
In SQLite every transaction that writes is alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from segue.event_store.database import Database
from segue.event_store.tables import aliases

LOCK = 0x5E90E  # the number of the advisory lock


class Aliases:
    """The sessions of a store that were joined to users."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, connection: Connection) -> None:
        """Keep all others from changing aliases until the transaction ends. Call it before anything else is locked."""
        self._lock(connection, "pg_advisory_xact_lock_shared")

    def change(self, connection: Connection) -> None:
        """As `read`, and keep others from reading them."""
        self._lock(connection, "pg_advisory_xact_lock")

    def owners(self, connection: Connection, names: Iterable[str]) -> dict[str, str]:
        """The user whom each name belongs to: that of the alias, or the name itself."""
        names = list(names)
        rows = connection.execute(select(aliases).where(aliases.c.session.in_(names))).all()
        joined = {row.session: row.user for row in rows}
        return {name: joined.get(name, name) for name in names}

    def _lock(self, connection: Connection, function: str) -> None:
        if not self.database.embedded:
            connection.execute(select(getattr(func, function)(LOCK)))
