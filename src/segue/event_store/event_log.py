"""`EventLog`: the events of a store, and the history of each user in the order of time.

An event is stored once, whatever its number of deliveries: its id identifies it. It is on the disk before `append`
returns. Each change of a user's history gives it a new version; see `HistoryVersions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_

from segue.event_store.database import Database
from segue.event_store.event import Event, Feature
from segue.event_store.event_ids import UsedIdError, find_used_ids
from segue.event_store.history_versions import HistoryVersions
from segue.event_store.sessions import Sessions
from segue.event_store.slices import slices
from segue.event_store.tables import events

_HISTORY = (
    select(events.c.seq, events.c.time, events.c.item, events.c.type, events.c.features)
    .where(events.c.user == bindparam("user"))
    .order_by(events.c.time.desc(), events.c.seq.desc())
    .limit(bindparam("limit"))
)
_OF_PAST = (events.c.user, events.c.seq, events.c.time, events.c.item, events.c.type)
_UNTIL = (
    select(*_OF_PAST)
    .where(events.c.user == bindparam("user"), events.c.time <= bindparam("time"))
    .order_by(events.c.time.desc(), events.c.seq.desc())
    .limit(bindparam("limit"))
)
MOST, NO_SEQ = 2**31 - 1, 2**63 - 1  # no history is longer, and no event has this number


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event of a history.

    Attributes:
        time: microseconds since 1970.
        seq: the number of its arrival, which orders events of the same time.
        item: name of the item.
        type: kind of the event; see `Event`.
        features: further facts; see `Event`.
    """

    time: int
    seq: int
    item: str
    type: str = ""
    features: Mapping[str, Feature] | None = None


@dataclass(frozen=True)
class Change:
    """How `append` changed the history of one user.

    Attributes:
        before: the version of the history before; None if there was none.
        after: the version now.
        events: the new events, oldest first.
    """

    before: int | None
    after: int
    events: tuple[PastEvent, ...]


@dataclass(frozen=True)
class Appended:
    """What `append` did.

    Attributes:
        stored: for each event, whether it is new.
        changes: the users whose histories changed, under the names that the events belong to now.
    """

    stored: list[bool]
    changes: dict[str, Change]


