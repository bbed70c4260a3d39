"""Rated events with the histories of their user and of their item, as far as they happened strictly before the event.

    user  1  2  1  3  2       history of user 2 before time 7:        b      (items, newest last)
    item  a  b  b  a  a       item history of item a before time 7:   1 3    (users, newest last)
    time  1  3  4  5  7                                               an event at 7 itself is not before 7

Both histories are ranges of the log's events sorted by (user, time) and by (item, time), so nothing later is ever read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from segue.batches.batch import RatingBatch
from segue.data.log import Ids, Log
from segue.errors import DataError

SORTED_BATCHES = 128  # batches that are sorted by length together: little padding, and still a random order
USER_LENGTHS = 8  # parts of them that are sorted by the lengths of the users' histories, then by those of the items'


class Histories:
    """The past of each key: the items of a user, or the users of an item, in the order of time.

    Args:
        key: (R,) the user (item) of each event.
        other: (R,) its item (user).
        time: (R,) its time; events of equal time keep their order.
    """

    def __init__(self, key: Ids, other: Ids, time: Ids) -> None:
        self.times = np.unique(time)
        self.stride = len(self.times) + 1
        position = key * self.stride + np.searchsorted(self.times, time)
        order = np.argsort(position, kind="stable")
        self.position, self.other = position[order], other[order]

    def ranges(self, key: Ids, before: Ids) -> tuple[Ids, Ids]:
        """(first, stop), each (N,): the range of `other` that holds the past of each key strictly before a time."""
        base = key * self.stride
        stop = np.searchsorted(self.position, base + np.searchsorted(self.times, before))
        return np.searchsorted(self.position, base), stop

    def last(self, key: Ids, before: Ids, window: int | None = None) -> Ids:
        """(N, P) the last `window` entries of each past, oldest first, padded with 0 on the left.

        With `window` None all entries are returned, and P is the length of the longest past.
        """
        first, stop = self.ranges(key, before)
        longest = int((stop - first).max(initial=0))
        width = longest if window is None else min(window, longest)
        index = stop[:, None] + np.arange(-width, 0)
        inside = index >= first[:, None]
        return np.where(inside, self.other[np.where(inside, index, 0)] if len(self.other) else 0, 0)


@dataclass(frozen=True, eq=False)
class RatedEvents:
    """N rated events of a log.

    Attributes:
        log: the log that histories are read from; a view of a training part hides what follows its cut.
        user: (N,) user of each event.
        item: (N,) item of each event.
        rating: (N,) float32 rating of each event.
        time: (N,) time of each event, or None if the log has no times.
        before: (N,) histories contain only what happened strictly before this time; by default `time`.
    """

    log: Log
    user: Ids
    item: Ids
    rating: np.ndarray[tuple[int], np.dtype[np.float32]]
    time: Ids | None = None
    before: Ids | None = None

    @classmethod
    def from_log(cls, log: Log) -> RatedEvents:
        """All rated events of a log (or of a view of it)."""
        return cls.at_rows(log, log.events()[0], log.rows())

    @classmethod
    def at_rows(cls, log: Log, user: Ids, row: Ids) -> RatedEvents:
        """The rated events at some rows of the log's columns, whose users are `user`.

        Raises:
            DataError: the log has no ratings.
        """
        if log.rating is None:
            raise DataError(f"{log.name}: has no ratings to learn or to predict; name their column (--rating-col)")
        time = None if log.time is None else log.time[row]
        return cls(log, user, log.item[row].astype(np.int64), log.rating[row], time)

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def _histories(self) -> tuple[Histories, Histories, Ids]:
        """The histories of users, those of items, and the time before which they are read."""
        before = self.time if self.before is None else self.before
        if self.log.time is None or before is None:
            raise DataError(f"{self.log.name}: the order of events of different users is unknown: the log has no times")
        user, content = self.log.events()
        item, time = content.astype(np.int64), self.log.column(self.log.time)
        return Histories(user, item, time), Histories(item, user, time), before

    def history_lengths(self, window: int | None = None, item_window: int | None = None) -> Ids:
        """(2, N) the lengths of the users' and of the items' histories, as far as the windows reach; None for all."""
        of_users, of_items, before = self._histories
        lengths = []
        for histories, key, longest in ((of_users, self.user, window), (of_items, self.item, item_window)):
            first, stop = histories.ranges(key, before)
            lengths.append(stop - first if longest is None else np.minimum(stop - first, longest))
        return np.stack(lengths)

    def item_histories(self, window: int) -> Ids:
        """(I + 1, Q) the last `window` users of each item at the end of the log."""
        items = np.arange(self.log.num_items + 1)
        return self._histories[1].last(items, np.full(len(items), np.iinfo(np.int64).max), window)

    def batch(self, index: Ids, *, window: int | None = 0, item_window: int | None = 0) -> RatingBatch:
        """The events at `index`, with the last `window` items of the user's history and the last `item_window` users
        of the item's history; 0 for none, None for all."""
        user, item = self.user[index], self.item[index]
        history = item_history = np.zeros((len(index), 0), np.int64)
        if (window, item_window) != (0, 0):
            of_users, of_items, before = self._histories
            history = of_users.last(user, before[index], window)
            item_history = of_items.last(item, before[index], item_window)
        return RatingBatch(
            torch.from_numpy(user),
            torch.from_numpy(history),
            torch.from_numpy(item),
            torch.from_numpy(self.rating[index]),
            time=None if self.time is None else torch.from_numpy(self.time[index]),
            item_history=torch.from_numpy(item_history),
        )

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator | None = None,
        *,
        window: int | None = 0,
        item_window: int | None = 0,
        share: float = 1.0,
    ) -> Iterator[RatingBatch]:
        """One pass over the events: in their order, or in random order with `rng`; only the first `share` of them.

        In random order, events with histories of similar length share a batch, so that batches hold little padding.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        order = order[: math.ceil(share * len(order))]
        if rng is not None and (window, item_window) != (0, 0):
            lengths = self.history_lengths(window, item_window)
            order = _grouped_by_length(order, batch_size, lengths, rng)
        for begin in range(0, len(order), batch_size):
            yield self.batch(order[begin : begin + batch_size], window=window, item_window=item_window)


def _grouped_by_length(order: Ids, batch_size: int, lengths: Ids, rng: np.random.Generator) -> Ids:
    """`order` rearranged: events whose histories have similar lengths (2, N) form a batch; batches in random order.

    Long histories of users and of items do not go together, so events are sorted by the one, then parts by the other.
    """
    batches: list[Ids] = []
    step, part_step = SORTED_BATCHES * batch_size, SORTED_BATCHES * batch_size // USER_LENGTHS
    for begin in range(0, len(order), step):
        rows = order[begin : begin + step]
        rows = rows[np.argsort(lengths[0, rows], kind="stable")]
        parts = [rows[at : at + part_step] for at in range(0, len(rows), part_step)]
        rows = np.concatenate([part[np.argsort(lengths[1, part], kind="stable")] for part in parts])
        parts = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
        batches += [parts[number] for number in rng.permutation(len(parts))]
    batches.sort(key=len, reverse=True)  # incomplete batches come last, so that the others stay complete
    return np.concatenate(batches) if batches else order
