"""`ItemTable`: what a store knows of items: title, columns, whether they can be had, until when.

What the table says of an item counts before what the logs of models say, also where it says that there is nothing:

    log of the model      table                                    what counts
    kind: tea, size: 7    kind: null                               size: 7
    kind: tea, size: 7    colour: red                              kind: tea, size: 7, colour: red
    kind: tea, size: 7    colour: red, complete                    colour: red
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, func, select

from segue.event_store.change_counts import ChangeCounts
from segue.event_store.clock import now
from segue.event_store.database import Database
from segue.event_store.slices import is_one_of
from segue.event_store.tables import items


@dataclass(frozen=True)
class Item:
    """An item of a shop.

    Attributes:
        item: its name.
        title: what people call it; empty for none, None where the table does not say.
        columns: further values, such as a category; a value may be a list, or None where there is none.
        available: whether it can be had now.
        expires: microseconds since 1970 from which on it cannot be had; None for never.
        created: microseconds since 1970 when it was first written to the table.
        updated: microseconds since 1970 when it was last written.
        complete: whether it has nothing that the table does not say.
    """

    item: str
    title: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    available: bool = True
    expires: int | None = None
    created: int = 0
    updated: int = 0
    complete: bool = False

    def says(self, column: str) -> bool:
        """Whether the table says what an item has in a column, if only that it has nothing there."""
        return self.complete or (self.title is not None if column == "title" else column in self.columns)

    def value(self, column: str) -> Any:
        """What the table says that an item has in a column; None for nothing."""
        return self.title if column == "title" else self.columns.get(column)

    def is_available(self, now: int) -> bool:
        """Whether it can be had at a time (microseconds since 1970)."""
        return self.available and (self.expires is None or now < self.expires)


@dataclass(frozen=True)
class Written:
    """What was written to the table.

    Attributes:
        items: the items as they are now.
        before: the time of the newest change before.
        time: the time of this change.
    """

    items: tuple[Item, ...]
    before: int
    time: int


class ItemTable:
    """The items of a store. Items that have only events are not in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._counts = ChangeCounts(database)

    def put(self, changed: Sequence[Item]) -> Written:
        """Add items, or replace those that are there; the last one of a name counts."""
        latest = {item.item: item for item in changed}
        with self.database.write() as connection:
            self._counts.add(connection, "item")
            return self._write(connection, latest, self._present(connection, list(latest)))

    def update(self, changes: Sequence[tuple[str, Mapping[str, Any]]]) -> Written:
        """Change some values of items; an item that is not there is added.

        Args:
            changes: name of an item, and its new values by the attributes of `Item`. In `columns`, only the given ones
                change.
        """
        with self.database.write() as connection:
            self._counts.add(connection, "item")
            present = self._present(connection, [name for name, _ in changes])
            changed = dict(present)
            for name, values in changes:
                old = changed.get(name) or Item(name)
                columns = {**old.columns, **values.get("columns", {})}
                changed[name] = replace(old, **{**values, "columns": columns})
            return self._write(connection, changed, present)

    def _present(self, connection: Connection, names: Sequence[str]) -> dict[str, Item]:
        """The items of these names; no other transaction changes them until this one ends, since it was counted."""
        statements = (select(items).where(condition) for condition in is_one_of(items.c.item, names))
        return {row.item: _item(row) for statement in statements for row in connection.execute(statement)}

    def _write(self, connection: Connection, changed: Mapping[str, Item], present: Mapping[str, Item]) -> Written:
        before = self._newest(connection)
        moment = max(now(), before + 1)  # later than all changes before, whatever the clock says
        written = [
            replace(item, created=present[name].created if name in present else moment, updated=moment)
            for name, item in changed.items()
        ]
        rows = [{**vars(item), "columns": dict(item.columns)} for item in written]
        if rows:
            connection.execute(self.database.upsert(items, ["item"], keep=["created"]), rows)
        return Written(tuple(written), before, moment if rows else before)

    def get(self, name: str) -> Item | None:
        """One item; None if it is not in the table."""
        with self.database.read() as connection:
            row = connection.execute(select(items).where(items.c.item == name)).first()
        return None if row is None else _item(row)

    def by_name(self) -> dict[str, Item]:
        """All items, by their names."""
        return {item.item: item for item in self.changed_after(0)}

    def changed_after(self, time: int) -> list[Item]:
        """The items that were changed after a time, the newest change last.

        Changes become visible in the order of their times: whoever knows one knows all before.
        """
        with self.database.read() as connection:
            rows = connection.execute(select(items).where(items.c.updated > time).order_by(items.c.updated)).all()
        return [_item(row) for row in rows]

    def _newest(self, connection: Connection) -> int:
        return int(connection.execute(select(func.coalesce(func.max(items.c.updated), 0))).scalar_one())


def _item(row: Any) -> Item:
    return Item(**row._mapping)
