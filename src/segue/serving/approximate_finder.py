"""`ApproximateFinder`: a `TopItemFinder` that searches an index of the item vectors where it is good enough.

    the index finds the first 50 items of a ranking ──► without hidden and seen items ──► k are left: the answer
        └ fewer are left: the first 250, and then all items, as `TopItemFinder` does

How much of the index is searched is measured on users of the log when the model is loaded; see `index_levels`. A filter
is not a part of the search: it takes items out of places for which the recall was measured. So the recall also holds
for a filter on a category far from the taste of a user. There too few items are left, and all items are scored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.data.log import Ids, Log, Mask
from segue.models.base.model import Model
from segue.nn.topk import topk
from segue.serving.index_levels import DEPTHS, IndexFigures, Level, measure_levels, median_milliseconds
from segue.serving.item_index import MIN_ITEMS, SEED, ItemIndex, Vectors
from segue.serving.query import Query, user_query
from segue.serving.top_items import TopItemFinder, TopItems

SAMPLE = 300  # users whose rankings are compared
TIMED = 9  # of them, whose exact answers are timed

Found = tuple[Vectors, Ids]  # scores and ids of items, best first


class ApproximateFinder(TopItemFinder):
    """Finds the best items with an index; see `can_index`.

    Attributes:
        index: of the item vectors.
        figures: what was measured.
    """

    def __init__(self, model: Model, log: Log, *, k: int) -> None:
        """Build the index and measure it; the arguments are those of `TopItemFinder`.

        Raises:
            ConfigError: the extra `ann` is missing.
            DataError: k is below 1.
        """
        super().__init__(model, log, k=k)
        begin = time.perf_counter()
        with torch.inference_mode():
            self.index = ItemIndex(_array(self._buffer.vectors))
            queries = _some_queries(log)
            milliseconds, levels = self._measured(queries) if queries else (0.0, ())
        seconds = time.perf_counter() - begin
        self.figures = IndexFigures(self._width, self.index.num_lists, len(queries), seconds, milliseconds, levels)

    def find(self, queries: Sequence[Query], k: int | None = None) -> TopItems:
        return self.find_nearest(queries, self.query_vectors(queries), k)

    def find_nearest(self, queries: Sequence[Query], vectors: Float[Tensor, "B d"], k: int | None = None) -> TopItems:
        k = self.k if k is None else min(k, self._width)
        with torch.inference_mode():
            found = [self._find_one(query, vector, k) for query, vector in zip(queries, _array(vectors), strict=True)]
        rest = [row for row, one in enumerate(found) if one is None]
        if len(rest) == len(queries):
            return super().find_nearest(queries, vectors, k)
        fallback: list[str | None] = [None] * len(queries)
        items, scores = np.zeros((len(queries), k), np.int64), np.zeros((len(queries), k))
        if rest:
            exact = super().find_nearest([queries[row] for row in rest], vectors[rest], k)
            items[rest], scores[rest] = exact.items.numpy(), exact.scores.numpy()
            for row, reason in zip(rest, exact.fallback, strict=True):
                fallback[row] = reason
        for row, one in enumerate(found):
            if one is not None:
                scores[row], items[row] = one
        return TopItems(torch.from_numpy(items), torch.from_numpy(scores), fallback)

    def _find_one(self, query: Query, vector: Float[Vectors, "d"], k: int) -> Found | None:
        """The best items; None if all items must be scored for them, or for the reason why there are none."""
        boosted = query.rules is not None and query.rules.boosts is not None
        cold = self.model.window != 0 and query.empty_reason is not None
        if boosted or cold or not np.isfinite(vector).all():
            return None
        levels = self.figures.levels
        for place, level in enumerate(levels):
            if level.depth < k:
                continue
            scores, ids = self.index.find(vector, level.effort, level.depth)
            left = self._allowed(query, ids)
            allowed = np.count_nonzero(left)
            # what ties with the last place may go on behind it, where a lower id would come first
            if allowed >= k and scores[left][k - 1] > scores[-1]:
                return scores[left][:k], ids[left][:k]
            deeper = levels[place + 1 : place + 2]
            if deeper and allowed * deeper[0].depth < k * level.depth:
                return None
        return None

    def _allowed(self, query: Query, ids: Ids) -> Mask:
        """Whether each item may be recommended."""
        allowed = ~np.isin(ids, query.excluded(self.exclude_seen))
        if query.rules is not None and query.rules.hidden is not None:
            allowed &= ~query.rules.hidden.numpy()[ids]
        return allowed

    def _measured(self, queries: Sequence[Query]) -> tuple[float, tuple[Level, ...]]:
        """The milliseconds of an exact answer, and the levels of the index."""
        depth, rows = min(max(DEPTHS), self._width), self.block_rows
        blocks = [self.query_vectors(queries[first : first + rows]) for first in range(0, len(queries), rows)]
        ranking = torch.cat([topk(self._buffer.score_queries(block), depth)[1] for block in blocks])
        vectors, exact = torch.cat(blocks), super().find_nearest
        milliseconds = median_milliseconds(
            lambda row: exact([queries[row]], vectors[row : row + 1]), range(min(TIMED, len(queries)))
        )
        return milliseconds, measure_levels(self.index, _array(vectors), ranking.numpy(), milliseconds)


def make_finder(model: Model, log: Log, *, approximate: bool = False) -> TopItemFinder:
    """A finder of ten items.

    Args:
        model: a model trained on the vocabularies of `log`.
        log: names and histories.
        approximate: whether an index is built if the scores are dot products and there are at least `MIN_ITEMS`.

    Raises:
        ConfigError: the extra `ann` is missing.
    """
    k = min(10, max(1, log.num_items))
    exact = TopItemFinder(model, log, k=k)
    return ApproximateFinder(model, log, k=k) if approximate and can_index(exact) else exact


def can_index(finder: TopItemFinder) -> bool:
    """Whether an index of the items of a finder can be built: scores are dot products, and there are enough items."""
    return finder.takes_query_vectors and finder.num_items >= MIN_ITEMS


def _array(vectors: Tensor) -> Vectors:
    return vectors.detach().float().cpu().numpy()


def _some_queries(log: Log) -> list[Query]:
    """Users of a log with their histories, chosen at random."""
    users = np.flatnonzero(log.lengths)
    if len(users) > SAMPLE:
        users = np.random.default_rng(SEED).choice(users, SAMPLE, replace=False)
    return [user_query(log, int(user)) for user in users]
