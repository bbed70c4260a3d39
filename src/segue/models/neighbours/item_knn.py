"""Item-KNN: items that occur together with the last items of the history.

    score(j) = sum over the last `window` items i of the history, newest first (r = 0, 1, ...), of
               position_decay^r  sim(i, j)

With c_ij the users (sessions) that have both items, n_i those that have i, s_i the events of i, and e_ij the events of
i in sessions that have j, the three definitions of `similarity` are

    cosine   c_ij / (sqrt(n_i n_j) + shrinkage)               cosine of two items' columns of the user-item matrix
    gru4rec  e_ij / ((s_i + shrinkage)^alpha (s_j + shrinkage)^(1 - alpha))
             the baseline of the GRU4Rec program (alpha .5, shrinkage 20); repeated items make it asymmetric
    lift     c_ij / (n_i n_j + shrinkage)                     Criteo's study of RNNs (2018); without shrinkage, rare
             pairs dominate: one joint occurrence of two items seen once has similarity 1

Where only some events are targets, j is what is predicted: a user has j if an event with it may be a target, and s_j
counts these events. With weights, a user counts the largest weight of these events.

sim(i, i) = 0, and each item keeps its `num_neighbours` most similar items. The papers on sessions use the last item
only (window=1), with the cosine without shrinkage.
Sources: Sarwar et al., WWW 2001; Hidasi et al., ICLR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import heaviest, item_weights
from segue.data.log import Codes, Floats, Ids, Log, distinct
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.item_pairs import MAX_PAIRS, group_blocks, nearest_entries
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import Choice, Space, Uniform
from segue.nn.buffers import require_ids
from segue.nn.compiled.loops import neighbours, row_sums
from segue.nn.sparse import Entries


class ItemKNNConfig(EventWeightsConfig):
    """Settings of Item-KNN."""

    similarity: Literal["cosine", "gru4rec", "lift"] = Field(
        "cosine", description="Definition of the similarity of two items; see the formulas of the model."
    )
    shrinkage: float = Field(
        5.0, ge=0, description="Added to the denominator, so that chance pairs of rare items count less."
    )
    alpha: float = Field(
        0.5, ge=0, le=1, description="Exponent of the support of the history's item; similarity=gru4rec only."
    )
    num_neighbours: int | None = Field(
        100, ge=1, description="Number of similar items that are kept for each item; none keeps all."
    )
    window: int | None = Field(20, ge=1, description="Number of most recent items that are scored; none takes all.")
    position_decay: float = Field(
        0.9, gt=0, le=1, description="Weight of an item of the history relative to the next newer one."
    )
    renamed: ClassVar[dict[str, str]] = {
        "neighbours": "num_neighbours",
        "last": "window",
        "decay": "position_decay",
    }


class ItemKNN(DirectModel):
    """Recommends items that are similar to the last items of the history."""

    name = "item-knn"
    depends_on_seed = False
    Config = ItemKNNConfig
    config: ItemKNNConfig
    presets: ClassVar = {
        "gru4rec": {"similarity": "gru4rec", "shrinkage": 20.0, "window": 1},
        "criteo": {"similarity": "lift", "shrinkage": 0.0, "window": 1},
        "cosine": {"similarity": "cosine", "shrinkage": 0.0, "window": 1},
    }
    space: ClassVar[Space] = {
        "similarity": Choice("cosine", "gru4rec"),
        "shrinkage": Uniform(0.0, 50.0),
        "num_neighbours": Choice(50, 100, 200, 500),
        "window": Choice(1, 5, 20, 50),
        "position_decay": Uniform(0.5, 1.0),
    }
    item_similarity = "that of the neighbour table, as the setting similarity defines it"
    skips_padding = "anywhere"
    additive = "sum"
    neighbour: Tensor
    similarity: Tensor

    def __init__(self, config: ItemKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        width = min(config.num_neighbours or sizes.num_items, sizes.num_items)
        self.register_buffer("neighbour", torch.zeros(sizes.num_items + 1, width, dtype=torch.int32))
        self.register_buffer("similarity", torch.zeros(sizes.num_items + 1, width))

    def fit(self, log: Log) -> None:
        self.neighbour.zero_()
        self.similarity.zero_()
        for items, neighbour, similarity in _nearest(_Pairs.of(log, self.config), self.neighbour.shape[1]):
            self.neighbour[items] = torch.from_numpy(neighbour)
            self.similarity[items] = torch.from_numpy(similarity).to(self.similarity)

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded neighbours are no items."""
        require_ids(self.neighbour, self.sizes.num_items, "neighbours")

    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        similarities = self.similarity.new_full((len(items), self.sizes.num_items + 1), -torch.inf)
        similarities.scatter_(1, self.neighbour[items].long(), self.similarity[items])
        similarities[:, 0] = -torch.inf  # what fills up the rows of items with few neighbours
        return similarities

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
        weight = self.config.position_decay ** age.to(self.similarity)
        scores = self._sums(history, weight.expand(history.shape))
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    def _sums(self, history: Int[Tensor, "B L"], weights: Float[Tensor, "B L"]) -> Float[Tensor, "B I"]:
        """The weighted similarities to the items of each history, summed by item, the oldest item first."""
        num_ids, width = self.neighbour.shape
        compiled = row_sums.for_work(history.numel() * width)
        if compiled is not None:
            start = torch.arange(0, num_ids * width + 1, width)
            start[0] = width  # the row of padding has no entries
            matrix = start, self.neighbour.view(-1), self.similarity.view(-1)
            return compiled(history, weights, matrix, num_ids)
        sums = self.similarity.new_zeros(len(history), num_ids)
        for item, weight in zip(history.unbind(1), weights.unbind(1), strict=True):
            sums.scatter_add_(1, self.neighbour[item].long(), self.similarity[item] * weight.unsqueeze(1))
        return sums


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of items that occur together, and what their similarity is made of.

    The product `items @ users` counts the pairs. With a count c, items i and j have the similarity c / (d + shrinkage),
    where d is `factors[0][i] factors[1][j]`, or the square root of that.

    Attributes:
        users: (U + 1, I + 1) the weight of each item that a user has as a target, 1 without weights.
        items: (I + 1, U + 1) a 1 for each user that has an item; with similarity=gru4rec, the number of its events.
        factors: two of (I + 1,).
        root: whether d is a square root.
        shrinkage: added to d.
    """

    users: sp.csr_array
    items: sp.csr_array
    factors: tuple[Floats, Floats]
    root: bool
    shrinkage: float

    @classmethod
    def of(cls, log: Log, config: ItemKNNConfig) -> _Pairs:
        user, item = log.events()
        span = log.num_items + 1
        keys, weights = user * span + item, config.target_weights(log)
        users = _matrix(*heaviest(keys, log.column(weights)), (log.num_users + 1, span))
        if config.similarity == "gru4rec":  # all events on the left side of a pair
            items = sp.csr_array((np.ones(len(item), np.int32), (item, user)), shape=users.shape[::-1])
        else:
            every = distinct(keys)
            items = _matrix(every, np.ones(len(every)), users.shape).T.tocsr()
        count = items.sum(axis=1).astype(np.float64)
        if config.similarity != "gru4rec":
            factors = count, users.sum(axis=0).astype(np.float64)
            return cls(users, items, factors, config.similarity == "cosine", config.shrinkage)
        counts, powers = (count, item_weights(log, weights)), (config.alpha, 1 - config.alpha)
        one, two = ((n + config.shrinkage) ** power for n, power in zip(counts, powers, strict=True))
        return cls(users, items, (one, two), root=False, shrinkage=0.0)

    def most(self) -> Ids:
        """(I + 1,) an upper bound of the number of pairs of each item."""
        return np.minimum(self.items @ np.diff(self.users.indptr), self.users.shape[1])

    def similar(self, items: slice) -> Entries:
        """Item, other item and similarity of all pairs of some items, ascending by item."""
        counts = (self.items[items] @ self.users).tocoo()
        different = counts.row + items.start != counts.col
        one, two = counts.row[different] + items.start, counts.col[different]
        norm = self.factors[0][one] * self.factors[1][two]
        return one, two, counts.data[different] / ((np.sqrt(norm) if self.root else norm) + self.shrinkage)


def _matrix(keys: Ids, values: Floats, shape: tuple[int, int]) -> sp.csr_array:
    """A matrix with entries at the keys (row * columns + column), ascending; of whole numbers if all of them are 1."""
    start = np.append(0, np.cumsum(np.bincount(keys // shape[1], minlength=shape[0])))
    values = values.astype(np.int32) if (values == 1).all() else values
    return sp.csr_array((values, (keys % shape[1]).astype(np.int32), start), shape=shape)


def _nearest(pairs: _Pairs, k: int) -> Iterator[tuple[slice, Codes, Floats]]:
    """A block of items, (n, k) their most similar items and (n, k) the similarities, the most similar first.

    Of equals, the lower id comes first; 0 fills up the rows of items with fewer.
    """
    most = pairs.most()
    has_weights = pairs.users.dtype.kind == "f"  # which the compiled loop does not have
    find = None if has_weights else neighbours.for_work(int(most.sum()))
    matrices = [
        (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
        for matrix in (pairs.items, pairs.users)
    ]
    work = np.cumsum(np.maximum(most, k))
    for [items] in group_blocks(np.arange(len(most)), work, MAX_PAIRS):  # an item is a group of one, and is never cut
        neighbour = np.zeros((items.stop - items.start, k), np.int32)
        similarity = np.zeros(neighbour.shape)
        if find is None:
            one, two, value = nearest_entries(pairs.similar(items), k)
            order = np.lexsort((two, -value, one))
            rank = np.arange(len(one)) - np.searchsorted(one, one)
            cell = one - items.start, rank
            neighbour[cell], similarity[cell] = two[order], value[order]
        else:
            bounds = items.start, items.stop
            find(bounds, *matrices, pairs.factors, pairs.root, pairs.shrinkage, neighbour, similarity)
        yield items, neighbour, similarity
