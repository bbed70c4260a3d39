"""Rated events as questions: how does a user rate an item at a time, given what both had met strictly before?

    user  1  2  1  3  2       history of user 2 before 7:   b          (what she had met; the newest last)
    item  a  b  b  a  a       audience of item a before 7:  1 3        (who had met it)
    time  1  3  4  5  7                                                what happened at 7 itself is not before it

Both sides are found in one order of the log's rows by (user, time) or (item, time): nothing later can be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from segue.batches.batch import Batch
from segue.data.log import Ids, Log
from segue.errors import DataError

SHUFFLED = 64  # batches are cut from so many at a time, sorted by length: they hold little padding, in random order


class Past:
    """Whom each key met, and when; `Past(user, item, time)` of a log's rows knows the histories of its users.

    Args:
        key: (R,) whose past it is.
        other: (R,) whom they met.
        time: (R,) when; of equal times the rows keep their order.
    """

    def __init__(self, key: Ids, other: Ids, time: Ids) -> None:
        self.moments = np.unique(time)
        self.span = len(self.moments) + 1
        place = key * self.span + np.searchsorted(self.moments, time)
        order = np.argsort(place, kind="stable")
        self.place, self.other = place[order], other[order]

    def stretch(self, key: Ids, before: Ids) -> tuple[Ids, Ids]:
        """(first, stop), each (N,): which entries of `other` each key met strictly before a time."""
        line = key * self.span
        stop = np.searchsorted(self.place, line + np.searchsorted(self.moments, before))
        return np.searchsorted(self.place, line), stop

    def last(self, key: Ids, before: Ids, window: int | None = None) -> Ids:
        """(N, P) whom each key met strictly before a time, oldest first, 0 on the left: the last `window` of them.

        With None, P is the longest past among these.
        """
        first, stop = self.stretch(key, before)
        longest = int((stop - first).max(initial=0))
        width = longest if window is None else min(window, longest)
        at = stop[:, None] + np.arange(-width, 0)
        inside = at >= first[:, None]
        return np.where(inside, self.other[np.where(inside, at, 0)] if len(self.other) else 0, 0)


@dataclass(frozen=True, eq=False)
class RatedEvents:
    """N rated events of a log.

    Attributes:
        log: whose rows may be read: a view of the past hides what lies behind its cut.
        user: (N,) who rated.
        item: (N,) what.
        rating: (N,) float32, the answers.
        time: (N,) when, or None where the log does not say.
        before: (N,) only what happened strictly before may be read; by default `time`.
    """

    log: Log
    user: Ids
    item: Ids
    rating: np.ndarray[tuple[int], np.dtype[np.float32]]
    time: Ids | None = None
    before: Ids | None = None

    @classmethod
    def of(cls, log: Log) -> RatedEvents:
        """Every rated event of a view, each to be told from what came before it."""
        return cls.at(log, log.events()[0], log.rows())

    @classmethod
    def at(cls, log: Log, user: Ids, row: Ids) -> RatedEvents:
        """The rated events at rows of a log's columns, each to be told from what came before it.

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
    def _past(self) -> tuple[Past, Past, Ids]:
        """The histories of the users, the audiences of the items, and before when they may be read."""
        before = self.time if self.before is None else self.before
        if self.log.time is None or before is None:
            raise DataError(f"{self.log.name}: who met an item before whom is not known: this log has no times")
        user, content = self.log.events()
        item, time = content.astype(np.int64), self.log.column(self.log.time)
        return Past(user, item, time), Past(item, user, time), before

    def lengths(self) -> Ids:
        """(N,) how much may be read of both sides."""
        histories, audiences, before = self._past
        ends = histories.stretch(self.user, before), audiences.stretch(self.item, before)
        return ends[0][1] - ends[0][0] + ends[1][1] - ends[1][0]

    def audiences(self, window: int) -> Ids:
        """(I + 1, Q) the last `window` users of each item of the log, to its end."""
        items = np.arange(self.log.num_items + 1)
        return self._past[1].last(items, np.full(len(items), np.iinfo(np.int64).max), window)

    def batch(self, index: Ids, *, history: int | None = 0, audience: int | None = 0) -> Batch:
        """The questions at `index`, with the last `history` items of the user and the last `audience` users of the
        item; 0 for none, None for all."""
        user, item = self.user[index], self.item[index]
        met = seen_by = np.zeros((len(index), 0), np.int64)
        if (history, audience) != (0, 0):
            histories, audiences, before = self._past
            met = histories.last(user, before[index], history)
            seen_by = audiences.last(item, before[index], audience)
        return Batch(
            torch.from_numpy(user),
            torch.from_numpy(met),
            torch.from_numpy(item)[:, None],
            asked=torch.ones(len(index), 1, dtype=torch.bool),
            rating=torch.from_numpy(self.rating[index]),
            time=None if self.time is None else torch.from_numpy(self.time[index]),
            audience=torch.from_numpy(seen_by),
        )

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator | None = None,
        *,
        history: int | None = 0,
        audience: int | None = 0,
        share: float = 1.0,
    ) -> Iterator[Batch]:
        """All questions, `batch_size` a batch: in their order, or with `rng` in random order, the first `share` of it.

        Batches of both histories hold questions of alike length, drawn from a stretch of the random order.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        order = order[: math.ceil(share * len(order))]
        if rng is not None and (history, audience) != (0, 0):
            order = self._alike(order, batch_size, rng)
        for begin in range(0, len(order), batch_size):
            yield self.batch(order[begin : begin + batch_size], history=history, audience=audience)

    def _alike(self, order: Ids, batch_size: int, rng: np.random.Generator) -> Ids:
        """`order`, with questions of alike length side by side in batches that come in random order."""
        length, step = self.lengths(), SHUFFLED * batch_size
        batches: list[Ids] = []
        for begin in range(0, len(order), step):
            some = order[begin : begin + step]
            some = some[np.argsort(length[some], kind="stable")]
            cut = [some[at : at + batch_size] for at in range(0, len(some), batch_size)]
            batches += [cut[place] for place in rng.permutation(len(cut))]
        batches.sort(key=len, reverse=True)  # those that are not full come last, so that the others stay whole
        return np.concatenate(batches) if batches else order
