"""`Popularity`: how popular items are, and which become so, counted from all events of the store.

    popular     the sum over an item's events of 2 ** (-age / 7 days), and a thousandth of the number of its events: an
                event counts half after a week, and the old events still order items without new ones
    trending    (recent - expected) / sqrt(expected + 1): `recent` is the same sum with a half-life of one day, and
                `expected` what it would be on an average day of the last weeks. It is about how many
                standard deviations more events an item has than its own average lets expect. At least 1 is trending.

Ages are counted in hours, so that the sums do not depend on when the service was started. An event whose time is still
to come counts as one of now. Each event is counted once, in whatever order events arrive. After an erasure,
and once a day, all events are counted anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.data.log import Floats
from segue.event_store.arrivals import Arrivals, settled_cut
from segue.event_store.clock import MICROSECONDS
from segue.event_store.event_log import PastEvent
from segue.event_store.store import Store
from segue.service.items.catalogue import Catalogue

HOUR = 3_600 * MICROSECONDS
HALF_LIFE, SHORT_HALF_LIFE = 7 * 24, 24  # hours
FLOOR = 1e-3  # what an event counts at least
TRENDING = 1.0  # from which score on an item is trending
COUNT_AGAIN = 24 * HOUR


@dataclass(frozen=True)
class Tally:
    """The events of a store, counted.

    Attributes:
        cut: the sums are of the events up to this number of arrival.
        items: names of the items.
        sums: (3, items): the sum with each half-life, and the number of events.
        recent: the events after the cut, one by one.
        erasures: `ErasureTable.count` before they were counted.
        time: when, in microseconds since 1970; the weights are those of its hour.
    """

    cut: int
    items: Sequence[str]
    sums: np.ndarray
    recent: list[PastEvent]
    erasures: int
    time: int


@dataclass(frozen=True)
class Followed:
    """What `Popularity.read_changes` read: events that may be new, or all of them, counted anew."""

    events: list[PastEvent] = field(default_factory=list)
    tally: Tally | None = None


class Popularity:
    """The counts of all items, by their numbers in a catalogue."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        """Prepare; `read_changes` counts the events that are there."""
        self.log, self.erasures, self.catalogue = store.events, store.erasures, catalogue
        self._hour = 0  # the weights are those of this hour
        self._sums = np.zeros((3, 1024))  # of each item, with each half-life; its number of events
        self._arrivals: Arrivals | None = None  # the events that are counted; None until those of the start are
        self._time, self._erasures = 0, 0

    @property
    def is_counted(self) -> bool:
        """Whether the events that were there at the start have been counted."""
        return self._arrivals is not None

    def add(self, events: Iterable[PastEvent], now: int) -> None:
        """Count events; those that were counted are known by their numbers of arrival."""
        if self._arrivals is None:
            return
        for event in events:
            if self._arrivals.see(event.seq):
                self._count(self.catalogue.number(event.item), hour_of(event.time), hour_of(now))
        self._arrivals.settle()

    def read_changes(self, now: int) -> Followed:
        """Read what other processes stored, or count all events anew if that is due. May run in a thread."""
        if self._arrivals is None or self.needs_tally(now):
            return Followed(tally=self.tally(now))
        return Followed([event for _, event in self._arrivals.read_unseen(self.log)])

    def needs_tally(self, now: int) -> bool:
        """Whether all events must be counted anew. May run in a thread."""
        return not self.is_counted or self.erasures.count() != self._erasures or now - self._time > COUNT_AGAIN

    def tally(self, now: int) -> Tally:
        """Count all events of the store. May run in a thread."""
        erasures = self.erasures.count()
        cut = settled_cut(self.log)
        items: dict[str, int] = {}
        groups = np.array(
            [(items.setdefault(item, len(items)), hour, count) for item, hour, count in self.log.counts(HOUR, cut)],
            np.int64,
        ).reshape(-1, 3)
        ages = hour_of(now) - np.minimum(groups[:, 1], hour_of(now))
        sums = np.stack([np.bincount(groups[:, 0], one * groups[:, 2], len(items)) for one in _weights(ages)])
        return Tally(cut, list(items), sums, [event for _, event in self.log.after(cut)], erasures, now)

    def apply(self, followed: Followed, now: int) -> None:
        """Take over what `read_changes` read."""
        if followed.tally is not None:
            self.replace(followed.tally)
            return
        self.add(followed.events, now)

    def replace(self, tally: Tally) -> None:
        """Begin anew with the counts of a tally. Events that were stored meanwhile are in the next `read_changes`."""
        self._hour = hour_of(tally.time)
        self._arrivals = Arrivals(tally.cut)
        self._time, self._erasures = tally.time, tally.erasures
        numbers = [self.catalogue.number(item) for item in tally.items]
        self._sums = np.zeros((3, max(self._sums.shape[1], len(self.catalogue.names))))
        self._sums[:, numbers] = tally.sums
        self.add(tally.recent, tally.time)

    def totals(self) -> Floats:
        """(N + 1,) the number of events of each item."""
        return self._padded(2)

    def popular(self, now: int) -> Floats:
        """(N + 1,) how popular each item is; 0 for one without events."""
        decay = 2.0 ** ((self._hour - hour_of(now)) / HALF_LIFE)
        return self._padded(0) * decay + FLOOR * self.totals()

    def recent(self, now: int) -> tuple[Floats, Floats]:
        """(recent, expected), each (N + 1,): the sum of the last day, and that of an average day of the last weeks."""
        hours = self._hour - hour_of(now)
        expected = self._padded(0) * (2.0 ** (hours / HALF_LIFE) * SHORT_HALF_LIFE / HALF_LIFE)
        return self._padded(1) * 2.0 ** (hours / SHORT_HALF_LIFE), expected

    def trending(self, now: int) -> Floats:
        """(N + 1,) by how many standard deviations an item has more events than its average lets expect."""
        recent, expected = self.recent(now)
        return (recent - expected) / np.sqrt(expected + 1)

    def _padded(self, row: int) -> Floats:
        return self.catalogue.padded(self._sums[row])

    def _count(self, number: int, hour: int, now: int) -> None:
        width = self._sums.shape[1]
        if number >= width:
            self._sums = np.pad(self._sums, ((0, 0), (0, max(width, number))))
        for row, weight in enumerate(_weights(self._hour - min(hour, now))):
            self._sums[row, number] += weight


def _weights(age: Any) -> tuple[Any, Any, float]:
    """What an event adds to the three sums. Its age, in hours, is negative after the hour of the weights."""
    return 2.0 ** (-age / HALF_LIFE), 2.0 ** (-age / SHORT_HALF_LIFE), 1.0


def hour_of(time: int) -> int:
    """The number of an hour, counted as `EventLog.counts` does.

    >>> hour_of(HOUR + 1), hour_of(-1)
    (1, 0)
    """
    return time // HOUR if time >= 0 else -(-time // HOUR)
