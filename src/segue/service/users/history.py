"""`History`: the newest events of one user, which never change: after an event, another history takes its place.

events     a b c d          count 4
+ e        a b c d e        count 5, the same origin: who has read the first four reads one more
window 4     b c d e        the oldest are dropped
+ late x   a x b c d e      another origin: who has read some of it reads it again
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern

import numpy as np

from segue.data.log import Ids
from segue.event_store.event import Feature
from segue.event_store.event_log import PastEvent

WINDOW = 10_000  # the newest events of a user that answers know
NO_ORDER = np.empty((0, 2), np.int64)


class Origin:
    """What histories have in common of which one begins another."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, eq=False, slots=True)
class History:
    """The newest events of one user, oldest first.

    Attributes:
        items: names of the items; each name is in memory once.
        types: the type of each event, such as "view"; none for items that a request brought.
        features: the features of each event, such as {"device": "mobile"}, None for none; none for items that a request
            brought.
        order: (P, 2) time and number of arrival of each event, ascending; none for items that a request brought.
        user: name of the user; empty for an anonymous one.
        version: of the history in the store; None for a user without events.
        origin: the same for histories of which one begins another, apart from old events that were dropped.
        count: number of events, with those that were dropped from histories of this origin; 0 for items that a request
            brought.
    """

    items: Sequence[str] = ()
    types: Sequence[str] = ()
    features: Sequence[Mapping[str, Feature] | None] = ()
    order: Ids = field(default_factory=lambda: NO_ORDER)
    user: str = ""
    version: int | None = None
    origin: Origin = field(default_factory=Origin)
    count: int = 0

    def __len__(self) -> int:
        return len(self.items)

    @property
    def last(self) -> tuple[int, int]:
        """Time and number of arrival of the newest event."""
        time, seq = self.order[-1].tolist()
        return time, seq

    def after(self, events: Sequence[PastEvent], version: int, window: int = WINDOW) -> History:
        """The history with further events.

        Args:
            events: the events, in the order of time.
            version: of the new history.
            window: number of events that are kept: the newest.
        """
        added = [(one.time, one.seq) for one in events]
        order = np.concatenate([self.order, np.array(added, np.int64).reshape(-1, 2)])
        items = [*self.items, *(intern(one.item) for one in events)]
        types = [*self.types, *(intern(one.type) for one in events)]
        features = [*self.features, *(one.features for one in events)]
        is_later = not len(self.order) or not added or self.last < added[0]
        if not is_later:
            places = np.lexsort((order[:, 1], order[:, 0]))
            order = order[places]
            items, types = ([values[place] for place in places.tolist()] for values in (items, types))
            features = [features[place] for place in places.tolist()]
        dropped = max(0, len(order) - window)
        return History(
            items=items[dropped:],
            types=types[dropped:],
            features=features[dropped:],
            order=order[dropped:],
            user=self.user,
            version=version,
            origin=self.origin if is_later else Origin(),
            count=self.count + len(events) if is_later else len(order) - dropped,
        )
