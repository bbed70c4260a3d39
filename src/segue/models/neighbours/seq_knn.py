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

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import item_weights
from segue.data.log import Log
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.item_pairs import nearest_entries
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.pair_counts import PairWeights, count_pairs
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
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
    weights = config.target_weights(log)
    popularities = (log.counts(), config.alpha), (item_weights(log, weights), config.beta)
    norm = [(np.maximum(count, 1) + config.shrinkage) ** -power for count, power in popularities]
    pairs = PairWeights(
        max_distance=config.max_distance,
        distance_decay=config.distance_decay,
        backward_weight=config.backward_weight,
        length_discount=config.length_discount,
    )
    for block in count_pairs(log, pairs, weights):
        one, two, counts = block
        counts *= norm[0][one]
        counts *= norm[1][two]
        yield block
