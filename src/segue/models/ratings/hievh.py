"""HieVH: matrix factorisation in which the item vectors include a hierarchy of item features.

    r~_ui   = mu + b_u + b_i + p_u . q~_i
    q~_i    = q_i + sum over i's levels l of  w_l x_{f_l(i)},   w = softmax of v over those levels       (vertical)
    minimise  sum (r - r~)^2 + l2 (sum |p_u|^2 + sum |q_i|^2) + l2_user sum b_u^2 + l2_item sum b_i'^2
              + l2_feature sum |x_f|^2 + alpha sum over pairs f, g of one level of  R_fg                 (horizontal)
    R_fg    = s |x_f - x_g|^2 where s > 0,   -s (x_f . x_g)_+^2 where s < 0,    s = (IC - 1) / (IC + 1)
    IC_fg   = P(f, g) / (P(f) P(g)),    P(f) the share of users who rated an item with f, P(f, g) with both

Two features that occur together more often than by chance (IC > 1) are complementary: their vectors attract each other.
Features that replace each other (IC < 1) are penalised if their vectors point in the same direction. One more user is
added to both sides of the ratio, so that rare features have little effect. The level of a feature is the highest level
at which an item has it. The bias is one more entry of a vector: b_i = b_i' + sum of w_l b_{f_l(i)}. The biases of users
and items start at their closed form (`bias_solver`). alpha is the setting `relation_weight`.

Source of the idea: Sun, Yang, Zhang and Bozzon, "Exploiting both vertical and horizontal dimensions of feature
hierarchy for effective recommendation", AAAI 2017; the value of alpha is that of IARN's paper. There is no public
program, and the paper's equations were not available. This is an interpretation: no parity with published figures is
claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, PairBatch, RatingBatch
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.item_features import feature_ids, first_list_column
from segue.data.log import Floats, Ids, Log
from segue.models.base.gradient_config import FeaturedConfig
from segue.models.base.model import Sizes
from segue.models.base.rating import BiasedRatingConfig, BiasedRatingModel, DotProductRating
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import embedding, zero_padding
from segue.nn.item_features import ItemFeatures

USERS_PER_BLOCK = 4096


class HieVHConfig(FeaturedConfig, BiasedRatingConfig):
    """Settings of HieVH."""

    embedding_dim: int = Field(20, ge=1, description="Size of the vectors of users, items and features.")
    l2: float = Field(20.0, ge=0, description="Weight of the L2 penalty on the vectors of users and items.")
    l2_feature: float = Field(20.0, ge=0, description="Weight of the L2 penalty on the vectors and biases of features.")
    relation_weight: float = Field(
        0.01, ge=0, description="Weight alpha of the relations between features of one level."
    )
    feature_column: str = Field(
        "",
        description=(
            "Column of the item metadata that holds the features of each item: lists, or paths such as 'Home > Bed'. "
            "By default the first column of lists."
        ),
    )
    lr: float = 0.0025
    renamed: ClassVar[dict[str, str]] = {"alpha": "relation_weight"}

    def item_features(self, log: Log) -> tuple[Ids, list[str]]:
        return feature_ids(log, self.feature_column or first_list_column(log))


class HieVH(BiasedRatingModel, DotProductRating):
    """Matrix factorisation with feature vectors: the last column of each embedding table is the bias."""

    name = "hievh"
    Config = HieVHConfig
    config: HieVHConfig
    space: ClassVar[Space] = {
        "embedding_dim": Choice(10, 20, 50),
        "lr": LogUniform(1e-3, 1e-2),
        "l2": LogUniform(2.0, 100.0),
        "l2_feature": LogUniform(2.0, 100.0),
    }
    relation: Tensor

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.features = ItemFeatures(sizes.num_items, sizes.num_features, config.max_features_per_item)
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, config.embedding_dim + 1).mul_(0.01))
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, config.embedding_dim + 1).mul_(0.1))
        self.feature_embedding = nn.Parameter(torch.randn(sizes.num_features + 1, config.embedding_dim + 1).mul_(0.1))
        self.level = nn.Parameter(torch.zeros(config.max_features_per_item))  # v
        with torch.no_grad():
            for table in (self.user_embedding, self.item_embedding, self.feature_embedding):
                table[:, -1] = 0
                zero_padding(table)
        self.register_buffer("relation", torch.zeros(0, 0), persistent=False)  # (n, n) s of features 1..n

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[RatingBatch]:
        return self.rated_events(log).batches(self.config.batch_size, rng)

    def fit_statistics(self, events: RatedEvents) -> None:
        super().fit_statistics(events)
        item_features, names = self.config.item_features(events.log)
        self.features.set_features(item_features, names)
        self.relation = torch.from_numpy(relations(events, item_features, len(names))).to(self.feature_embedding)

    def forward(self, batch: RatingBatch) -> Float[Tensor, ""]:
        assert self.training_log is not None
        config, item = self.config, batch.item
        user_rows = embedding(self.user_embedding, batch.user)  # (B, d + 1)
        item_rows = embedding(self.item_embedding, item)  # (B, d + 1)
        predicted = (self._user_vectors(batch.user, user_rows) * self._item_vectors(item, item_rows)).sum(1)
        error = (predicted - batch.rating.to(predicted)).square()
        user_penalty = (
            config.l2 * _squared_norm(user_rows[:, :-1])
            + config.l2_user * (self.user_bias[batch.user] + user_rows[:, -1]).square()
        )
        item_penalty = (
            config.l2 * _squared_norm(item_rows[:, :-1])
            + config.l2_item * (self.item_bias[item] + item_rows[:, -1]).square()
        )
        penalty = user_penalty * self.user_penalty_weight[batch.user] + item_penalty * self.item_penalty_weight[item]
        feature_penalty = (
            config.l2_feature * self.feature_embedding.square().sum() + config.relation_weight * self._horizontal()
        )
        return (error + penalty).sum() + feature_penalty * len(batch) / len(self.training_log)

    def _horizontal(self) -> Float[Tensor, ""]:
        """The sum of R_fg over the pairs of features."""
        count = len(self.relation)
        vector = self.feature_embedding[1 : count + 1, :-1]  # (n, d)
        product = vector @ vector.T  # (n, n)
        norm = product.diagonal()  # squared
        distance = norm.unsqueeze(1) + norm - 2 * product  # squared
        attraction = self.relation.clamp(min=0) * distance
        return (attraction + (-self.relation).clamp(min=0) * product.clamp(min=0).square()).sum() / 2

    def _user_vectors(self, user: Int[Tensor, "B"], rows: Float[Tensor, "B e"]) -> Float[Tensor, "B f"]:
        one = torch.ones_like(rows[:, :1])
        return torch.cat([rows[:, :-1], one, rows[:, -1:] + (self.mean + self.user_bias[user]).unsqueeze(1)], 1)

    def _item_vectors(self, item: Int[Tensor, "B"], rows: Float[Tensor, "B e"]) -> Float[Tensor, "B f"]:
        """q~ and bias of each item, then a 1 that multiplies the user's bias."""
        feature = self.features.lookup(item)  # (B, F)
        weight = self.level.expand(feature.shape).masked_fill(feature == 0, -torch.inf)
        weight = torch.where((feature > 0).any(1, keepdim=True), weight, 0).softmax(1)
        vector = rows + (weight.unsqueeze(2) * embedding(self.feature_embedding, feature)).sum(1)
        bias = vector[:, -1:] + self.item_bias[item].unsqueeze(1)
        return torch.cat([vector[:, :-1], bias, torch.ones_like(bias)], 1)

    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        item = batch.item
        return (self.query(batch) * self._item_vectors(item, embedding(self.item_embedding, item))).sum(1)

    def query(self, batch: Batch) -> Float[Tensor, "B f"]:
        return self._user_vectors(batch.user, embedding(self.user_embedding, batch.user))

    @property
    def num_item_biases(self) -> int:
        return 2  # the bias, and the 1 that is multiplied by the user's bias

    def item_vectors(self) -> Float[Tensor, "I f"]:
        return self._item_vectors(
            torch.arange(self.sizes.num_items + 1, device=self.item_embedding.device), self.item_embedding
        )


