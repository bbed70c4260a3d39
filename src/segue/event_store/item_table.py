"""`ItemTable`: what a store knows of items: title, columns, whether they can be had, until when."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from segue.event_store.database import Database
from segue.event_store.event import MICROSECONDS
from segue.event_store.tables import items


@dataclass(frozen=True)
class Item:
    """An item of a shop.

    Attributes:
        item: its name.
        title: what people call it; None where the model knows better or the name is all there is.
        columns: further values, such as a category; a value may be a list.
        available: whether it can be had now.
        expires: microseconds since 1970 after which it cannot be had; None for never.
    """

    item: str
    title: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    available: bool = True
    expires: int | None = None

    def is_available(self, now: int) -> bool:
        """Whether it can be had at a time (microseconds since 1970)."""
        return self.available and (self.expires is None or now < self.expires)


class ItemTable:
    """The items of a store. Items that have only events are not in it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put(self, changed: Sequence[Item]) -> None:
        """Add items, or replace those that are there; the last one of a name counts."""
        now = int(time.time() * MICROSECONDS)
        latest = {item.item: item for item in changed}
        rows = [
            {
                "item": item.item,
                "title": item.title,
                "columns": dict(item.columns),
                "available": item.available,
                "expires": item.expires,
                "updated": now,
            }
            for item in latest.values()
        ]
        if rows:
            with self.database.write() as connection:
                connection.execute(self.database.upsert(items, ["item"]), rows)

    def get(self, name: str) -> Item | None:
        """One item; None if it is not in the table."""
        with self.database.read() as connection:
            row = connection.execute(select(items).where(items.c.item == name)).first()
        return None if row is None else _item(row)

    def changed_since(self, time: int) -> tuple[list[Item], int]:
        """The items that were changed at or after a time, and the time from which the next call should read.

        The time steps back by a minute, because a change of another process can become visible a little late.
        """
        with self.database.read() as connection:
            rows = connection.execute(select(items).where(items.c.updated >= time).order_by(items.c.updated)).all()
        newest = max((row.updated for row in rows), default=time)
        return [_item(row) for row in rows], max(time, newest - 60 * MICROSECONDS)


def _item(row: Any) -> Item:
    return Item(row.item, row.title, row.columns, row.available, row.expires)
