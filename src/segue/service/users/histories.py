"""`Histories`: what users did, in memory for those who were asked for last, and always what the store has.

A history is read from the store once. Events that this process stores are added to it in their place in time. Before
an answer, its version is compared with the store's, so that events which another process stored count at once, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

from segue.event_store.event_log import Change
from segue.event_store.store import Store
from segue.service.users.history import WINDOW, History


class Histories:
    """The histories of the users who were asked for last; the least recently used ones are dropped.

    Several threads may ask at a time.
    """

    def __init__(self, store: Store, max_events: int = 5_000_000, window: int = WINDOW) -> None:
        """Prepare for a store.

        Args:
            store: events and sessions.
            max_events: how many events are kept in memory, over all users; the store holds all of them.
            window: how many events of one user: the newest.
        """
        self.log, self.sessions, self.max_events, self.window = store.events, store.sessions, max_events, window
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._num_events = 0
        self._lock = Lock()

    def __contains__(self, user: str) -> bool:
        """Whether the history of a user is in memory, as it was or is."""
        return user in self._histories

    def get(self, user: str) -> History:
        """The history of a user as the store has it now.

        For a session that was joined to a user, it is that of the user.
        """
        return self.get_all([user])[0]

    def get_all(self, users: Sequence[str]) -> list[History]:
        """As `get`, of several users, with one read for all that did not change."""
        versions = self.log.versions(users)
        return [self._get(user, versions.get(user)) for user in users]

    def apply(self, changes: dict[str, Change]) -> None:
        """Add events that this process has stored to the histories in memory."""
        with self._lock:
            for user, change in changes.items():
                known = self._histories.get(user)
                if known is None:
                    continue
                if known.version == change.before:
                    self._keep(known.after(change.events, change.after, self.window))
                else:
                    self._drop(user)  # another process changed it in between

    def sizes(self) -> tuple[int, int]:
        """The numbers of users and of events in memory."""
        return len(self._histories), self._num_events

    def users(self) -> list[str]:
        """The users in memory."""
        with self._lock:
            return list(self._histories)

    def forget(self, users: Iterable[str]) -> None:
        """Drop what is in memory of some users."""
        with self._lock:
            for user in users:
                self._drop(user)

    def _get(self, user: str, version: int | None) -> History:
        with self._lock:
            known = self._histories.get(user)
            if known is not None and known.version == version:
                self._histories.move_to_end(user)
                return known
        if version is None:
            self.forget([user])
            owner = self.sessions.owner(user)
            return History(user=user) if owner == user else self.get(owner)
        history = self._read(user, version, known or History(user=user))
        with self._lock:
            self._keep(history)
        return history

    def _read(self, user: str, version: int, known: History) -> History:
        """The history that the store holds; it continues the known one where there only are newer events."""
        events = self.log.history(user, self.window)
        # read after the version: with a newer event in it, the version differs next time and it is read again
        newer = [one for one in events if not len(known.order) or (one.time, one.seq) > known.last]
        continued = known.after(newer, version, self.window)
        if continued.order.tolist() == [[one.time, one.seq] for one in events]:
            return continued
        return History(user=user).after(events, version, self.window)

    def _keep(self, history: History) -> None:
        self._drop(history.user)
        self._histories[history.user] = history
        self._num_events += len(history)
        while self._num_events > self.max_events and len(self._histories) > 1:
            _, dropped = self._histories.popitem(last=False)
            self._num_events -= len(dropped)

    def _drop(self, user: str) -> None:
        known = self._histories.pop(user, None)
        if known is not None:
            self._num_events -= len(known)
