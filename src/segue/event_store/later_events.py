"""What users did after a place in time, and what they had up to there, without reading whole histories.

A place is the time and the number of arrival of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, or_, select, tuple_

from segue.event_store.database import Database
from segue.event_store.event_log import PastEvent
from segue.event_store.slices import slices
from segue.event_store.tables import events

Place = tuple[int, int]
MAX_USERS = 100  # in one statement
_HAD = (
    select(events.c.seq)
    .where(events.c.user == bindparam("user"))
    .where(tuple_(events.c.time, events.c.seq) <= tuple_(bindparam("time"), bindparam("place")))
    .where(events.c.item == bindparam("item"))
    .limit(1)
)


def later_events(database: Database, places: Mapping[str, Place]) -> dict[str, list[PastEvent]]:
    """The events of users after a place each, oldest first; users without such events are left out."""
    columns = (events.c.user, events.c.time, events.c.seq, events.c.item, events.c.type)
    found: dict[str, list[PastEvent]] = {}
    for part in slices(places.items(), MAX_USERS):
        condition = or_(*(and_(events.c.user == user, events.c.time >= place[0]) for user, place in part))
        statement = select(*columns).where(condition).order_by(events.c.time, events.c.seq)
        with database.read() as connection:
            for row in connection.execute(statement):
                if (row.time, row.seq) > places[row.user]:
                    found.setdefault(row.user, []).append(PastEvent(row.time, row.seq, row.item, row.type))
    return found


@dataclass(frozen=True)
class EarlierItems:
    """The items that a user had up to a place; the store is asked whether an item is one of them."""

    database: Database
    user: str
    place: Place

    def __contains__(self, item: object) -> bool:
        time, seq = self.place
        with self.database.read() as connection:
            values = {"user": self.user, "item": item, "time": time, "place": seq}
            return connection.execute(_HAD, values).first() is not None
