"""`Aliases`: the users whom anonymous sessions belong to since they were joined.

A transaction that stores an event first reads which user its session belongs to. In PostgreSQL, where transactions run
at the same time, a join or an erasure between this read and the end of the transaction would leave the event with the
session. An advisory lock keeps them apart: many transactions may `read` at a time, and one that may `change` is alone.
In SQLite every transaction that writes is alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from segue.errors import SegueError
from segue.event_store.database import Database
from segue.event_store.event import IMPORTED
from segue.event_store.tables import aliases, events

LOCK = 0x5E90E  # the number of the advisory lock


class UserNotSessionError(SegueError):
    """A name that is to be joined to a user is one itself: two persons would become one for ever."""


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

    def check_session(self, connection: Connection, name: str) -> None:
        """Check that a name may be an anonymous session: that nothing says that it is a user.

        Raises:
            UserNotSessionError: it has events of the log of a model, or other sessions belong to it.
        """
        imported = select(events.c.seq).where((events.c.user == name) & (events.c.type == IMPORTED)).limit(1)
        joined = select(aliases.c.session).where(aliases.c.user == name).limit(1)
        for statement, why in ((imported, "a model was trained on it"), (joined, "other sessions belong to it")):
            if connection.execute(statement).first() is not None:
                raise UserNotSessionError(f"it is a user and no anonymous session: {why}")

    def _lock(self, connection: Connection, function: str) -> None:
        if not self.database.embedded:
            connection.execute(select(getattr(func, function)(LOCK)))
