"""`Documents`: small named pieces of JSON that all services of a store share: rules, and which models answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import delete, select

from segue.event_store.change_counts import ChangeCounts
from segue.event_store.database import Database
from segue.event_store.tables import documents


class Documents:
    """The documents of one kind, by name."""

    def __init__(self, database: Database, kind: Literal["rule", "deployment"]) -> None:
        self.database, self.kind = database, kind
        self._counts = ChangeCounts(database)

    def put(self, name: str, content: Mapping[str, Any], *, after: int | None = None) -> bool:
        """Add a document, or replace the one of this name.

        Args:
            name: of the document.
            content: plain values.
            after: the number of changes that `content` takes into account, see `num_changes`; None for any.

        Returns:
            False if documents of this kind were changed since: then nothing is written.
        """
        return self.put_all({name: content}, after=after)

    def put_all(self, contents: Mapping[str, Mapping[str, Any]], *, after: int | None = None) -> bool:
        """Add or replace several documents in one step; as `put`."""
        rows = [{"kind": self.kind, "name": name, "content": dict(content)} for name, content in contents.items()]
        if not rows:
            return True
        with self.database.write() as connection:
            if not self._counts.add(connection, self.kind, after):
                return False
            connection.execute(self.database.upsert(documents, ["kind", "name"]), rows)
        return True

    def delete(self, name: str) -> bool:
        """Delete a document; whether it was there."""
        with self.database.write() as connection:
            self._counts.add(connection, self.kind)
            condition = (documents.c.kind == self.kind) & (documents.c.name == name)
            return connection.execute(delete(documents).where(condition)).rowcount > 0

    def all(self) -> dict[str, dict[str, Any]]:
        """All documents, in the order of their names."""
        statement = select(documents.c.name, documents.c.content).where(documents.c.kind == self.kind)
        with self.database.read() as connection:
            return {row.name: row.content for row in connection.execute(statement.order_by(documents.c.name))}

    def num_changes(self) -> int:
        """How often documents of this kind were changed."""
        return self._counts.read(self.kind)
