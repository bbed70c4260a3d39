"""`TopItems`: the best items of a block of queries, from one top-k with the lower id first among equal scores.

    query ──► scores of the model ──► without seen items, within the filter ──► top k
                                          └ all equal, or nothing to score: numbers of events in their place

The scores are those of evaluation (`ScoreBuffer`), and so is the order. A model without an input that it can use would
give a list in the order of ids with one common score. Popularity is used instead, and the answer says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.log import Floats, Log
from segue.errors import DataError
from segue.models.base.model import Model
from segue.models.base.score_buffer import ScoreBuffer, check_no_nan, evaluation_mode
from segue.nn.topk import topk
from segue.serving.item_filter import ItemFilter
from segue.serving.query import Query, make_batch
from segue.serving.score_rules import boost, hide

EQUAL_SCORES = "the model gives all items the same score"


@dataclass(frozen=True, eq=False)
class TopItems:
    """The best items of B queries.

    Attributes:
        items: (B, K) item ids, best first; 0 where fewer items are left.
        scores: (B, K) their scores: those of the model, or numbers of events in a row with a fallback.
        fallback: for each row, why popularity answered; None where the model did.
    """

    items: Int[Tensor, "B K"]
    scores: Float[Tensor, "B K"]
    fallback: list[str | None]


class TopItemFinder:
    """Finds the best items for one block of queries after the other; item vectors are computed once."""

    def __init__(
        self, model: Model, log: Log, *, k: int, exclude_seen: bool | None = None, items: ItemFilter | None = None
    ) -> None:
        """Prepare for a model, a log and a number of items.

        Args:
            model: a model trained on the vocabularies of `log`.
            log: its events are the popularity of the items.
            k: number of items; more than there are gives all.
            exclude_seen: whether items of the history are left out; None for the rule of the model.
            items: the items that may be recommended; None for all.

        Raises:
            DataError: k is below 1.
        """
        if k < 1:
            raise DataError(f"k={k}: must be at least 1")
        self.model, self._width = model, log.num_items
        self.k = min(k, self._width)
        self.exclude_seen = leaves_out_seen(model) if exclude_seen is None else exclude_seen
        with evaluation_mode(model), torch.inference_mode():
            self._buffer = ScoreBuffer(model, log.num_items + 1)
        self._excluded = None if items is None else torch.from_numpy(np.flatnonzero(~items.mask))
        self._log = log

    @cached_property
    def _counts(self) -> Floats:
        """(stride,) the events of each item, counted when an answer needs them: that takes longer than the answer."""
        counts = np.full(self._buffer.stride, -np.inf)
        counts[1 : self._width + 1] = self._log.counts()[1:]
        return counts

    @property
    def block_rows(self) -> int:
        """The number of queries in a block, which keeps both the scores and the lists small."""
        return max(1, min(self._buffer.block_rows, 2_000_000 // self.k))

    def find(self, queries: Sequence[Query], k: int | None = None) -> TopItems:
        """The best items for each query.

        Args:
            queries: at most `block_rows`.
            k: number of items; None for that of the finder.

        Raises:
            TrainingError: a score is NaN.
        """
        with evaluation_mode(self.model), torch.inference_mode():
            return self.best(queries, self._buffer.score_batch(self._batch(queries)), k)

    def query_vectors(self, queries: Sequence[Query]) -> Float[Tensor, "B d"]:
        """The query vectors of a model for which the finder `takes_query_vectors`."""
        assert self._buffer.dot_product_model is not None
        with evaluation_mode(self.model), torch.inference_mode():
            return self._buffer.dot_product_model.query(self._batch(queries))

    @property
    def num_items(self) -> int:
        """I, the number of items."""
        return self._width

    @property
    def takes_query_vectors(self) -> bool:
        """Whether `find_nearest` can be used: the scores are dot products of a query vector and item vectors."""
        return self._buffer.dot_product_model is not None

    def find_nearest(self, queries: Sequence[Query], vectors: Float[Tensor, "B d"], k: int | None = None) -> TopItems:
        """As `find`, from the query vectors that the model has for the queries."""
        with torch.inference_mode():
            return self.best(queries, self._buffer.score_queries(vectors), k)

    def best(self, queries: Sequence[Query], scores: Float[Tensor, "B I"], k: int | None = None) -> TopItems:
        """As `find`, from scores of items 0..I that were computed already.

        The scores of items that may not be recommended become -inf in place: pass a copy to keep them.
        """
        rest = rest_score(self.model, scores)
        missing = self._buffer.stride - scores.shape[1]
        if missing:
            scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
        k = self.k if k is None else min(k, self._width)
        values, ids = self._best(scores, queries, k, rest)
        check_no_nan(self.model, values)
        reads_history = self.model.window != 0
        fallback = [query.empty_reason if reads_history else None for query in queries]
        for row in ((values == values[:, :1]) | (values == -torch.inf)).all(1).nonzero()[:, 0].tolist():
            if fallback[row] is None and all_equal(scores[row]):
                fallback[row] = queries[row].empty_reason or EQUAL_SCORES
        if rest is not None:
            values = values.masked_fill(values == rest, -torch.inf)
        rows = [row for row, reason in enumerate(fallback) if reason is not None]
        values = values.double().cpu()
        ids = torch.where(values == -torch.inf, 0, ids.cpu())
        if rows:
            counts = torch.from_numpy(self._counts).repeat(len(rows), 1)
            values[rows], popular = self._best(counts, [queries[row] for row in rows], k)
            ids[rows] = torch.where(values[rows] == -torch.inf, 0, popular)
        return TopItems(ids, values, fallback)

    def _batch(self, queries: Sequence[Query]) -> Batch:
        """Users and histories, padded with 0 on the left."""
        longest = max(1, *(len(query.items) for query in queries))
        return make_batch(self.model, self._log, queries, longest if self.model.window is None else self.model.window)

    def _best(
        self, scores: Tensor, queries: Sequence[Query], k: int, rest: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The k best columns; the scores of items that may not be recommended become -inf in place."""
        rules = [query.rules for query in queries]
        hide(scores, rules)
        excluded = [query.excluded(self.exclude_seen) for query in queries]
        if self._excluded is not None:
            scores.index_fill_(1, self._excluded.to(scores.device), -torch.inf)
        row = np.repeat(np.arange(len(excluded)), [len(items) for items in excluded])
        column = np.concatenate(excluded) if excluded else row
        scores[torch.from_numpy(row).to(scores.device), torch.from_numpy(column).to(scores.device)] = -torch.inf
        boost(scores, rules, rest)
        return topk(scores, k)


def leaves_out_seen(model: Model) -> bool:
    """Whether items of the history are left out by default: as in the model's evaluation, and if it is unknown, yes."""
    return model.exclude_seen is not False


def rest_score(model: Model, scores: Float[Tensor, "B I"]) -> Float[Tensor, "B 1"] | None:
    """The score that the items share which the model does not rank: the lowest one, or NaN where it ranks all items.

    Returns:
        None for a model that ranks all items of every query.
    """
    if model.num_candidates is None or model.num_candidates >= model.sizes.num_items:
        return None
    lowest = scores.masked_fill(scores == -torch.inf, torch.inf).amin(1, keepdim=True)
    return lowest.masked_fill((scores == lowest).sum(1, keepdim=True) == 1, torch.nan)


def all_equal(scores: Float[Tensor, "I"]) -> bool:
    """Whether at least two items have a score and all scores are equal."""
    candidates = scores[scores > -torch.inf]
    return len(candidates) > 1 and bool((candidates == candidates[0]).all())
