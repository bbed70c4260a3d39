"""BPR-MF: matrix factorisation ranked pairwise.

    r_ui = p_u . q~_i + b~_i                                      (b_i where `item_bias`)
    q~_i = q_i + sum over the features f of i of  q_f             (where a `feature_column` names them), and b~_i likewise
    loss = sum over (u, i, j) of  -ln sigma(r_ui - r_uj) + l2 (|p_u|^2 + |q_i|^2 + |q_j|^2 + sum of |q_f|^2)

with i an item of the user and j one that is not, and q_f of the features of both. An item that few have met is known by
what it has in common with others.

Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit feedback", UAI
2009, section 4; LearnBPR draws triples at random, here each row of the log is visited once an epoch with a fresh
negative, and Adam takes the place of plain SGD. Features are an addition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import user_item_pairs
from segue.config import Field
from segue.data.log import Log
from segue.models.base.model import DotProductModel, FeaturedConfig, GradientModel, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import embedding, zero_padding
from segue.nn.item_features import ItemFeatures
from segue.nn.losses import bpr, l2_penalty


class BPRMFConfig(FeaturedConfig):
    """Settings of BPR-MF."""

    embedding_dim: int = Field(64, ge=1, description="Size d of the embeddings.")
    l2: float = Field(0.001, ge=0, description="Weight of the squared length of the vectors of each triple.")
    item_bias: bool = Field(True, description="Whether items have a bias, which lets the model know popularity.")
    recency: float = Field(
        0.0,
        ge=0,
        description=(
            "A row is visited in proportion to e^-(age / recency), its age the share of all events that came "
            "after it; 0 to visit each once."
        ),
    )
    batch_size: int = 1024
    reduction: Literal["sum", "mean"] = "sum"
    lr: float = 5e-3


class BPRMF(GradientModel, DotProductModel):
    """A user vector, an item vector, and their dot product."""

    name = "bprmf"
    Config = BPRMFConfig
    config: BPRMFConfig
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "lr": LogUniform(1e-3, 2e-2),
        "l2": LogUniform(1e-4, 3e-2),
    }
    window = 0

    def __init__(self, config: BPRMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        width = config.embedding_dim + config.item_bias
        self.user = nn.Parameter(torch.randn(sizes.num_users + 1, config.embedding_dim) * 0.01)
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, width) * 0.01)
        zero_padding(self.user)
        zero_padding(self.item)
        if config.feature_column:
            self.features = ItemFeatures(sizes.num_items, sizes.num_features, config.max_features_per_item)
            self.feature = nn.Parameter(torch.randn(sizes.num_features + 1, width) * 0.01)
            zero_padding(self.feature)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        if self.config.feature_column:
            self.features.set_features(*self.config.item_features(log))
        return user_item_pairs(log, self.config.batch_size, rng, recency=self.config.recency)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        known = (batch.negatives.flatten() > 0).nonzero().flatten()
        user = embedding(self.user, batch.user[known])
        positive = self._parts(batch.target.flatten()[known])
        negative = self._parts(batch.negatives.flatten()[known])
        apart = sum(part.sum(1) for part in positive) - sum(part.sum(1) for part in negative)
        rank = bpr((self._with_bias(user) * apart).sum(-1)).sum()
        return rank + l2_penalty((user, *positive, *negative), self.config.l2)

    def _parts(self, item: Int[Tensor, "B"]) -> list[Float[Tensor, "B F d"]]:
        """The vectors that an item's is the sum of: its own and those of its features."""
        own = embedding(self.item, item.unsqueeze(1))
        return [own, embedding(self.feature, self.features.lookup(item))] if self.config.feature_column else [own]

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        return self._with_bias(embedding(self.user, batch.user))

    def _with_bias(self, user: Float[Tensor, "B d"]) -> Float[Tensor, "B d2"]:
        return torch.cat([user, user.new_ones(len(user), 1)], 1) if self.config.item_bias else user

    def item_vectors(self) -> Float[Tensor, "I d"]:
        if not self.config.feature_column:
            return self.item
        of_features = nn.functional.embedding_bag(self.features.feature, self.feature, mode="sum")
        return self.item + of_features
