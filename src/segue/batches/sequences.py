"""How a log becomes batches: array operations on the log's own rows; the expanded examples are never stored.

rows of a user     a  b  c  d  e  f  g  h         a question asks, at a row, for the T items from it on
window L = 3, T = 2:  [a b c] -> d e                 and sees the L items before it
                         [b c d] -> e f
a chunk of C = 2 questions is one batch row:  history a b c d,  target (d e), (e f):
neighbouring windows share their items, so whatever depends on (user, item) alone is computed once for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from segue.batches.batch import Batch
from segue.batches.negative_sampling import UniformNegatives
from segue.data.log import Ids, Log


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Sliding windows over every user's rows, in random chunks of neighbouring questions.

    Attributes:
        window: L, items seen by a question.
        targets: T, items asked for.
        per_row: C, questions that share a batch row.
        negatives: G, negatives drawn for each target; 0 for none.
        asked: "full" asks wherever L items lie before and T behind (a user with fewer than L + T rows is asked once,
            with a padded history and what targets there are); "every" asks after every item that T items
            follow, and after the first of a shorter user.
    """

    window: int
    targets: int = 1
    per_row: int = 1
    negatives: int = 0
    asked: Literal["full", "every"] = "full"

    def span(self, log: Log) -> tuple[Ids, Ids]:
        """(first, stop), each (U + 1,): the rows of each user at which a question is asked."""
        last = np.maximum(log.start + 1, log.stop - self.targets)
        first = np.minimum(log.start + self.window, last) if self.asked == "full" else log.start + 1
        return first, np.where(log.sizes >= 2, last + 1, first)

    def batches(self, log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every question once, about `batch_size` of them a batch."""
        user, row, asked = self._chunks(log, rng)
        shape = (self.per_row, self.targets, self.negatives)
        # drawn for the whole epoch while users are in order: the search for them then stays in the cache
        negative = UniformNegatives(log).draw(user, shape, rng) if self.negatives else None
        order = rng.permutation(len(user))
        rows = max(1, -(-len(user) * batch_size // max(1, int(asked.sum()))))
        for begin in range(0, len(order), rows):
            some = order[begin : begin + rows]
            history = _items(log, user[some], row[some], -self.window, self.per_row - 1)
            target = _items(log, user[some], row[some], 0, self.targets + self.per_row - 1)
            drawn = None if negative is None else torch.from_numpy(negative[some])
            yield Batch(_ids(user[some]), history, target, drawn, torch.from_numpy(asked[some]))

    def _chunks(self, log: Log, rng: np.random.Generator) -> tuple[Ids, Ids, np.ndarray[Any, np.dtype[np.bool_]]]:
        """(user, row of the first question, which questions are asked: (n, C)) of every chunk, user by user.

        Where a user's chunks begin is drawn anew each epoch.
        """
        first, stop = self.span(log)
        shift = rng.integers(0, self.per_row, len(first))
        shift[stop - first <= self.per_row] = 0
        count = -((first - shift - stop) // self.per_row)
        count[stop == first] = 0
        user = np.repeat(np.arange(len(first)), count)
        place = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        row = (first - shift)[user] + place * self.per_row
        question = row[:, None] + np.arange(self.per_row)
        return user, row, (question >= first[user][:, None]) & (question < stop[user][:, None])


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Stretches of a user's rows for models that read from left to right: one pass answers at every item.

    rows of a user     a  b  c  d  e  f         window L = 4, each question asks for the next item:
    last:   history  b c d e   target  c d e f                       the newest stretch
    all:    history  b c d e   target  c d e f      asked 1 1 1 1    and older ones, until each pair was asked once;
                     0 0 0 a           0 0 0 b            0 0 0 1    where they begin is drawn anew each epoch

    Attributes:
        window: L, items of a stretch. The newest stands in the last column, as when the model is asked.
        cover: "last" for the newest stretch of each user, "all" for all of them.
        fresh: with "all", only the last `fresh` items of a stretch ask, so that most see a long history; None: all do.
        negatives: G, negatives drawn for each target; 0 for none.
    """

    window: int
    cover: Literal["last", "all"] = "all"
    fresh: int | None = None
    negatives: int = 0

    def batches(self, log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch in random order, `batch_size` stretches a batch; within it the shortest come first, so that slices
        of a batch hold little padding."""
        user, end, first = self._stretches(log, rng)
        negatives = UniformNegatives(log) if self.negatives else None
        length = np.minimum(end - log.start[user], self.window)
        order = rng.permutation(len(user))
        for begin in range(0, len(order), batch_size):
            some = order[begin : begin + batch_size]
            some = some[np.argsort(length[some], kind="stable")]
            history = _items(log, user[some], end[some], -self.window, 0)
            target = _items(log, user[some], end[some], 1 - self.window, 1)
            at = end[some][:, None] + np.arange(1 - self.window, 1)
            asked = torch.from_numpy(at >= first[some][:, None])
            shape = (self.window, 1, self.negatives)
            drawn = None if negatives is None else torch.from_numpy(negatives.draw(user[some], shape, rng))
            yield Batch(_ids(user[some]), history, target, drawn, asked)

    def _stretches(self, log: Log, rng: np.random.Generator) -> tuple[Ids, Ids, Ids]:
        """(user, row of the newest target, row of the oldest) of every stretch."""
        fresh = min(self.fresh or self.window, self.window)
        questions = np.maximum(log.sizes - 1, 0)
        count = np.minimum(questions, 1) if self.cover == "last" else -(-questions // fresh)
        shift = np.zeros_like(count)
        if self.cover == "all":
            shift = np.where(questions > fresh, rng.integers(0, fresh, len(count)), 0)
            count = -(-(questions + shift) // fresh)
        user = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        # the newest stretch asks `fresh - shift` questions, the oldest what is left
        newest = log.stop[user] - 1 - np.maximum(place * fresh - shift[user], 0)
        oldest = log.stop[user] - (place + 1) * fresh + shift[user]
        if self.cover == "last":
            oldest = log.stop[user] - self.window
        return user, newest, np.maximum(oldest, log.start[user] + 1)


def pairs(
    log: Log, batch_size: int, rng: np.random.Generator, *, negatives: int = 1, recency: float = 0.0
) -> Iterator[Batch]:
    """One epoch of (user, item, its `negatives`): no history, C = T = 1.

    Each row of the log is visited once; with `recency`, as many are drawn in proportion to e^-(age / recency).
    """
    user, item = log.events()
    if recency > 0 and len(user):
        weight = np.exp(-ages(log) / recency)
        row = np.sort(rng.choice(len(user), len(user), p=weight / weight.sum()))
        user, item = user[row], item[row]
    negative = UniformNegatives(log).draw(user, (1, 1, negatives), rng)
    order = rng.permutation(len(user))
    for begin in range(0, len(order), batch_size):
        some = order[begin : begin + batch_size]
        empty = torch.empty((len(some), 0), dtype=torch.long)
        asked = torch.ones((len(some), 1), dtype=torch.bool)
        yield Batch(_ids(user[some]), empty, _ids(item[some]).unsqueeze(1), torch.from_numpy(negative[some]), asked)


def ages(log: Log) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(len(log),) the share of all events that came after each row; of its user's, where the log has no times."""
    if log.time is None:
        after = np.repeat(log.stop, log.sizes) - 1 - log.rows()
        return after / np.repeat(log.sizes, log.sizes)
    time = log.column(log.time)
    return 1 - np.searchsorted(np.sort(time), time, side="right") / max(len(time), 1)


def _items(log: Log, user: Ids, row: Ids, begin: int, end: int) -> torch.Tensor:
    """(n, end - begin) items at `row + begin` up to `row + end`; 0 outside the user's rows."""
    at = row[:, None] + np.arange(begin, end)
    inside = (at >= log.start[user][:, None]) & (at < log.stop[user][:, None])
    return _ids(np.where(inside, log.item.take(at, mode="clip"), 0))


def _ids(array: np.ndarray[Any, np.dtype[Any]]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64, copy=False))
