"""`EventLearner`: lets a model learn, at once, the events of a store that happened after its training, each once.

    events of a user, by time    a  b  c │ d  e  f
                          the end of the │ learnt: d after a b c, e after a b c d, f after a b c d e
                                training │

What a model has learnt is a function of the events in the store: of each user's events after the time of the newest
one that it was trained on, in the order of time. It does not depend on the order in which they came, on how often they
were sent, on which service stored them, or on restarts. Where an event comes before others that were learnt already, or
goes with its user, or a session is joined to a user, what was learnt after it is taken out and learnt anew: of as many
events as the model reads before another one (`update_window`), since what is learnt of later ones is the same.

Left out are events of items that the model does not know, and of types that its log does not have, if that has types.

Nothing of this is saved: after a restart, `catch_up` learns all from the store, before the model answers. From then on
`apply`, `follow`, `join` and `forget` are called in the event loop, which alone changes the model and what is known of
users. Threads only read the store for them. What is known of a user changes at once, and the model follows a few events
at a time (`ModelUpdates`). So two of these calls meet only between users, or where one awaits a read. Both may then
learn an event: it counts once, by its number of arrival. What was read before a `forget` is not used after it, nor what
was read of a session or a user before they were joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from segue.data.time_units import in_microseconds
from segue.errors import ConfigError
from segue.event_store.arrivals import Arrivals, settled_cut
from segue.event_store.event_log import Change, PastEvent
from segue.event_store.store import Store
from segue.service.models.known_events import NO_EVENTS, KnownEvents
from segue.service.models.model_updates import AT_A_TIME, ModelUpdates
from segue.service.users.history_import import event_times
from segue.serving.saved_model import SavedModel

MAX_CONTEXT = 1_000  # events of a user that are read to find those that a model reads before the first new one
FEW_USERS = 2  # of whom is read in an SQLite file without a thread, which would take longer
UserEvents = Mapping[str, Sequence[PastEvent]]


@dataclass(frozen=True)
class _UserContext:
    """What the store has of a user before the first event that is learnt.

    Attributes:
        user: name of the user, whom a session may have been joined to since its events were read.
        events: the newest ones up to the end of the training, as many as the model reads before another one.
        sessions: those that were joined to the user.
    """

    user: str
    events: KnownEvents
    sessions: frozenset[str]


class EventLearner:
    """Lets a model learn the events of a store.

    Attributes:
        until: the time of the newest event that the model was trained on, in microseconds since 1970; see
            `trained_until`.
    """

    def __init__(self, saved: SavedModel, token_ids: Mapping[str, int]) -> None:
        self.model, self.token_ids = saved.model, token_ids
        self.until, self.types = trained_until(saved), frozenset(saved.log.event_types)
        self._known: dict[str, KnownEvents] = {}  # of users with events that were learnt; those before them, too
        self._sessions: dict[str, frozenset[str]] = {}  # which were joined to such a user, if any
        self._versions: dict[str, int] = {}  # of such a user's history after the last own `apply`
        self._arrivals: Arrivals | None = None  # the events that were seen; None before `catch_up`
        self._num_forgotten = 0  # calls of `forget`: what was read before one may be gone
        self._updates = ModelUpdates(saved.model)  # what is known of users, and not in the model yet
        self._joined: list[set[str]] = []  # sessions and users that were joined during each `add` that is under way

    @property
    def num_learnt(self) -> int:
        """The number of events that the model has learnt."""
        return self._updates.num_learnt

    def catch_up(self, store: Store) -> None:
        """Learn all that the store has, before the model answers; again, it does nothing. May run in a thread.

        Raises:
            DataError: the store cannot be read; nothing was learnt.
        """
        if self._arrivals is not None:
            return
        arrivals, events = Arrivals(settled_cut(store.events)), dict[str, list[PastEvent]]()
        for block in store.events.newer(self.until):
            for user, event in block:
                arrivals.see(event.seq)
                if self._item_id(event):
                    events.setdefault(user, []).append(event)
        contexts = self._read(store, events)
        self._arrivals = arrivals  # not before all is read: what follows cannot fail
        for user, of_user in events.items():
            self._learn(user, of_user, contexts.get(user))
            self._updates.make()

    async def follow(self, store: Store) -> None:
        """Learn what other services stored.

        Raises:
            DataError: the store cannot be read; the next call learns what this one did not.
        """
        assert self._arrivals is not None
        num_forgotten, events = self._num_forgotten, dict[str, list[PastEvent]]()
        for user, event in await asyncio.to_thread(self._arrivals.read_unseen, store.events):
            events.setdefault(user, []).append(event)
        if num_forgotten == self._num_forgotten:
            await self.add(store, events)

    async def apply(self, store: Store, changes: Mapping[str, Change]) -> None:
        """Learn events that this service has stored. Where nothing else changed of a user, the store is not asked.

        Raises:
            DataError: the store cannot be read; `follow` learns the events then.
        """
        unchanged = {user for user, change in changes.items() if self._versions.get(user) == change.before}
        await self.add(store, {user: change.events for user, change in changes.items()}, unchanged)
        self._versions |= {user: change.after for user, change in changes.items() if user in self._known}

    async def join(self, store: Store, session: str, user: str) -> None:
        """Learn the events of a session that was joined to a user as those of the user.

        Raises:
            DataError: the store cannot be read; they are learnt so with the next event of the user.
        """
        for joined in self._joined:
            joined |= {session, user}
        await self.add(store, {user: ()})

    async def add(self, store: Store, events: UserEvents, unchanged: Container[str] = ()) -> None:
        """Learn events of a store that were not learnt yet.

        Args:
            store: the store.
            events: the events, by their users, or by sessions that were joined to these since they were read; none of
                a user to whom a session was joined.
            unchanged: users of whom nothing else was stored since, by other services or by joining sessions.

        Raises:
            DataError: the store cannot be read; `follow` learns the events then.
        """
        num_forgotten, joined = self._num_forgotten, set[str]()
        new = {user: self._unseen(user, of_user) for user, of_user in events.items()}
        new = {user: unseen for user, unseen in new.items() if unseen or not events[user]}
        to_read = {
            user: unseen for user, unseen in new.items() if user not in unchanged or self._needs_context(user, unseen)
        }
        in_thread = len(to_read) > FEW_USERS or not store.database.embedded
        self._joined.append(joined)
        try:
            contexts = await asyncio.to_thread(self._read, store, to_read) if in_thread else self._read(store, to_read)
            for user, unseen in new.items():
                if num_forgotten != self._num_forgotten:
                    break  # some may be erased; `follow` reads the others again
                if user not in joined:  # else `follow` reads the events again, as those of the user they have now
                    self._learn(user, unseen, contexts.get(user))
                if len(self._updates) >= AT_A_TIME:
                    await self._updates.make_all()
        finally:
            self._joined = [one for one in self._joined if one is not joined]
        await self._updates.make_all()

    def users(self) -> list[str]:
        """The users whose events were learnt."""
        return list(self._known)

    async def forget(self, users: Mapping[str, int | None]) -> None:
        """Take out what was learnt of erased users. What the store still has of it came afterwards; `follow` learns it.

        Args:
            users: names, and a time in microseconds since 1970 up to which their events are taken out; None for all.
        """
        self._num_forgotten += 1
        for user, time in users.items():
            if user in self._known:
                known = self._known[user]
                kept = NO_EVENTS if time is None else known.after(time)
                self._replace(user, kept)
                if self._arrivals is not None:
                    self._arrivals.look_again(known.order[: len(known.ids) - len(kept.ids), 1].tolist())
        await self._updates.make_all()

    def _item_id(self, event: PastEvent) -> int:
        """The id of the item of an event that is to be learnt or read before one; 0 for another event."""
        return 0 if self.types and event.type not in self.types else self.token_ids.get(event.item, 0)

    def _unseen(self, user: str, events: Sequence[PastEvent]) -> list[PastEvent]:
        """The events that were not seen and change what is learnt of a user; the others count as seen."""
        assert self._arrivals is not None
        found = []
        for event in events:
            if not self._item_id(event) or (event.time <= self.until and user not in self._known):
                self._arrivals.see(event.seq)
            elif event.seq not in self._arrivals:
                found.append(event)
        return found

    def _read(self, store: Store, events: UserEvents) -> dict[str, _UserContext]:
        """Read the contexts of users, where they are not known or became others. May run in a thread.

        Args:
            store: the store.
            events: the events that are to be learnt, by their users.
        """
        if not events:
            return {}
        users, sessions = store.sessions.read_owners(events), dict[str, set[str]]()
        for session, user in store.sessions.of_users(set(users.values())).items():
            sessions.setdefault(user, set()).add(session)
        found = {}
        for name, of_name in events.items():
            user = users[name]
            joined = frozenset(sessions.get(user, ()))
            if self._needs_context(name, of_name) or joined != self._sessions.get(name, frozenset()):
                found[name] = _UserContext(user, self._read_trained(store, user), joined)
        return found

    def _needs_context(self, user: str, events: Sequence[PastEvent]) -> bool:
        """Whether it has to be read what comes before the events of a user that are learnt."""
        return user not in self._known or any(event.time <= self.until for event in events)

    def _read_trained(self, store: Store, user: str) -> KnownEvents:
        """The newest events of a user up to the end of the training, as many as the model reads before a new one."""
        window = self.model.update_window
        if window == 0:
            return NO_EVENTS
        events = [event for event in store.events.until(user, self.until, MAX_CONTEXT) if self._item_id(event)]
        events = events if window is None else events[-window:]
        return KnownEvents.of(events, list(map(self._item_id, events)))

    def _learn(self, user: str, events: Sequence[PastEvent], context: _UserContext | None) -> None:
        """Learn events of a user; with a context, those of the sessions that were joined to the user become the user's.

        Without a context, the one that is known of the user stays.
        """
        user = user if context is None else context.user
        known = self._known.get(user, NO_EVENTS)
        if context is not None:
            known = context.events | known.after(self.until)
            for session in context.sessions:
                known |= self._known.get(session, NO_EVENTS).after(self.until)
                self._replace(session, NO_EVENTS)
        new = [event for event in events if event.time > self.until]
        self._replace(user, known | KnownEvents.of(new, list(map(self._item_id, new))))
        if context is not None:
            self._sessions.pop(user, None)
            if context.sessions and user in self._known:
                self._sessions[user] = context.sessions
        assert self._arrivals is not None
        for event in events:
            self._arrivals.see(event.seq)
        self._arrivals.settle()

    def _replace(self, user: str, events: KnownEvents) -> None:
        """Let the events of a user be others. Where they differ, the old ones are to be taken out, the new ones learnt.

        A user of whom nothing is learnt then is not known any more.
        """
        known = self._known.pop(user, NO_EVENTS)
        first, last = known.num_common(events)
        self._update(known, first, last, -1)
        self._update(events, first, last, 1)
        if events.num_until(self.until) < len(events.ids):
            self._known[user] = events
        else:
            self._sessions.pop(user, None)
            self._versions.pop(user, None)

    def _update(self, events: KnownEvents, first: int, last: int, count: int) -> None:
        """Let the events from the place `first` on wait to be learnt, or to be taken out (`count` of -1).

        Those up to the end of the training are only read before others. Of the `last` ones, which are not new, those
        are left as they are that are read after the same events as before.
        """
        window, size = self.model.update_window, len(events.ids)
        stop = size if window is None else min(size, size - last + window)
        self._updates.add(events.ids, range(max(first, events.num_until(self.until)), stop), count)


def make_learner(saved: SavedModel, token_ids: Mapping[str, int]) -> EventLearner | None:
    """The learner of a model; None if the model cannot learn events at once, or its events count by their types.

    Args:
        saved: the model.
        token_ids: the id of each item, by its name.
    """
    if not saved.model.can_update or saved.about.get("experiment", {}).get("protocol", {}).get("targets"):
        return None
    try:
        saved.model.update([], [])  # refuses, where the events of its training turn out to have different weights
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
