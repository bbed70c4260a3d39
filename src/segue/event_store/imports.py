"""`Imports`: copies the events of a log into a store once, so that a new service knows its users.

The ids of the events follow from their content. A log that was imported before, or one that only has more rows, adds
nothing twice; nor does one that was read from the store itself. Where a log has no types of events, their type is
"imported", so that those who select events by their types see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from segue.event_store.clock import now
from segue.event_store.database import Database
from segue.event_store.event import IMPORTED, Event, Feature, content_id
from segue.event_store.event_ids import UsedIdError
from segue.event_store.event_log import EventLog
from segue.event_store.sessions import Sessions
from segue.event_store.slices import slices
from segue.event_store.tables import events, imports

BLOCK = 20_000  # events in one transaction
Key = tuple[str, str, int]  # user, item and time of an event
Features = Mapping[str, Feature] | None
Row = tuple[str, str, int, float | None, str, Features]  # user, item, time in microseconds, value, type and features


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        events: number of events that are new.
        skipped: number of events that are not in the store, because an event of another user or item has their id.
    """

    events: int = 0
    skipped: int = 0

    def __add__(self, other: Imported) -> Imported:
        return Imported(self.events + other.events, self.skipped + other.skipped)


class Imports:
    """The logs whose events are in a store, and those that somebody does not want in it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def has(self, fingerprint: str) -> bool:
        """Whether a log was imported completely, or refused."""
        return self._num_events(fingerprint) is not None

    def refuse(self, fingerprint: str, name: str) -> None:
        """Remember that nothing of a log is wanted, as an import without events, unless it was imported."""
        row = {"fingerprint": fingerprint, "name": name, "events": 0, "time": now()}
        with self.database.write() as connection:
            connection.execute(self.database.insert_new(imports), [row])

    def add(self, rows: Iterator[Row], *, fingerprint: str, name: str) -> Imported:
        """Import the rows of a log; an import that was interrupted is taken up.

        Args:
            rows: the events, in the order of the log.
            fingerprint: of the log.
            name: of the log.
        """
        if self._num_events(fingerprint):  # events never go, but with their user
            return Imported()
        log, done = EventLog(self.database), Imported()
        for _, new in self._new_events(rows):
            done += _append(log, new)
        row = {"fingerprint": fingerprint, "name": name, "events": done.events, "time": now()}
        with self.database.write() as connection:
            connection.execute(self.database.upsert(imports, ["fingerprint"]), [row])
        return done

    def has_events(self) -> bool:
        """Whether the store has events that were imported."""
        statement = select(events.c.seq).where(events.c.type == IMPORTED).limit(1)
        with self.database.read() as connection:
            return connection.execute(statement).first() is not None

    def count(self, rows: Iterator[Row]) -> tuple[int, int]:
        """The number of rows of a log, and how many of them are in the store."""
        sizes = [(size, size - len(new)) for size, new in self._new_events(rows)]
        return sum(size for size, _ in sizes), sum(present for _, present in sizes)

    def _num_events(self, fingerprint: str) -> int | None:
        """The number of events that the import of a log brought; None if there was none."""
        with self.database.read() as connection:
            statement = select(imports.c.events).where(imports.c.fingerprint == fingerprint)
            return connection.execute(statement).scalar_one_or_none()

    def _new_events(self, rows: Iterator[Row]) -> Iterator[tuple[int, list[Event]]]:
        """The size of each block of rows, and the events of it that the store does not have."""
        seen, is_empty = Counter[Key](), not len(EventLog(self.database))
        for block in slices(rows, BLOCK):
            present = Counter[Key]() if is_empty else self._present({user for user, *_ in block})
            new = []
            for user, item, moment, value, kind, features in block:
                key = (user, item, moment)
                if present[key] <= seen[key]:
                    identity = content_id(*key, kind, seen[key])
                    new.append(Event(*key, kind or IMPORTED, value, identity, features))
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


def _append(log: EventLog, new: Sequence[Event]) -> Imported:
    """Store events, without those whose ids others have: nobody could give the event of a log another id."""
    size = len(new)
    while True:
        try:
            return Imported(sum(log.append(new).stored), size - len(new))
        except UsedIdError as error:
            new = [event for place, event in enumerate(new) if place not in error.places]
