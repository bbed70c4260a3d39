"""`LiveQuality`: remembers what was recommended, and finds the rank of what the user did next.

    history  a b c          list  d e f         next event  e      rank 2
    history  a b c          list  d e f         (no event)         not counted
    history  a b c          list, list, list    next event  e      the newest of the three counts
    history  a b c          list  d e f         an event that happened before c comes late: the list waits on
    history  a b c          list without seen   next event  a      not counted, as in the evaluation

The event that counts is the first one after the history that the list was made from, in the order of time. That is the
question of the evaluation. So nothing depends on clocks, and a log that is replayed is measured, too.

A request only adds its list to a buffer. A thread writes the buffer into the store a few times a second, so that the
event may come to another service of the store.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from segue.event_store.clock import MICROSECONDS
from segue.event_store.event_log import PastEvent
from segue.event_store.later_events import EarlierItems, Place, later_events
from segue.event_store.outcomes import Outcome, RecommendedList
from segue.event_store.store import Store

FLUSH_SECONDS = 0.5
MAX_CUTOFF = 100  # of a list that is remembered
MAX_BUFFER = 20_000  # lists between two writes; more are not measured
WAIT_SECONDS = 24 * 3600  # how long a list waits for an event
KEEP_DAYS = 90.0  # how long an outcome is kept
CLEAN_SECONDS = 600.0  # between two deletions of what is too old

Verdict = (
    Outcome | RecommendedList | None
)  # what became of a list: its outcome, the list itself if it waits, or nothing


class LiveQuality:
    """The lists of a service on their way into the store, and the outcomes of those that were followed.

    Attributes:
        keep_days: how long outcomes are kept, in days.
        skipped: number of lists that were not remembered, because too many came or the store could not be written.
    """

    def __init__(self, store: Store, keep_days: float = KEEP_DAYS) -> None:
        self.store, self.keep_days = store, keep_days
        self.skipped = 0
        self._buffer: list[tuple[RecommendedList, int | None]] = []
        self._changed: set[str] = set()

    def recommended(self, one: RecommendedList, version: int | None = None) -> None:
        """Remember a list: it only goes into the buffer.

        Args:
            one: the list.
            version: of the history that it was made from; None if it is not known.
        """
        if len(self._buffer) < MAX_BUFFER:
            self._buffer.append((one, version))
        else:
            self.skipped += 1

    def changed(self, users: Iterable[str]) -> None:
        """Look for the lists of users who did something."""
        self._changed.update(users)

    async def flush(self) -> None:
        """Write the buffer into the store, and find the outcomes of users who did something.

        Raises:
            DataError: the store cannot be written; the lists of the buffer are not measured. Users who did something
                are looked at again the next time.
        """
        new, users = self._buffer, self._changed
        self._buffer, self._changed = [], set()
        if not new and not users:
            return
        try:
            await asyncio.to_thread(self._write, new, users)
        except Exception:
            self.skipped += len(new)
            self._changed |= users
            raise

    def _write(self, new: Sequence[tuple[RecommendedList, int | None]], changed: set[str]) -> None:
        """Store lists, or their outcomes if they were followed: another service may have stored the event already."""
        outcomes, database = self.store.outcomes, self.store.database
        owners = self.store.sessions.read_owners({one.user for one, _ in new})
        new = [(replace(one, user=owners[one.user]), version) for one, version in new]
        versions = self.store.events.versions(sorted({one.user for one, _ in new}))
        changed = changed | {one.user for one, version in new if versions.get(one.user) != version}
        stored = outcomes.waiting(sorted({*changed, *(one.user for one, _ in new)}))
        chains: dict[tuple[str, ...], list[tuple[int | None, RecommendedList]]] = {}
        first: dict[str, Place] = {}  # by user, the oldest place in time that a list was made at
        for number, one in [*stored.items(), *((None, one) for one, _ in new)]:
            chains.setdefault((one.user, one.model, one.fingerprint, one.arm), []).append((number, one))
            place = (one.after_time, one.after_seq)
            if place != first.setdefault(one.user, place):
                changed.add(one.user)
            first[one.user] = min(place, first[one.user])
        newer = later_events(database, {user: place for user, place in first.items() if user in changed})
        done: dict[int, Outcome | None] = {}
        waiting, found = [], []
        for (user, *_), chain in chains.items():
            verdicts = settle([one for _, one in chain], newer.get(user, ()), EarlierItems(database, user, first[user]))
            for (number, _), verdict in zip(chain, verdicts, strict=True):
                if number is not None and not isinstance(verdict, RecommendedList):
                    done[number] = verdict
                elif number is None and isinstance(verdict, Outcome):
                    found.append(verdict)
                elif number is None and isinstance(verdict, RecommendedList):
                    waiting.append(verdict)
        if done or waiting or found:
            outcomes.exchange(done, waiting, found)

    async def forget_old(self) -> tuple[int, int]:
        """Delete lists that waited too long, and outcomes that are too old; how many of each."""
        now = time.time()
        lists_before, outcomes_before = now - WAIT_SECONDS, now - self.keep_days * 24 * 3600
        return await asyncio.to_thread(
            self.store.outcomes.forget,
            lists_before=int(lists_before * MICROSECONDS),
            outcomes_before=int(outcomes_before * MICROSECONDS),
        )


def settle(chain: Sequence[RecommendedList], newer: Sequence[PastEvent], older: Container[str] = ()) -> list[Verdict]:
    """What became of the lists that one model made for one user.

    Args:
        chain: the lists, oldest first.
        newer: events of the user, in the order of time: at least all after the first list.
        older: the items of the events before these.

    Returns:
        For each list its outcome; the list itself if it waits for an event; or None if it does not count, because a
        newer one came before the same event, or because its event was of a seen item that it left out.
    """
    order = [(event.time, event.seq) for event in newer]
    following = [bisect_right(order, (one.after_time, one.after_seq)) for one in chain]
    verdicts: list[Verdict] = []
    for place, (one, index) in enumerate(zip(chain, following, strict=True)):
        if index in following[place + 1 :]:
            verdicts.append(None)
        elif index == len(newer):
            verdicts.append(one)
        else:
            item = newer[index].item
            is_left_out = not one.allows_seen and (item in [event.item for event in newer[:index]] or item in older)
            verdicts.append(None if is_left_out else _outcome(one, item))
    return verdicts


def _outcome(one: RecommendedList, item: str) -> Outcome:
    """The outcome of a list whose user took an item next."""
    rank = one.items.index(item) + 1 if item in one.items else None
    return Outcome(one.user, one.model, one.fingerprint, one.arm, one.time, rank, len(one.items))
