"""`find_used_ids`: events whose id stands for another event: the same id, and another user or item.

stored    id 7   u1 buys a
sent      id 7   u1 buys a      the same event, sent again
sent      id 7   u2 buys b      a used id: it would be lost, as if it were the first one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from segue.errors import SegueError
from segue.event_store.event import Event
from segue.event_store.slices import is_one_of
from segue.event_store.tables import events


class UsedIdError(SegueError):
    """Events have ids that other events have.

    Attributes:
        places: the place of each such event among those that were to be stored; and the place of the other event, or
            None if that was stored before.
    """

    def __init__(self, places: Mapping[int, int | None]) -> None:
        super().__init__(
            f"{len(places):,} of the events have the id of an event of another user or item; give each an id of its own"
        )
        self.places = places


def find_used_ids(
    connection: Connection, new: Sequence[Event], owners: Mapping[str, str], is_stored: Sequence[bool]
) -> dict[int, int | None]:
    """The places of events with used ids; see `UsedIdError.places`.

    Args:
        connection: of the transaction that has stored the events.
        new: the events.
        owners: the user whom the user or session of each event belongs to.
        is_stored: for each event, whether it was stored by this transaction.
    """
    repeated = [place for place, stored in enumerate(is_stored) if not stored]
    found = _contents(connection, {new[place].id for place in repeated})
    first = {new[place].id: place for place, stored in enumerate(is_stored) if stored} if repeated else {}
    return {
        place: first.get(new[place].id)
        for place in repeated
        if found[new[place].id] != (owners[new[place].user], new[place].item)
    }


def _contents(connection: Connection, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """User and item of stored events, by their ids."""
    found = dict[str, tuple[str, str]]()
    for condition in is_one_of(events.c.id, ids):
        rows = connection.execute(select(events.c.id, events.c.user, events.c.item).where(condition))
        found |= {row.id: (row.user, row.item) for row in rows}
    return found
