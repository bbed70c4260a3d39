"""Negatives: items that a user has never touched, drawn without a single rejected draw; and items for all users.

A user who has touched items 2, 3 and 7 of 1..9 leaves 1 4 5 6 8 9 untouched. The r-th of those (from 0) is r + 1 plus
the number of touched items up to it, and a touched item a, the j-th of them, lies before the r-th untouched one
exactly if a - (j + 1) <= r. So one binary search in the sorted touched items, each lowered by its place, answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segue.data.log import Ids, Log, distinct

AHEAD = 1 << 18  # items that are drawn at once


class UniformNegatives:
    """Draws uniformly from the items that a user has no row of in `log`."""

    def __init__(self, log: Log) -> None:
        self._span = log.num_items + 1
        keys, item = log.events()
        keys *= self._span
        keys += item
        touched = distinct(keys)
        owner = touched // self._span
        self._size = np.bincount(owner, minlength=log.num_users + 1)
        self._start = np.cumsum(self._size) - self._size
        touched -= np.arange(1, len(touched) + 1)
        touched += self._start[owner]
        self._lowered = touched

    def draw(self, user: Ids, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(len(user), *shape) item ids, each untouched by its row's user; 0 for a user who has touched everything."""
        user = user.reshape(-1, *(1 for _ in shape))
        untouched = self._span - 1 - self._size[user]
        drawn = (rng.random((len(user), *shape)) * untouched).astype(np.int64)
        before = np.searchsorted(self._lowered, user * self._span + drawn, side="right")
        before -= self._start[user]
        drawn += before
        drawn += 1
        drawn[untouched.reshape(-1) <= 0] = 0
        return drawn


class PopularityNegatives:
    """Draws items for everybody, each with a chance that grows as (its events)^alpha.

    alpha 0 draws all items alike, 1 as often as they occur. An item without an event counts as one with a single one,
    so that each can be drawn.

    Args:
        counts: (I + 1,) events of each item, as `Log.counts` gives them; what stands at 0 is not read.
        alpha: from 0 to 1.
    """

    def __init__(self, counts: Ids, alpha: float) -> None:
        weight = np.maximum(counts, 1).astype(np.float64) ** alpha
        weight[0] = 0.0
        until = np.cumsum(weight)
        self._until, self._share = until / until[-1], weight / until[-1]
        self._until[-1] = 1.0
        # where to begin to look for a number: 4 entries an item, so that most are found where they are looked for
        grid = np.arange(4 * len(weight)) / (4 * len(weight))
        self._guess = np.searchsorted(self._until, grid, side="right")

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(count,) item ids, with repetition."""
        number = rng.random(count)
        drawn: np.ndarray[Any, np.dtype[np.int64]] = self._guess[(number * len(self._guess)).astype(np.int64)]
        low = np.flatnonzero(self._until[drawn] <= number)
        while len(low):
            drawn[low] += 1
            low = low[self._until[drawn[low]] <= number[low]]
        return drawn

    def stream(self, count: int, rng: np.random.Generator) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
        """(count,) item ids again and again, many of them drawn at once."""
        several = max(1, AHEAD // max(count, 1))
        while True:
            yield from self.draw(several * count, rng).reshape(several, count)

    def expected(self, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(I + 1,) logarithm of how often each item is expected among `count` draws; 0 for item 0."""
        expected = count * self._share
        return np.log(expected, out=np.zeros_like(expected), where=expected > 0)
