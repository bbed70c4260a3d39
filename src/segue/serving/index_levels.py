"""`measure_levels`: how much of an index must be searched, measured on query vectors of users.

For each of a few depths, as little is searched as finds 98% of the first items of the exact ranking, and surely so: the
lower end of the interval over users counts, because the index may miss the whole cluster of a user. A depth for which
that takes as long as the scores of all items is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

import numpy as np
from jaxtyping import Float

from segue.data.log import Ids
from segue.serving.item_index import Effort, ItemIndex, Vectors

DEPTHS = (50, 250)
SHORTLIST = 8  # times the depth: codes of 4 bits put some items into a wrong order
MIN_RECALL = 0.98


@dataclass(frozen=True)
class Level:
    """A search of an index that is good enough.

    Attributes:
        depth: how many places of the exact ranking it is trusted for.
        effort: how much of the index is searched.
        recall: mean share of the first `depth` items that it finds.
        surely: lower end of the 95% interval of the mean over users.
        milliseconds: median time of a query.
    """

    depth: int
    effort: Effort
    recall: float
    surely: float
    milliseconds: float


@dataclass(frozen=True)
class IndexFigures:
    """What was measured of an index.

    Attributes:
        items: number of items.
        lists: number of clusters of the index.
        users: number of users whose rankings were compared.
        seconds: time to build and to measure it.
        exact_milliseconds: median time of a query that scores all items.
        levels: what the index is used for, by ascending depth; none if that is not worth it.
    """

    items: int
    lists: int
    users: int
    seconds: float
    exact_milliseconds: float
    levels: tuple[Level, ...]

    def sentence(self) -> str:
        """The figures in words."""
        used = [
            f"recall@{one.depth} {one.recall:.3f} in {one.milliseconds:.2f} ms ({one.effort.lists:,} lists)"
            for one in self.levels
        ]
        return (
            f"index of {self.items:,} items in {self.lists:,} lists, built and measured on {self.users:,} users in "
            f"{self.seconds:.1f} s: {', '.join(used) or f'not used: no faster with recall {MIN_RECALL}'}; all items "
            f"take {self.exact_milliseconds:.2f} ms"
        )


def measure_levels(index: ItemIndex, queries: Float[Vectors, "n d"], exact: Ids, limit: float) -> tuple[Level, ...]:
    """The levels of an index.

    Args:
        index: the index.
        queries: vectors of users.
        exact: (n, D) the first items of their exact rankings.
        limit: milliseconds that the scores of all items take.
    """
    levels = []
    for depth in (depth for depth in DEPTHS if depth <= exact.shape[1]):
        lists = 1
        while lists < 2 * index.num_lists:
            level = _measure(index, queries, exact[:, :depth], Effort(min(lists, index.num_lists), SHORTLIST * depth))
            if level.surely >= MIN_RECALL or level.milliseconds >= limit:
                break
            lists *= 2
        if level.surely >= MIN_RECALL and level.milliseconds < limit:
            levels.append(level)
    return tuple(levels)


def median_milliseconds(ask: Callable[[int], object], rows: Sequence[int]) -> float:
    """The median time of a question."""
    times = []
    for row in rows:
        begin = time.perf_counter()
        ask(row)
        times.append(time.perf_counter() - begin)
    return 1e3 * median(times)


def _measure(index: ItemIndex, queries: Float[Vectors, "n d"], exact: Ids, effort: Effort) -> Level:
    depth, recalls = exact.shape[1], []

    def ask(row: int) -> None:
        _, ids = index.find(queries[row], effort, depth)
        recalls.append(len(np.intersect1d(ids, exact[row], assume_unique=True)) / depth)

    milliseconds = median_milliseconds(ask, range(len(queries)))
    mean = float(np.mean(recalls))
    return Level(depth, effort, mean, mean - 1.96 * float(np.std(recalls)) / sqrt(len(recalls)), milliseconds)
