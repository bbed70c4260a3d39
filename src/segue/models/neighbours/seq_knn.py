"""Sequential item-KNN: what comes after, and before, the items just seen. Sequential rules are a special case.

Every two events of a user that lie at most `reach` positions apart are a pair, first i, then j:

    i . . j        distance 3

    c_ij = sum over the pairs (i, j) of  n^-length_discount  distance^-distance_decay,     n = events of the user
    sim(i, j) = (c_ij + back c_ji) / ((n_i + shrinkage)^alpha (n_j + shrinkage)^beta),     n_i = events of item i

The last `last` items of the history are asked, newest first (r = 0, 1, ...); a share of their weight does not age:

    score(j) = sum over r of  (floor + (1 - floor) decay^r)  sim(i_r, j)

alpha and beta say how much of the popularity of the item seen and of the item scored is divided out: 1/2 and 1/2 make
a cosine, 1 and 0 the confidence of an association rule, 0 and 0 counts. An item that recurs is a pair with itself, so
repeats are predicted where there are any.

The defaults were chosen on the validation part of Amazon CDs (users' histories of years). The preset `rules` is
sequential rules over a whole session; `sessions` are the same, tuned on the training sessions of YooChoose.
Sources: Deshpande and Karypis, TOIS 2004 (item-KNN normalised by count exponents); Ludewig and Jannach, UMUAI 2018
(sequential rules; distance and recency as weights).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.data.log import Ids, Log, ranges
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.sparse import SparseRows, blocks

Floats = np.ndarray[Any, np.dtype[np.float64]]
RatedEvents = tuple[Ids, Ids, Floats]
PAIRS = 4_000_000  # counted at a time


class SeqKNNConfig(Config):
    """Settings of sequential item-KNN."""

    max_distance: int = Field(
        50, ge=1, description="Largest distance, in positions of a user's sequence, at which two events form a pair."
    )
    distance_decay: float = Field(0.3, description="A pair at distance x counts x^-distance_decay.")
    backward_weight: float = Field(
        0.65, ge=0, description="Weight of the pair (item, earlier item), relative to (item, later item)."
    )
    length_discount: float = Field(0.0, description="A pair of a user with n events counts n^-length_discount.")
    alpha: float = Field(0.6, ge=0, description="Exponent of the popularity of the history's item in the denominator.")
    beta: float = Field(0.4, ge=0, description="Exponent of the popularity of the scored item in the denominator.")
    shrinkage: float = Field(
        5.0, ge=0, description="Added to both popularities, so that chance pairs of rare items count less."
    )
    num_neighbours: int | None = Field(
        2000, ge=1, description="Number of similar items that are kept for each item; none keeps all."
    )
    window: int | None = Field(50, ge=1, description="Number of most recent items that are scored; none takes all.")
    position_decay: float = Field(
        0.8, gt=0, le=1, description="Weight of an item of the history relative to the next newer one."
    )
    min_position_weight: float = Field(
        0.1, ge=0, le=1, description="Weight that an item keeps, however old it is; the rest decays."
    )
    renamed: ClassVar[dict[str, str]] = {
        "reach": "max_distance",
        "back": "backward_weight",
        "neighbours": "num_neighbours",
        "last": "window",
        "decay": "position_decay",
        "floor": "min_position_weight",
    }


class SeqKNN(DirectModel):
    """The similarities as a sparse matrix, one row an item seen."""

    name = "seq-knn"
    Config = SeqKNNConfig
    config: SeqKNNConfig
    presets: ClassVar = {
        "rules": {
            "max_distance": 10,
            "distance_decay": 1.0,
            "backward_weight": 0.3,
            "alpha": 1.0,
            "beta": 0.0,
            "shrinkage": 0.0,
            "position_decay": 0.5,
            "min_position_weight": 0.0,
        },
        "sessions": {
            "max_distance": 10,
            "distance_decay": 1.0,
            "backward_weight": 0.3,
            "alpha": 1.0,
            "beta": 0.1,
            "shrinkage": 10.0,
            "window": 10,
            "position_decay": 0.35,
            "min_position_weight": 0.05,
        },
    }
    space: ClassVar[Space] = {
        "max_distance": LogUniform(5, 100),
        "distance_decay": Uniform(0.0, 1.0),
        "backward_weight": Uniform(0.0, 1.0),
        "alpha": Uniform(0.2, 1.0),
        "beta": Uniform(0.0, 0.7),
        "shrinkage": Uniform(0.0, 20.0),
        "window": Choice(5, 10, 20, 50),
        "position_decay": Uniform(0.5, 0.98),
        "min_position_weight": Uniform(0.0, 0.2),
    }

    def __init__(self, config: SeqKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        self.similarity = SparseRows(sizes.num_items + 1)

    def fit(self, log: Log) -> None:
        parts = [_nearest(pairs, self.config.num_neighbours) for pairs in similarities(log, self.config)]
        item, other, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.similarity.fill(np.bincount(item, minlength=log.num_items + 1), other, similarity)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        history = batch.history if self.window is None else batch.last(self.window)
        line, place = history.nonzero(as_tuple=True)
        age = (history.shape[1] - 1 - place).to(self.similarity.value)
        weight = (
            self.config.min_position_weight + (1 - self.config.min_position_weight) * self.config.position_decay**age
        )
        scores = self.similarity.value.new_zeros(len(batch), self.sizes.num_items + 1)
        self.similarity.add_to(scores, line=line, row=history[line, place], weight=weight)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def similarities(log: Log, config: SeqKNNConfig) -> Iterator[RatedEvents]:
    """(item, other, similarity) of all pairs, each once, ascending; in blocks of items."""
    user, item = log.events()
    event = item.astype(np.int64)
    size = log.lengths[user]
    place = np.arange(len(event)) - (np.cumsum(log.lengths) - log.lengths)[user]
    before = np.minimum(place, config.max_distance if config.backward_weight else 0)
    after = np.minimum(size - 1 - place, config.max_distance)
    count = np.bincount(event, minlength=log.num_items + 1)
    below = [(np.maximum(count, 1) + config.shrinkage) ** -power for power in (config.alpha, config.beta)]
    order = np.argsort(event, kind="stable")
    order = order[(before + after)[order] > 0]
    yield np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    for begin, end in blocks(event[order], np.cumsum((before + after)[order]), PAIRS):
        row = order[begin:end]
        first, last = row - before[row], row + after[row] + 1
        seen, other = np.repeat(row, last - first), ranges(first, last)
        seen, other = seen[seen != other], other[seen != other]
        weight = _weights(config)[other - seen + config.max_distance]
        if config.length_discount:
            weight = weight * size[seen] ** -config.length_discount
        one, two, total = _add_up(event[seen], event[other], weight, log.num_items + 1)
        yield one, two, total * below[0][one] * below[1][two]


def _weights(config: SeqKNNConfig) -> Floats:
    """(2 reach + 1,) what a pair counts whose second event lies -reach, ..., reach positions after the first."""
    distance = np.arange(-config.max_distance, config.max_distance + 1)
    weight = np.maximum(np.abs(distance), 1.0) ** -config.distance_decay
    return np.where(distance > 0, weight, config.backward_weight * weight)


def _add_up(one: Ids, two: Ids, weight: Floats, span: int) -> RatedEvents:
    """The distinct pairs, ascending, and their total weight. `one` is ascending already."""
    lowest = one[0]
    key = (one - lowest) * span + two
    cells = (one[-1] - lowest + 1) * span
    if cells <= 2 * len(key):  # a small catalogue: count in a dense table
        total = np.bincount(key, weight).astype(np.float64, copy=False)
        key = np.flatnonzero(total)
        total = total[key]
    else:
        order = np.argsort(key)
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        key, total = key[first], np.add.reduceat(weight[order], first)
    return key // span + lowest, key % span, total


def _nearest(pairs: RatedEvents, neighbours: int | None) -> RatedEvents:
    """The pairs of each item that are among its most similar; of equals, the lower id."""
    item, other, similarity = pairs
    size = np.bincount(item)
    if neighbours is None or size.max(initial=0) <= neighbours:
        return pairs
    crowd = np.flatnonzero(size[item] > neighbours)
    crowd = crowd[np.lexsort((-similarity[crowd], item[crowd]))]
    _, first = np.unique(item[crowd], return_index=True)
    place = np.arange(len(crowd)) - np.repeat(first, size[item[crowd[first]]])
    keep = np.ones(len(item), np.bool_)
    keep[crowd[place >= neighbours]] = False
    return item[keep], other[keep], similarity[keep]
