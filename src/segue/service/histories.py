"""`Histories`: what users did, in memory for those who were asked for last, and always what the store holds.

A history is read from the store once. Events that this process stores are added to it in their place in time. Before
an answer, its version is compared with the store's, so that events which another process stored count at once, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sys import intern

from segue.data.log import Ids
from segue.event_store.event_log import Change, EventLog, PastEvent


@dataclass
class History:
    """The events of one user, oldest first.

    Attributes:
        version: of the history in the store; None for a user without events.
        order: (time, number of arrival) of each event, ascending.
        items: the names of the items; each name is in memory once.
        ids: the ids of the items that a model knows, by the number of the model; see `LoadedModel.read`.
        user: name of the user; empty for an anonymous one.
    """

    version: int | None = None
    order: list[tuple[int, int]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    ids: dict[int, Ids] = field(default_factory=dict)
    user: str = ""

    def add(self, event: PastEvent) -> None:
        """Insert an event at its place in time."""
        place = (event.time, event.seq)
        index = len(self.order) if not self.order or self.order[-1] < place else bisect_right(self.order, place)
        self.order.insert(index, place)
        self.items.insert(index, intern(event.item))
        self.ids.clear()

    def __len__(self) -> int:
        return len(self.items)


class Histories:
    """The histories of the users who were asked for last; the least recently used ones are dropped."""

    def __init__(self, log: EventLog, max_events: int = 5_000_000) -> None:
        """Prepare for the events of a store.

        Args:
            log: the events.
            max_events: how many events are kept in memory, over all users; the store holds all of them.
        """
        self.log, self.max_events = log, max_events
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._num_events = 0

    def get(self, user: str) -> History:
        """The history of a user as the store holds it now. It is shared: do not change it.

        For a session that was joined to a user, it is that of the user.
        """
        return self.get_all([user])[0]

    def get_all(self, users: Sequence[str]) -> list[History]:
        """As `get`, of several users, with one read for all that did not change."""
        versions = self.log.versions(users)
        return [self._get(user, versions.get(user)) for user in users]

    def _get(self, user: str, version: int | None) -> History:
        known = self._histories.get(user)
        if known is not None and known.version == version:
            self._histories.move_to_end(user)
            return known
        if version is None:
            self._drop(user)
            owner = self.log.owner(user)
            return History(user=user) if owner == user else self.get(owner)
        events = self.log.history(user)
        # read after the version: with a newer event in it, the version differs next time and it is read again
        items = [intern(one.item) for one in events]
        history = History(version, [(one.time, one.seq) for one in events], items, user=user)
        self._keep(user, history)
        return history

    def apply(self, changes: dict[str, Change]) -> None:
        """Add events that this process has stored to the histories in memory."""
        for user, change in changes.items():
            known = self._histories.get(user)
            if known is None:
                continue
            if known.version != change.before:
                self._drop(user)  # another process changed it in between
                continue
            for event in change.events:
                known.add(event)
            known.version = change.after
            self._num_events += len(change.events)
        self._shrink()

    def sizes(self) -> tuple[int, int]:
        """The numbers of users and of events in memory."""
        return len(self._histories), self._num_events

    def forget(self, users: Iterable[str]) -> None:
        """Drop what is in memory of some users."""
        for user in users:
            self._drop(user)

    def _keep(self, user: str, history: History) -> None:
        self._drop(user)
        self._histories[user] = history
        self._num_events += len(history)
        self._shrink()

    def _drop(self, user: str) -> None:
        known = self._histories.pop(user, None)
        if known is not None:
            self._num_events -= len(known)

    def _shrink(self) -> None:
        while self._num_events > self.max_events and len(self._histories) > 1:
            _, dropped = self._histories.popitem(last=False)
            self._num_events -= len(dropped)
