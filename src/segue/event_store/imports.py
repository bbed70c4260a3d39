"""`Imports`: copies the events of a log into a store once, so that a new service knows its users.

The ids of the events follow from their content. A log that was imported before, or one that only has more rows, adds
nothing twice; nor does one that was read from the store itself. The type of the events, which a log does not have, is
"imported", so that those who select events by their types see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from sqlalchemy import func, select

from segue.event_store.clock import now
from segue.event_store.database import Database
from segue.event_store.event import IMPORTED, Event, content_id
from segue.event_store.event_log import EventLog
from segue.event_store.sessions import Sessions
from segue.event_store.slices import slices
from segue.event_store.tables import events, imports

BLOCK = 20_000  # events in one transaction
Key = tuple[str, str, int]  # user, item and time of an event
Row = tuple[str, str, int, float | None]  # of a log: user, item, time in microseconds, and value of an event


class Imports:
    """The logs whose events are in a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def has(self, fingerprint: str) -> bool:
        """Whether a log was imported completely."""
        with self.database.read() as connection:
            statement = select(func.count()).where(imports.c.fingerprint == fingerprint)
            return connection.execute(statement).scalar_one() > 0

    def add(
        self,
        rows: Iterator[Row],
        *,
        fingerprint: str,
        name: str,
        advance: Callable[[int], object] = lambda count: None,
    ) -> int:
        """Import the rows of a log; an import that was interrupted is taken up.

        Args:
            rows: the events, in the order of the log.
            fingerprint: of the log.
            name: of the log.
            advance: is called with the number of rows of each block that is stored.

        Returns:
            The number of events that are new.
        """
        if self.has(fingerprint):  # events never go, but with their user
            return 0
        log, added = EventLog(self.database), 0
        for size, new in self._new_events(rows):
            added += sum(log.append(new).stored)
            advance(size)
        row = {"fingerprint": fingerprint, "name": name, "events": added, "time": now()}
        with self.database.write() as connection:
            connection.execute(self.database.insert_new(imports), [row])
        return added

    def has_events(self) -> bool:
        """Whether the store has events that were imported."""
        statement = select(events.c.seq).where(events.c.type == IMPORTED).limit(1)
        with self.database.read() as connection:
            return connection.execute(statement).first() is not None

    def count(self, rows: Iterator[Row]) -> tuple[int, int]:
        """The number of rows of a log, and how many of them are in the store."""
        sizes = [(size, size - len(new)) for size, new in self._new_events(rows)]
        return sum(size for size, _ in sizes), sum(present for _, present in sizes)

    def _new_events(self, rows: Iterator[Row]) -> Iterator[tuple[int, list[Event]]]:
        """The size of each block of rows, and the events of it that the store does not have."""
        seen, is_empty = Counter[Key](), not len(EventLog(self.database))
        for block in slices(rows, BLOCK):
            present = Counter[Key]() if is_empty else self._present({user for user, *_ in block})
            new = []
            for user, item, moment, value in block:
                key = (user, item, moment)
                if present[key] <= seen[key]:
                    new.append(Event(*key, type=IMPORTED, value=value, id=content_id(*key, "", seen[key])))
                seen[key] += 1
            yield len(block), new

    def _present(self, users: Collection[str]) -> Counter[Key]:
        """How often each event of some users is in the store."""
        found, sessions = Counter[Key](), Sessions(self.database)
        with self.database.read() as connection:
            for names in slices(users):
                owners = sessions.owners(connection, names)
                columns = (events.c.user, events.c.item, events.c.time)
                statement = select(*columns, func.count()).where(events.c.user.in_(set(owners.values())))
                counts: dict[str, dict[tuple[str, int], int]] = {owner: {} for owner in owners.values()}
                for owner, item, moment, count in connection.execute(statement.group_by(*columns)):
                    counts[owner][item, moment] = count
                for name, owner in owners.items():
                    found.update({(name, *what): count for what, count in counts[owner].items()})
        return found
