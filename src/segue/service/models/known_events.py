"""`KnownEvents`: the events of one user whose items a model knows, in the order of time, for `EventLearner`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.data.log import Ids
from segue.event_store.event_log import PastEvent


@dataclass(frozen=True, eq=False, slots=True)
class KnownEvents:
    """P events of a user, oldest first, each once.

    Attributes:
        order: (P, 2) int64, what orders them: the time in microseconds since 1970, and the number of arrival.
        ids: (P,) int64 ids of their items.
    """

    order: Ids
    ids: Ids

    @classmethod
    def of(cls, events: Sequence[PastEvent], ids: Sequence[int]) -> KnownEvents:
        """Events with the ids of their items, in any order; one that is there twice counts once."""
        order = np.array([(one.time, one.seq) for one in events], np.int64).reshape(-1, 2)
        return cls(*_sorted(order, np.array(ids, np.int64)))

    def __or__(self, other: KnownEvents) -> KnownEvents:
        """The events of both; one that both have counts once."""
        order, ids = np.concatenate([self.order, other.order]), np.concatenate([self.ids, other.ids])
        is_later = not (len(self.ids) and len(other.ids)) or self.order[-1].tolist() < other.order[0].tolist()
        return KnownEvents(order, ids) if is_later else KnownEvents(*_sorted(order, ids))

    def after(self, time: int) -> KnownEvents:
        """The events after a time."""
        first = self.num_until(time)
        return KnownEvents(self.order[first:], self.ids[first:])

    def num_until(self, time: int) -> int:
        """The number of events up to a time, that one included."""
        return int(np.searchsorted(self.order[:, 0], time, side="right"))

    def num_common(self, other: KnownEvents) -> tuple[int, int]:
        """The number of events with which both begin, and of further ones with which both end."""
        first = _num_equal(self.order, other.order)
        return first, _num_equal(self.order[first:][::-1], other.order[first:][::-1])


def _num_equal(one: Ids, other: Ids) -> int:
    """The number of rows with which both begin."""
    length = min(len(one), len(other))
    differs = (one[:length] != other[:length]).any(1)
    return int(differs.argmax()) if differs.any() else length


def _sorted(order: Ids, ids: Ids) -> tuple[Ids, Ids]:
    """Events in their order, each once."""
    if len(ids) < 2:
        return order, ids
    order, places = np.unique(order, axis=0, return_index=True)
    return order, ids[places]


NO_EVENTS = KnownEvents.of([], [])