def _squared_norm(vector: Float[Tensor, "B d"]) -> Float[Tensor, "B"]:
    return vector.square().sum(1)


def relations(events: RatedEvents, item_features: Ids, count: int) -> Floats:
    """(n, n) the relation s of each pair of the n features; 0 if their levels differ.

    Args:
        events: the rated events.
        item_features: (I + 1, F) the features of each item; 0 for none.
        count: the number of features n.
    """
    together = np.zeros((count + 1, count + 1))
    users = events.log.num_users
    for first in range(1, users + 1, USERS_PER_BLOCK):
        begin, end = np.searchsorted(events.user, (first, first + USERS_PER_BLOCK))
        has_feature = np.zeros((USERS_PER_BLOCK, count + 1), np.float32)
        has_feature[(events.user[begin:end] - first)[:, None], item_features[events.item[begin:end]]] = 1
        together += has_feature.T @ has_feature
    alone = together.diagonal()
    information = (together + 1) / (np.outer(alone, alone) / users + 1)
    level_of = np.full(count + 1, item_features.shape[1])
    for level in reversed(range(item_features.shape[1])):
        level_of[item_features[:, level]] = level
    strength = (information - 1) / (information + 1) * (level_of[:, None] == level_of)
    np.fill_diagonal(strength, 0)
    return strength[1:, 1:]
