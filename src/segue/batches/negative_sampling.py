"""Negative sampling: uniform over the items that a user has no event with, of all or of those shown with a target; or
by popularity for all users alike.

Uniform sampling needs no rejection. A user with the items 2, 3 and 7 of 1..9 has the negatives 1 4 5 6 8 9. The r-th of
them (from 0) is r + 1 plus the number of the user's items below it. The j-th of the user's items, a, is below the r-th
negative exactly if a - (j + 1) <= r. One binary search in the sorted items, each reduced by its position, finds it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.data.impressions import known_impressions, packed
from segue.data.log import Floats, Ids, Log, distinct

_BUFFER = 1 << 18  # items that `PopularityNegatives.stream` draws at a time


class UniformNegatives:
    """Draws uniformly from the items that a user has no event with in `log`."""

    def __init__(self, log: Log) -> None:
        self._num_ids = log.num_items + 1
        keys, item = log.events()
        keys *= self._num_ids
        keys += item
        positives = distinct(keys)
        owner = positives // self._num_ids
        self._count = np.bincount(owner, minlength=log.num_users + 1)
        self._start = np.cumsum(self._count) - self._count
        positives -= np.arange(1, len(positives) + 1)
        positives += self._start[owner]
        self._shifted = positives

    def draw(self, user: Ids, shape: tuple[int, ...], rng: np.random.Generator) -> Ids:
        """(len(user), *shape) item ids, none of them an item of its row's user; 0 for a user with all items."""
        user = user.reshape(-1, *(1 for _ in shape))
        num_negatives = self._num_ids - 1 - self._count[user]
        drawn = (rng.random((len(user), *shape)) * num_negatives).astype(np.int64)
        below = np.searchsorted(self._shifted, user * self._num_ids + drawn, side="right")
        below -= self._start[user]
        drawn += below
        drawn += 1
        drawn[num_negatives.reshape(-1) <= 0] = 0
        return drawn


class ShownNegatives:
    """Draws uniformly from the items that were shown with a target and that its user has no event with in `log`.

    Where there is none, it draws as `UniformNegatives` does. That an item was shown and not chosen says more than that
    its user has no event with it.
    """

    def __init__(self, log: Log) -> None:
        """Prepare.

        Raises:
            DataError: the log has no impressions.
        """
        self._uniform = UniformNegatives(log)
        shown, num_ids = known_impressions(log), np.int64(log.num_items + 1)
        user, item = log.events()
        own = distinct(user * num_ids + item)
        rows, has_shown = log.rows(), log.column(shown).any(axis=1)
        items = shown[rows[has_shown]]  # (n, M)
        keys = user[has_shown][:, None] * num_ids + items
        is_own = own[np.searchsorted(own, keys).clip(max=len(own) - 1)] == keys
        self._shown = np.zeros_like(shown)
        self._shown[rows[has_shown]] = np.where(is_own, 0, items)
        self._shown = packed(self._shown)
        self._count = (self._shown > 0).sum(axis=1)

    def draw(self, user: Ids, row: Ids, number: int, rng: np.random.Generator) -> Ids:
        """(*row.shape, number) negatives of the targets in some rows (len(user), ...) of the columns of the log."""
        others = self._uniform.draw(user, (*row.shape[1:], number), rng)
        row = row.clip(0, len(self._count) - 1)[..., None]
        count = self._count[row]
        place = (rng.random(others.shape) * count).astype(np.int64)
        return np.where(count > 0, self._shown[row, place], others)


class PopularityNegatives:
    """Draws items for all users alike, each with a probability proportional to (its events)^alpha.

    With alpha 0 all items are equally likely, with 1 each is drawn as often as it occurs. An item without events counts
    as one with a single event, so that every item can be drawn.

    Args:
        counts: (I + 1,) events of each item, as `Log.counts` returns them; entry 0 is ignored.
        alpha: from 0 to 1.
    """

    def __init__(self, counts: Ids, alpha: float) -> None:
        weight = np.maximum(counts, 1).astype(np.float64) ** alpha
        weight[0] = 0.0
        cumulative = np.cumsum(weight)
        self._cumulative, self._probability = cumulative / cumulative[-1], weight / cumulative[-1]
        self._cumulative[-1] = 1.0
        # an index of 4 entries per item into the cumulative probabilities: most look-ups then end at once
        grid = np.arange(4 * len(weight)) / (4 * len(weight))
        self._index = np.searchsorted(self._cumulative, grid, side="right")

    def draw(self, count: int, rng: np.random.Generator) -> Ids:
        """(count,) item ids, with replacement."""
        number = rng.random(count)
        drawn: Ids = self._index[(number * len(self._index)).astype(np.int64)]
        low = np.flatnonzero(self._cumulative[drawn] <= number)
        while len(low):
            drawn[low] += 1
            low = low[self._cumulative[drawn[low]] <= number[low]]
        return drawn

    def stream(self, count: int, rng: np.random.Generator) -> Iterator[Ids]:
        """Endless draws of (count,) item ids, made many at a time."""
        draws = max(1, _BUFFER // max(count, 1))
        while True:
            yield from self.draw(draws * count, rng).reshape(draws, count)

    def log_expected_count(self, count: int) -> Floats:
        """(I + 1,) logarithm of how often each item is expected among `count` draws; 0 for item 0."""
        expected = count * self._probability
        return np.log(expected, out=np.zeros_like(expected), where=expected > 0)
