"""`Documents`: small named pieces of JSON that all services of a store share: rules, and which models answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, select

from segue.event_store.database import Database
from segue.event_store.event import MICROSECONDS
from segue.event_store.tables import documents


class Documents:
    """The documents of one kind, by name."""

    def __init__(self, database: Database, kind: str) -> None:
        self.database, self.kind = database, kind

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Add a document, or replace the one of this name."""
        self.put_all({name: content})

    def put_all(self, contents: Mapping[str, Mapping[str, Any]]) -> None:
        """Add or replace several documents in one step."""
        if not contents:
            return
        newest = select(func.coalesce(func.max(documents.c.updated), 0)).where(documents.c.kind == self.kind)
        with self.database.write() as connection:
            # later than all changes before, also on a machine whose clock is behind
            now = max(int(time.time() * MICROSECONDS), int(connection.execute(newest).scalar_one()) + 1)
            rows = [
                {"kind": self.kind, "name": name, "content": dict(content), "updated": now}
                for name, content in contents.items()
            ]
            connection.execute(self.database.upsert(documents, ["kind", "name"]), rows)

    def delete(self, name: str) -> bool:
        """Delete a document; whether it was there."""
        with self.database.write() as connection:
            condition = (documents.c.kind == self.kind) & (documents.c.name == name)
            return connection.execute(delete(documents).where(condition)).rowcount > 0

    def all(self) -> dict[str, dict[str, Any]]:
        """All documents, in the order of their names."""
        statement = select(documents.c.name, documents.c.content).where(documents.c.kind == self.kind)
        with self.database.read() as connection:
            return {row.name: row.content for row in connection.execute(statement.order_by(documents.c.name))}

    def state(self) -> tuple[int, int]:
        """Two numbers that change with every change of the documents."""
        statement = select(func.count(), func.coalesce(func.max(documents.c.updated), 0))
        with self.database.read() as connection:
            count, newest = connection.execute(statement.where(documents.c.kind == self.kind)).one()
        return int(count), int(newest)
