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

from segue.batch import Batch
from segue.data.log import Ids, Log
from segue.data.negatives import Negatives


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
        negative = Negatives(log).draw(user, shape, rng) if self.negatives else None
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


def pairs(log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch of (user, item, negative) triples, one a row of the log: no history, C = T = G = 1."""
    user, item = log.events()
    negative = Negatives(log).draw(user, (1, 1, 1), rng)
    order = rng.permutation(len(user))
    for begin in range(0, len(order), batch_size):
        some = order[begin : begin + batch_size]
        empty = torch.empty((len(some), 0), dtype=torch.long)
        asked = torch.ones((len(some), 1), dtype=torch.bool)
        yield Batch(_ids(user[some]), empty, _ids(item[some]).unsqueeze(1), torch.from_numpy(negative[some]), asked)


def _items(log: Log, user: Ids, row: Ids, begin: int, end: int) -> torch.Tensor:
    """(n, end - begin) items at `row + begin` up to `row + end`; 0 outside the user's rows."""
    at = row[:, None] + np.arange(begin, end)
    inside = (at >= log.start[user][:, None]) & (at < log.stop[user][:, None])
    return _ids(np.where(inside, log.item.take(at, mode="clip"), 0))


def _ids(array: np.ndarray[Any, np.dtype[Any]]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64, copy=False))
