"""`Sets`: pairs of items that a user has both had, whatever lay between them and whichever came first.

    set of a user   a b c d        left out of this pass: b        partners   a: d    c: a    d: d, itself: no pair

Each pass draws a partner for each item of a set, from the whole of it. So a user with n items makes n - 1 pairs on
average: what each of the n (n - 1) ordered pairs counts where a set's pairs are summed and divided by n, as Item2Vec
has it. They are drawn a batch at a time; the list of all pairs, which grows with n^2, is never made.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.data.log import Ids, Log, distinct


class Sets:
    """The distinct items of each user of a log.

    Args:
        log: whose order is not read.
        rho: an item with a share f of all events is left out of a pass with the chance 1 - sqrt(rho / f); from 1 on no
            item is.
    """

    def __init__(self, log: Log, rho: float = 1.0) -> None:
        user, item = log.events()
        span = log.num_items + 1
        held = distinct(user * span + item)
        self.owner, self.item = held // span, held % span
        counts = log.counts()
        share = np.maximum(counts, 1) / max(counts.sum(), 1)
        self.kept = np.minimum(1.0, np.sqrt(rho / share))  # (I + 1,) chance to stay in a pass

    def pairs(self, passes: int, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
        """(item, partner) of some `passes`, in random order, about `batch_size` pairs at a time."""
        for _ in range(passes):
            stays = rng.random(len(self.item)) < self.kept[self.item]
            owner, item = self.owner[stays], self.item[stays]
            size = np.bincount(owner)
            start = np.cumsum(size) - size
            order = rng.permutation(len(item))
            for begin in range(0, len(order), batch_size):
                some = order[begin : begin + batch_size]
                whose = owner[some]
                partner = item[start[whose] + (rng.random(len(some)) * size[whose]).astype(np.int64)]
                apart = item[some] != partner
                if apart.any():
                    yield item[some][apart], partner[apart]
