"""`ChangeCounts`: how often each kind of thing in a store was changed, so that others notice each change.

A count is raised in the transaction of the change. It depends on no clock, and two changes of a kind never overlap.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, select, update

from segue.event_store.database import Database
from segue.event_store.tables import change_counts

Kind = Literal["rule", "deployment", "erasure", "item"]


class ChangeCounts:
    """The numbers of changes in a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, kind: Kind) -> int:
        """The number of changes; read it before what was changed, which then is at least as new."""
        statement = select(change_counts.c.count).where(change_counts.c.kind == kind)
        with self.database.read() as connection:
            return int(connection.execute(statement).scalar() or 0)

    def add(self, connection: Connection, kind: Kind, after: int | None = None) -> bool:
        """Count a change in its transaction, before the change itself.

        Args:
            connection: of the transaction.
            kind: what is changed.
            after: the number of changes that the writer knows of; None for any.

        Returns:
            False if there were others since, so that the writer must look again; then nothing is counted.
        """
        connection.execute(self.database.insert_new(change_counts), [{"kind": kind, "count": 0}])
        condition = change_counts.c.kind == kind
        if after is not None:
            condition &= change_counts.c.count == after
        statement = update(change_counts).where(condition).values(count=change_counts.c.count + 1)
        return connection.execute(statement).rowcount > 0