class EventLog:
    """The events of a store."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._versions, self._sessions = HistoryVersions(database), Sessions(database)

    def append(self, new: Sequence[Event]) -> Appended:
        """Store events. They are on the disk when this returns, all of them or, after an error, none.

        Raises:
            UsedIdError: an event has the id of one of another user or item.
        """
        with self.database.write() as connection:
            self._sessions.lock_shared(connection)
            owners = self._sessions.owners(connection, {event.user for event in new})
            before = self._versions.lock(connection, sorted(set(owners.values())))
            rows = [
                {
                    "id": event.id,
                    "user": owners[event.user],
                    "item": event.item,
                    "time": event.time,
                    "type": event.type,
                    "value": event.value,
                    "features": None if event.features is None else dict(event.features),
                }
                for event in new
            ]
            if not self.database.embedded:
                rows = _in_order_of_ids(connection, rows)
            statement = self.database.insert_new(events).returning(
                *(events.c.id, events.c.seq, events.c.user, events.c.time, events.c.item, events.c.type),
                events.c.features,
            )
            inserted = connection.execute(statement, rows).all() if rows else []
            stored, fresh = [], {row.id for row in inserted}
            for event in new:
                stored.append(event.id in fresh)
                fresh.discard(event.id)
            if used := find_used_ids(connection, new, owners, stored):
                raise UsedIdError(used)
            added: dict[str, list[PastEvent]] = {}
            for row in inserted:
                past = PastEvent(row.time, row.seq, row.item, row.type, row.features)
                added.setdefault(row.user, []).append(past)
            after = self._versions.renew(connection, sorted(added))
        changes = {user: Change(before[user], after[user], tuple(sorted(added[user], key=_order))) for user in added}
        return Appended(stored, changes)

    def version(self, user: str) -> int | None:
        """The version of a user's history; None for a user without events."""
        return self.versions([user]).get(user)

    def versions(self, users: Sequence[str]) -> dict[str, int]:
        """The versions of the histories of users, in one read; users without events are left out."""
        return self._versions.read(users)

    def num_known(self, names: Sequence[str]) -> int:
        """How many of some users and sessions have events."""
        joined = self._sessions.joined()
        owners = [joined.get(name, name) for name in names]
        return sum(sum(map(self.versions(part).__contains__, part)) for part in slices(owners))

    def history(self, user: str, limit: int | None = None) -> list[PastEvent]:
        """The newest events of a user, oldest first: by time, and by arrival where the times are equal.

        Args:
            user: name of the user.
            limit: number of events; None for all.
        """
        with self.database.read() as connection:
            rows = connection.execute(_HISTORY, {"user": user, "limit": MOST if limit is None else limit}).all()
        return [PastEvent(row.time, row.seq, row.item, row.type, row.features) for row in reversed(rows)]

    def count(self, user: str) -> int:
        """The number of events of a user."""
        with self.database.read() as connection:
            statement = select(func.count()).where(events.c.user == user)
            return int(connection.execute(statement).scalar_one())

    def newest_users(self, limit: int) -> list[str]:
        """The users with the newest events, the newest first."""
        newest = func.max(events.c.time)
        statement = select(events.c.user).group_by(events.c.user).order_by(newest.desc(), events.c.user).limit(limit)
        with self.database.read() as connection:
            return list(connection.execute(statement).scalars())

    def recent_users(self, limit: int, among: int = 10_000) -> list[str]:
        """The users of the events that arrived last, the last one first.

        Args:
            limit: number of users.
            among: number of events to look at; fewer users are found if these events have fewer.
        """
        recent = select(events.c.user, events.c.seq).order_by(events.c.seq.desc()).limit(among).subquery()
        last = func.max(recent.c.seq)
        statement = select(recent.c.user).group_by(recent.c.user).order_by(last.desc()).limit(limit)
        with self.database.read() as connection:
            return list(connection.execute(statement).scalars())

    def newest(self, user: str, limit: int) -> list[Event]:
        """The newest events of a user with all their values, oldest first."""
        of_event = (events.c.user, events.c.item, events.c.time, events.c.type, events.c.value)
        columns = (*of_event, events.c.id, events.c.features)
        statement = select(*columns).where(events.c.user == user).limit(limit)
        with self.database.read() as connection:
            rows = connection.execute(statement.order_by(events.c.time.desc(), events.c.seq.desc())).all()
        return [Event(*row) for row in reversed(rows)]

    def __len__(self) -> int:
        """The number of events."""
        with self.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(events)).scalar_one())

    def blocks(self, size: int = 100_000, *, until: int | None = None) -> Iterator[list[Any]]:
        """All events (user, item, time, type, value, features, seq) in the order of arrival, in blocks.

        Args:
            size: number of events in a block.
            until: the last `seq`; None for all that are there now.
        """
        of_event = (events.c.user, events.c.item, events.c.time, events.c.type, events.c.value)
        columns = (*of_event, events.c.features, events.c.seq)
        last = 0
        until = self.newest_seq() if until is None else until
        while last < until:
            with self.database.read() as connection:
                condition = (events.c.seq > last) & (events.c.seq <= until)
                rows = connection.execute(select(*columns).where(condition).order_by(events.c.seq).limit(size)).all()
            if not rows:
                return
            yield list(rows)
            last = rows[-1].seq

    def after(self, seq: int, limit: int = 100_000) -> list[tuple[str, PastEvent]]:
        """The users and the events that arrived after that of a number, in the order of arrival, without features."""
        statement = select(*_OF_PAST).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
        with self.database.read() as connection:
            return [_with_user(row) for row in connection.execute(statement)]

    def newer(self, time: int, size: int = 100_000) -> Iterator[list[tuple[str, PastEvent]]]:
        """The users and the events after a time, in the order of time, without features.

        Args:
            time: microseconds since 1970.
            size: number of events in a block.
        """
        place, last = tuple_(events.c.time, events.c.seq), (time, NO_SEQ)
        while True:
            statement = select(*_OF_PAST).where(place > last).order_by(events.c.time, events.c.seq).limit(size)
            with self.database.read() as connection:
                block = [_with_user(row) for row in connection.execute(statement)]
            if not block:
                return
            yield block
            last = block[-1][1].time, block[-1][1].seq

    def until(self, user: str, time: int, limit: int) -> list[PastEvent]:
        """The newest events of a user up to a time and at it, oldest first, without features.

        Args:
            user: name of the user.
            time: microseconds since 1970.
            limit: number of events.
        """
        with self.database.read() as connection:
            rows = connection.execute(_UNTIL, {"user": user, "time": time, "limit": limit}).all()
        return [_with_user(row)[1] for row in reversed(rows)]

    def num_after(self, seq: int) -> tuple[int, int]:
        """The number of events that arrived after the one of a number, and the sum of their numbers."""
        statement = select(func.count(), func.coalesce(func.sum(events.c.seq), 0)).where(events.c.seq > seq)
        with self.database.read() as connection:
            num, total = connection.execute(statement).one()
        return int(num), int(total)

    def counts(self, width: int, until: int) -> Iterator[tuple[str, int, int]]:
        """The number of events of each item in each stretch of time: (item, number of the stretch, events).

        Args:
            width: of a stretch, in microseconds. Stretch 0 holds the times from 1 - width to width - 1.
            until: the last `seq`.
        """
        stretch = events.c.time.op("/")(width)  # towards 0, in SQLite and PostgreSQL
        statement = select(events.c.item, stretch, func.count()).where(events.c.seq <= until)
        with self.database.read() as connection:
            for item, number, count in connection.execute(statement.group_by(events.c.item, stretch)):
                yield item, int(number), int(count)

    def newest_seq(self) -> int:
        """The `seq` of the event that arrived last; 0 without events."""
        with self.database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one())


def _with_user(row: Any) -> tuple[str, PastEvent]:
    return row.user, PastEvent(row.time, row.seq, row.item, row.type)


def _order(event: PastEvent) -> tuple[int, int]:
    return event.time, event.seq


def _in_order_of_ids(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of new events with the numbers of their arrival, in the order of their ids.

    PostgreSQL locks each id until the transaction ends. All transactions take them in the same order, so that two of
    them never wait for each other.
    """
    next_number = func.nextval(func.pg_get_serial_sequence(events.name, "seq"))
    numbers = connection.execute(select(next_number).select_from(func.generate_series(1, len(rows)))).scalars()
    numbered = [{**row, "seq": number} for row, number in zip(rows, sorted(numbers), strict=True)]
    return sorted(numbered, key=itemgetter("id"))
