"""`EventLearner`: lets a model learn, at once, the events of a store that happened after its training, each once.

    events of a user, by time    a  b  c │ d  e  f
                          the end of the │ learnt: d after a b c, e after a b c d, f after a b c d e
                                training │

What a model has learnt is a function of the events in the store: of each user's events after the time of the newest
one that it was trained on, in the order of time. It does not depend on the order in which they came, on how often they
were sent, on which service stored them, or on restarts. Where an event comes before others that were learnt already, or
goes with its user, or a session is joined to a user, what was learnt after it is taken out and learnt anew.

Left out are events of items that the model does not know, and of types that its log does not have, if that has types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segue.data.log import Ids
from segue.data.time_units import in_microseconds
from segue.errors import ConfigError
from segue.event_store.arrivals import Arrivals, settled_cut
from segue.event_store.event_log import Change, PastEvent
from segue.event_store.store import Store
from segue.service.users.history_import import event_times
from segue.serving.saved_model import SavedModel

CONTEXT = 1_000  # newest events of the training, among which those are that a model reads before the first new one
AT_A_TIME = 50  # users whose events are learnt before requests are answered again
FEW = 2  # users of whom is read in an SQLite file without a thread, which would take longer
UserEvents = Mapping[str, Sequence[PastEvent]]


@dataclass(frozen=True, eq=False, slots=True)
class KnownEvents:
    """The events of a user whose items a model knows, oldest first.

    Attributes:
        order: (P, 2) time and number of arrival of each.
        ids: (P,) the ids of their items.
    """

    order: Ids
    ids: Ids

    @classmethod
    def of(cls, events: Sequence[PastEvent], ids: Sequence[int]) -> KnownEvents:
        """Events with the ids of their items, in any order; one that is there twice counts once."""
        order = np.array([(one.time, one.seq) for one in events], np.int64).reshape(-1, 2)
        return cls(*_sorted(order, np.array(ids, np.int64)))

    def __or__(self, other: KnownEvents) -> KnownEvents:
        """The events of both."""
        order, ids = np.concatenate([self.order, other.order]), np.concatenate([self.ids, other.ids])
        is_later = not (len(self.ids) and len(other.ids)) or self.order[-1].tolist() < other.order[0].tolist()
        return KnownEvents(order, ids) if is_later else KnownEvents(*_sorted(order, ids))

    def after(self, time: int) -> KnownEvents:
        """The events after a time."""
        first = self.num_until(time)
        return KnownEvents(self.order[first:], self.ids[first:])

    def num_until(self, time: int) -> int:
        """The number of events up to a time."""
        return int(np.searchsorted(self.order[:, 0], time, side="right"))

    def num_common(self, other: KnownEvents) -> int:
        """The number of events with which both begin."""
        length = min(len(self.ids), len(other.ids))
        differs = (self.order[:length] != other.order[:length]).any(1)
        return int(differs.argmax()) if differs.any() else length


def _sorted(order: Ids, ids: Ids) -> tuple[Ids, Ids]:
    """Events in their order, each once."""
    if len(ids) < 2:
        return order, ids
    order, places = np.unique(order, axis=0, return_index=True)
    return order, ids[places]


NONE = KnownEvents.of([], [])


@dataclass(frozen=True)
class _Beginning:
    """What the store says of a user whose events are not known, or begin otherwise than they did.

    Attributes:
        events: those that the training may know, as many as the model reads before a new one.
        sessions: those that were joined to the user.
    """

    events: KnownEvents
    sessions: frozenset[str]


class EventLearner:
    """Lets a model learn the events of a store.

    Attributes:
        until: the time of the newest event that the model was trained on, in microseconds since 1970; see
            `trained_until`.
        num_learnt: number of events that it has learnt.
    """

    def __init__(self, saved: SavedModel, token_ids: Mapping[str, int]) -> None:
        self.model, self.token_ids = saved.model, token_ids
        self.until, self.types = trained_until(saved), frozenset(saved.log.event_types)
        self.num_learnt = 0
        self._known: dict[str, KnownEvents] = {}  # with those that the first new one was learnt after
        self._sessions: dict[str, frozenset[str]] = {}  # which were joined to a user with known events, if any
        self._versions: dict[str, int] = {}  # of the histories of users with known events, where they are known
        self._arrivals: Arrivals | None = None
        self._num_forgotten = 0  # calls of `forget`: what was read before one may be gone

    def catch_up(self, store: Store) -> None:
        """Learn all that the store has, before the model answers; again, it does nothing. May run in a thread."""
        if self._arrivals is not None:
            return
        arrivals, events = Arrivals(settled_cut(store.events)), dict[str, list[PastEvent]]()
        for block in store.events.newer(self.until):
            for user, event in block:
                arrivals.see(event.seq)
                if self._id(event):
                    events.setdefault(user, []).append(event)
        self._arrivals = arrivals
        beginnings = self._read(store, events)
        for user, some in events.items():
            self._learn(user, some, beginnings.get(user))

    async def follow(self, store: Store) -> None:
        """Learn what other services stored."""
        assert self._arrivals is not None
        num_forgotten, events = self._num_forgotten, dict[str, list[PastEvent]]()
        for user, event in await asyncio.to_thread(self._arrivals.read_unseen, store.events):
            events.setdefault(user, []).append(event)
        if num_forgotten == self._num_forgotten:
            await self.add(store, events)

    async def apply(self, store: Store, changes: Mapping[str, Change]) -> None:
        """Learn events that this service has stored. Where nothing else changed of a user, the store is not asked."""
        same = {user for user, change in changes.items() if self._versions.get(user) == change.before}
        await self.add(store, {user: change.events for user, change in changes.items()}, same)
        self._versions |= {user: change.after for user, change in changes.items() if user in self._known}

    async def add(self, store: Store, events: UserEvents, same: Container[str] = ()) -> None:
        """Learn events of a store that were not learnt yet.

        Args:
            store: the store.
            events: the events, by their users; none of a user to whom a session was joined.
            same: users of whom nothing else was stored since, by other services or by joining sessions.
        """
        num_forgotten = self._num_forgotten
        new = {user: found for user, some in events.items() if (found := self._unseen(user, some)) or not some}
        unclear = {user: some for user, some in new.items() if user not in same or self._changes_beginning(user, some)}
        in_thread = len(unclear) > FEW or not store.database.embedded
        beginnings = await asyncio.to_thread(self._read, store, unclear) if in_thread else self._read(store, unclear)
        for place, (user, some) in enumerate(new.items(), 1):
            if num_forgotten != self._num_forgotten:
                return  # some may be erased; `follow` reads the others again
            self._learn(user, some, beginnings.get(user))
            if place % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def users(self) -> list[str]:
        """The users whose events were learnt."""
        return list(self._known)

    def forget(self, users: Mapping[str, int | None]) -> None:
        """Take out what was learnt of users. What a store has of it is learnt again by `follow`: it came afterwards.

        Args:
            users: names, and a time in microseconds since 1970 up to which their events are taken out; None for all.
        """
        self._num_forgotten += 1
        for user, time in users.items():
            if user in self._known:
                known = self._known[user]
                kept = NONE if time is None else known.after(time)
                self._replace(user, kept)
                if self._arrivals is not None:
                    self._arrivals.look_again(known.order[: len(known.ids) - len(kept.ids), 1].tolist())

    def _id(self, event: PastEvent) -> int:
        """The id of the item of an event that is to be learnt or read before one; 0 for another event."""
        return 0 if self.types and event.type not in self.types else self.token_ids.get(event.item, 0)

    def _unseen(self, user: str, events: Sequence[PastEvent]) -> list[PastEvent]:
        """The events that were not seen and change what is learnt of a user; the others count as seen."""
        assert self._arrivals is not None
        found = []
        for event in events:
            if not self._id(event) or (event.time <= self.until and user not in self._known):
                self._arrivals.see(event.seq)
            elif event.seq not in self._arrivals:
                found.append(event)
        return found

    def _read(self, store: Store, events: UserEvents) -> dict[str, _Beginning]:
        """Read how the events of users begin, where that is not known or became another. May run in a thread."""
        if not events:
            return {}
        sessions = dict[str, set[str]]()
        for session, user in store.sessions.of_users(events).items():
            sessions.setdefault(user, set()).add(session)
        found = {}
        for user, some in events.items():
            joined = frozenset(sessions.get(user, ()))
            if self._changes_beginning(user, some) or joined != self._sessions.get(user, frozenset()):
                found[user] = _Beginning(self._context(store, user), joined)
        return found

    def _changes_beginning(self, user: str, events: Sequence[PastEvent]) -> bool:
        """Whether, for events of a user, it has to be read what comes before those that are learnt."""
        return user not in self._known or any(event.time <= self.until for event in events)

    def _context(self, store: Store, user: str) -> KnownEvents:
        """The newest events of a user up to the end of the training, as many as the model reads before a new one."""
        window = self.model.update_window
        if window == 0:
            return NONE
        events = [event for event in store.events.until(user, self.until, CONTEXT) if self._id(event)]
        events = events if window is None else events[-window:]
        return KnownEvents.of(events, list(map(self._id, events)))

    def _learn(self, user: str, events: Sequence[PastEvent], beginning: _Beginning | None) -> None:
        """Learn events of a user, with those of sessions that were joined to this user."""
        known = self._known.get(user, NONE)
        if beginning is not None:
            known = beginning.events | known.after(self.until)
            for session in beginning.sessions:
                known |= self._known.get(session, NONE).after(self.until)
                self._replace(session, NONE)
        new = [event for event in events if event.time > self.until]
        self._replace(user, known | KnownEvents.of(new, list(map(self._id, new))))
        if beginning is not None and beginning.sessions and user in self._known:
            self._sessions[user] = beginning.sessions
        assert self._arrivals is not None
        for event in events:
            self._arrivals.see(event.seq)
        self._arrivals.settle()

    def _replace(self, user: str, events: KnownEvents) -> None:
        """Let the events of a user be others: what is learnt after another history than before is learnt anew."""
        known = self._known.pop(user, NONE)
        first = known.num_common(events)
        self._count(known, first, -1)
        self._count(events, first, 1)
        if events.num_until(self.until) < len(events.ids):
            self._known[user] = events
        else:
            self._sessions.pop(user, None)
            self._versions.pop(user, None)

    def _count(self, events: KnownEvents, first: int, count: int) -> None:
        """Learn the events from one on that are new, each after those before it, or take them out (`count` of -1)."""
        window, ids = self.model.update_window, events.ids
        for place in range(max(first, events.num_until(self.until)), len(ids)):
            begin = 0 if window is None else max(0, place - window)
            self.model.update([ids[begin:place].tolist()], [int(ids[place])], count=count)
            self.num_learnt += count


def make_learner(saved: SavedModel, token_ids: Mapping[str, int]) -> EventLearner | None:
    """What lets a model learn events at once; None if it cannot, or its events count by their types.

    Args:
        saved: the model.
        token_ids: the id of each item, by its name.
    """
    if not saved.model.can_update or saved.about.get("experiment", {}).get("protocol", {}).get("targets"):
        return None
    try:
        saved.model.update([], [])
    except ConfigError:
        return None
    return EventLearner(saved, token_ids)


def trained_until(saved: SavedModel) -> int:
    """A time in microseconds since 1970: no event that a model was trained on is later, as a store has it.

    Where times are whole seconds, the whole second of the newest event is over.
    """
    rows = saved.trained_rows()
    rows = saved.log if rows is None else rows
    return int(event_times(rows).max(initial=0)) + max(in_microseconds(1, rows.time_unit), 1) - 1
