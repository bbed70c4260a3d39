"""Pairs of items that co-occur in the set of items of a user, whatever their order and distance in time.

    items of a user   a b c d     b is left out of this pass     partners   a: d    c: a    d: d (itself: no pair)

Each pass draws one partner for each item of a set, from the whole set. A user with n items thus yields n - 1 pairs on
average: the weight of each of the n (n - 1) ordered pairs when a set's pairs are summed and divided by n, as in
Item2Vec. Pairs are drawn one batch at a time; the list of all pairs, which grows with n^2, is never built.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.data.log import Ids, Log, distinct


class CooccurrencePairs:
    """Draws pairs of items from the sets of distinct items of the users.

    Args:
        log: the log; the order of its events is ignored.
        rho: subsampling threshold. In each pass an item with a share f of all events is left out with probability
            1 - sqrt(rho / f). With 1 or more, no item is left out.
    """

    def __init__(self, log: Log, rho: float = 1.0) -> None:
        user, item = log.events()
        num_ids = log.num_items + 1
        keys = distinct(user * num_ids + item)
        self.user, self.item = keys // num_ids, keys % num_ids
        counts = log.counts()
        share = np.maximum(counts, 1) / max(counts.sum(), 1)
        self.keep_probability = np.minimum(1.0, np.sqrt(rho / share))  # (I + 1,)

    def pairs(self, passes: int, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
        """Batches of (item, partner), about `batch_size` pairs each, in random order within each of the passes."""
        for _ in range(passes):
            keep = rng.random(len(self.item)) < self.keep_probability[self.item]
            user, item = self.user[keep], self.item[keep]
            size = np.bincount(user)
            start = np.cumsum(size) - size
            order = rng.permutation(len(item))
            for begin in range(0, len(order), batch_size):
                rows = order[begin : begin + batch_size]
                owner = user[rows]
                partner = item[start[owner] + (rng.random(len(rows)) * size[owner]).astype(np.int64)]
                distinct_pair = item[rows] != partner
                if distinct_pair.any():
                    yield item[rows][distinct_pair], partner[distinct_pair]
