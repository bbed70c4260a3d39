"""Sequential item-KNN: items that follow, or precede, the items of the history. Sequential rules are a special case.

Every two events of a user that lie at most `max_distance` positions apart form a pair, first i, then j:

    i . . j        distance 3

    c_ij = sum over the pairs (i, j) of  n^-length_discount  distance^-distance_decay,     n = events of the user
    sim(i, j) = (c_ij + backward_weight c_ji) / ((n_i + shrinkage)^alpha (n_j + shrinkage)^beta),     n_i = events of i

Where only some events are targets, the event with the scored item j is one of them in every pair, and so are the n_j
that are counted; with weights, each pair and n_j count so much.

The score of an item sums its similarities to the last `window` items of the history, the newest first (r = 0, 1, ...).
With m = min_position_weight, the part of the weight of an item that does not decay with its age:

    score(j) = sum over r of  (m + (1 - m) position_decay^r)  sim(i_r, j)

alpha and beta are the exponents of the popularity of the history's item and of the scored item: 1/2 and 1/2 make a
cosine, 1 and 0 the confidence of an association rule, 0 and 0 counts. An item that recurs forms a pair with itself, so
repeated items are predicted where there are any.

The defaults were tuned on the validation part of Amazon CDs (histories over years). The preset `rules` is sequential
rules over a whole session; `sessions` is the same, tuned on the training sessions of YooChoose.
Sources: Deshpande and Karypis, TOIS 2004 (item-KNN normalised by powers of counts); Ludewig and Jannach, UMUAI 2018
(sequential rules; distance and recency as weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import item_weights
from segue.data.log import Codes, Floats, Ids, Log, ranges
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.item_pairs import MAX_PAIRS, group_blocks, nearest_entries
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.compiled.loops import pair_counts
from segue.nn.sparse import Entries, SparseMatrix


class SeqKNNConfig(EventWeightsConfig):
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
    """Recommends items that tend to follow the last items of the history."""

    name = "seq-knn"
    depends_on_seed = False
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
    item_similarity = "how strongly an item follows, or precedes, the given one"
    skips_padding = "anywhere"
    additive = "sum"

    def __init__(self, config: SeqKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        self.similarity = SparseMatrix((sizes.num_items + 1, sizes.num_items + 1))

    def fit(self, log: Log) -> None:
        pairs = _similar_pairs(log, self.config)
        self.similarity.set_rows(nearest_entries(block, self.config.num_neighbours) for block in pairs)

    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        row, column, value = self.similarity.entries(items)
        similarities = value.new_full((len(items), self.sizes.num_items + 1), -torch.inf)
        similarities[row, column.long()] = value
        return similarities

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        config = self.config
        history = batch.history if self.window is None else batch.last_items(self.window)  # (B, L)
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device).to(self.similarity.values)
        weight = config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age  # (L,)
        scores = self.similarity.weighted_row_sums(history, weight.expand(history.shape))  # (B, I + 1)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def _similar_pairs(log: Log, config: SeqKNNConfig) -> Iterator[Entries]:
    """Item, other item and similarity of all pairs of items, each pair once, in ascending order, in blocks of items."""
    events = _Events.of(log, config)
    popularities = (log.counts(), config.alpha), (item_weights(log, config.target_weights(log)), config.beta)
    norm = [(np.maximum(count, 1) + config.shrinkage) ** -power for count, power in popularities]
    width = events.before + events.after
    order = np.argsort(events.item, kind="stable")
    order = order[width[order] > 0]
    count_pairs = pair_counts.for_work(int(width.sum()))
    for parts in group_blocks(events.item[order], np.cumsum(width[order]), MAX_PAIRS):
        if count_pairs is not None:
            event = order[parts[0].start : parts[-1].stop]
            one, two, counts = _compiled_counts(events, event, log.num_items + 1, count_pairs)
        elif len(parts) == 1:
            one, two, counts = _counts(events, order[parts[0]], log.num_items + 1)
        else:
            one, two, counts = _counts_of_item(events, [order[part] for part in parts], log.num_items + 1)
        counts *= norm[0][one]
        counts *= norm[1][two]
        yield one, two, counts


@dataclass(frozen=True, eq=False)
class _Events:
    """The events of a log, each with the events around it that it forms pairs with.

    Attributes:
        item: (R,) the item of each event.
        before: (R,) the number of earlier events that it forms pairs with.
        after: (R,) the number of later ones.
        scale: (R,) the factor of the weights of its pairs; None if it is 1.
        target: (R,) the weight of an event as the second of a pair; None if all have 1.
        weights: (2 max_distance + 1,) the weight of a pair whose second event lies -max_distance, ..., max_distance
            positions on.
    """

    item: Codes
    before: Ids
    after: Ids
    scale: Floats | None
    target: Floats | None
    weights: Floats

    @classmethod
    def of(cls, log: Log, config: SeqKNNConfig) -> _Events:
        user, item = log.events()
        length = log.lengths[user]
        position = np.arange(len(item)) - (np.cumsum(log.lengths) - log.lengths)[user]
        max_distance = min(config.max_distance, int(log.lengths.max()))  # no two events are farther apart
        before = np.minimum(position, max_distance if config.backward_weight else 0)
        after = np.minimum(length - 1 - position, max_distance)
        scale = length.astype(np.float64) ** -config.length_discount if config.length_discount else None
        target = log.column(config.target_weights(log))
        all_alike = bool((target == 1).all())
        weights = _weights(config, max_distance)
        return cls(item.astype(np.int32), before, after, scale, None if all_alike else target, weights)

    def pairs(self, event: Ids) -> tuple[Ids, Codes, Floats]:
        """Number of pairs of each event; the other item and the weight of each pair, event by event."""
        width = self.before[event] + self.after[event]
        other = ranges(event - self.before[event], event + self.after[event] + 1)
        distance = other - np.repeat(event, width + 1)
        other, distance = other[distance != 0], distance[distance != 0]
        weight = self.weights[distance + len(self.weights) // 2]
        if self.scale is not None:
            weight = weight * np.repeat(self.scale[event], width)
        if self.target is not None:
            weight = weight * self.target[other]
        return width, self.item[other], weight


def _compiled_counts(events: _Events, event: Ids, num_ids: int, count_pairs: Callable[..., int]) -> Entries:
    """The weighted counts of the pairs of some events, which are sorted by item, by the compiled loop."""
    pairs = (events.before[event] + events.after[event]).sum()
    most = int(min(pairs, num_ids * (1 + np.count_nonzero(np.diff(events.item[event])))))
    one, two, counts = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most)
    scale, target = (np.empty(0) if part is None else part for part in (events.scale, events.target))
    sizes = events.before, events.after, (scale, target), events.weights
    written = count_pairs(event, events.item, *sizes, num_ids, (one, two, counts))
    return one[:written], two[:written], counts[:written]


def _counts(events: _Events, event: Ids, num_ids: int) -> Entries:
    """The same in the plain form.

    They are a product of two sparse matrices: one row for each item with a 1 at each of its events, times one row for
    each event with the weights of the items around it.
    """
    width, other, weight = events.pairs(event)
    items, start = np.unique(events.item[event], return_index=True)
    offsets = np.append(0, np.cumsum(width)).astype(np.int32)
    around = sp.csr_array((weight, other, offsets), shape=(len(event), num_ids))
    entries = (
        np.ones(len(event)),
        np.arange(len(event), dtype=np.int32),
        np.append(start, len(event)).astype(np.int32),
    )
    counts = sp.csr_array(entries, shape=(len(items), len(event))) @ around  # (items of the block, I + 1)
    counts.sort_indices()
    return items[np.repeat(np.arange(len(items)), np.diff(counts.indptr))], counts.indices, counts.data


def _counts_of_item(events: _Events, parts: list[Ids], num_ids: int) -> Entries:
    """The same in the plain form for all events of one item that has too many pairs to hold at a time, part by part."""
    total = np.zeros(num_ids)
    for event in parts:
        _, other, weight = events.pairs(event)
        np.add.at(total, other, weight)  # in the order of the product of `_counts`, so sums are equal to the bit
    two = np.flatnonzero(total).astype(np.int32)
    return np.full(len(two), events.item[parts[0][0]]), two, total[two]


def _weights(config: SeqKNNConfig, max_distance: int) -> Floats:
    """The weights of pairs by the distance of their second event: see `_Events`."""
    distance = np.arange(-max_distance, max_distance + 1)
    weight = np.maximum(np.abs(distance), 1.0) ** -config.distance_decay
    return np.where(distance > 0, weight, config.backward_weight * weight)
