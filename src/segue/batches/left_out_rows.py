"""`LeftOutRows`: rows of a log as examples, each with all rows of its user, so that these can be left out of counts.

rows of a user    a  b  c  d  e        the example at d, window L = 2

history   b c     target   d     own   a b c d e
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.data.log import Floats, Ids, Log, Mask


@dataclass(frozen=True, eq=False)
class LeftOutBatch:
    """A batch of examples.

    Attributes:
        history: (B, L) the items before the row, newest last; 0 is padding, on the left.
        target: (B,) the item of the row.
        own: (B, T) all items of the user, in order; 0 is padding, on the right.
        weight: (B,) what the row counts.
        own_weight: (B, T) what each of `own` counts as a target; 0 for padding.
    """

    history: Int[Tensor, "B L"]
    target: Int[Tensor, "B"]
    own: Int[Tensor, "B T"]
    weight: Float[Tensor, "B"]
    own_weight: Float[Tensor, "B T"]


@dataclass(frozen=True, eq=False)
class LeftOutRows:
    """The rows of a log that have an item before them and count as targets.

    Attributes:
        log: the log.
        window: L, the number of items of a history.
        weights: (R,) what each row of the columns of the log counts as a target.
    """

    log: Log
    window: int
    weights: Floats

    @cached_property
    def examples(self) -> tuple[Ids, Ids]:
        """The index of each example in the columns of the log, and its user."""
        rows, (user, _) = self.log.rows(), self.log.events()
        is_example = (rows > self.log.start[user]) & (self.weights[rows] > 0)
        return rows[is_example], user[is_example]

    def batches(self, count: int, batch_size: int, rng: np.random.Generator) -> Iterator[LeftOutBatch]:
        """`count` examples in random order; none comes again before all others have come as often."""
        number = len(self.examples[0])
        passes = (rng.permutation(number) for _ in range(-(-count // max(number, 1))))
        order = np.concatenate([np.zeros(0, np.int64), *passes])[:count]
        for begin in range(0, len(order), batch_size):
            chosen = order[begin : begin + batch_size]
            yield self.batch(*(part[chosen] for part in self.examples))

    def batch(self, row: Ids, user: Ids) -> LeftOutBatch:
        """The batch of some rows of the columns of the log, of these users."""
        first, stop = self.log.start[user], self.log.stop[user]
        before = row[:, None] + np.arange(-self.window, 0)  # (B, L)
        rows = first[:, None] + np.arange((stop - first).max())  # (B, T)
        is_own = rows < stop[:, None]
        own_weight = np.where(is_own, self.weights[np.where(is_own, rows, 0)], 0)
        parts = {
            "history": self._items(before, before >= first[:, None]),
            "target": self._items(row, row >= 0),
            "own": self._items(rows, is_own),
            "weight": self.weights[row].astype(np.float32),
            "own_weight": own_weight.astype(np.float32),
        }
        return LeftOutBatch(**{name: torch.from_numpy(part) for name, part in parts.items()})

    def _items(self, rows: Ids, exists: Mask) -> Ids:
        return np.where(exists, self.log.item[np.where(exists, rows, 0)], 0).astype(np.int64)
