"""MF: biased matrix factorisation, trained by alternating least squares.

    r~_ui = mu + b_u + b_i + p_u . q_i
    minimise  sum (r_ui - r~_ui)^2  +  l2 (sum |p_u|^2 + sum |q_i|^2)  +  l2_bias (sum b_u^2 + sum b_i^2)

With q_i and b_i fixed, (p_u, b_u) is the ridge regression of the user's r - mu - b_i on the vectors (q_i, 1); then the
items are solved in the same way. Each iteration lowers the objective, and there is no learning rate. A user without
ratings keeps a vector of zeros, an item without ratings its small random vector.
Source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 2009, (5) and
alternating least squares. IARN's paper trains the same model by stochastic gradients.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Config, Field
from segue.data.log import Floats, Ids, Log
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.rating import DotProductRating
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import zero_padding


class MFConfig(Config):
    """Settings of MF."""

    embedding_dim: int = Field(20, ge=1, description="Size d of the vectors.")
    l2: float = Field(20.0, gt=0, description="Weight of the L2 penalty on the vectors.")
    l2_bias: float = Field(5.0, gt=0, description="Weight of the L2 penalty on the biases.")
    bias: bool = Field(True, description="Whether the model has a global mean and biases.")
    iterations: int = Field(20, ge=1, description="Number of alternations: each solves the users, then the items.")
    renamed: ClassVar[dict[str, str]] = {"dim": "embedding_dim", "sweeps": "iterations"}


class MF(DotProductRating, DirectModel):
    """Matrix factorisation with biases: the last column of each embedding table is the bias."""

    name = "mf"
    Config = MFConfig
    config: MFConfig
    space: ClassVar[Space] = {
        "embedding_dim": Choice(10, 20, 50),
        "l2": LogUniform(2.0, 100.0),
        "l2_bias": LogUniform(1.0, 30.0),
    }
    window = 0
    mean: Tensor
    user_embedding: Tensor
    item_embedding: Tensor

    def __init__(self, config: MFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("user_embedding", torch.zeros(sizes.num_users + 1, config.embedding_dim + 1))
        self.register_buffer("item_embedding", torch.randn(sizes.num_items + 1, config.embedding_dim + 1).mul_(0.1))
        self.item_embedding[:, -1] = 0
        zero_padding(self.item_embedding)

    def fit(self, log: Log) -> None:
        events, config = RatedEvents.from_log(log), self.config
        rating = events.rating.astype(np.float64)
        mean = rating.mean() if config.bias else 0.0
        user, item = (table.double().numpy().copy() for table in (self.user_embedding, self.item_embedding))
        by_user = _GroupedRatings(events.user, events.item, rating - mean)
        by_item = _GroupedRatings(events.item, events.user, rating - mean)
        for _ in range(config.iterations):
            by_user.solve(user, item, config)
            by_item.solve(item, user, config)
        self.mean.fill_(mean)
        self.user_embedding.copy_(torch.from_numpy(user))
        self.item_embedding.copy_(torch.from_numpy(item))

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        user = self.user_embedding[batch.user]  # (B, d + 1)
        return torch.cat([user[:, :-1], torch.ones_like(user[:, :1]), user[:, -1:] + self.mean], 1)  # (B, d + 2)

    @property
    def num_item_biases(self) -> int:
        return 2  # the bias, and the 1 that is multiplied by the user's bias

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return torch.cat([self.item_embedding, torch.ones_like(self.item_embedding[:, :1])], 1)


class _GroupedRatings:
    """The ratings grouped by user (or by item), so that the ratings of each group are contiguous."""

    def __init__(self, key: Ids, other: Ids, rating: Floats) -> None:
        order = np.argsort(key, kind="stable")
        self.key, self.start = np.unique(key[order], return_index=True)
        self.stop = np.append(self.start[1:], len(order))
        self.other, self.rating = other[order], rating[order]

    def solve(self, table: Floats, fixed: Floats, config: MFConfig) -> None:
        """Set the rows of `table` to their ridge regression on the rows of the `fixed` other table."""
        width = config.embedding_dim + config.bias
        penalty = np.diag([config.l2] * config.embedding_dim + [config.l2_bias] * config.bias)
        for key, start, stop in zip(self.key, self.start, self.stop, strict=True):
            features = fixed[self.other[start:stop]]  # (n, d + 1)
            residual = self.rating[start:stop] - features[:, -1]  # (n,)
            features[:, -1] = 1  # replaces the bias, which the residual accounts for
            x = features[:, :width]
            table[key, :width] = np.linalg.solve(x.T @ x + penalty, x.T @ residual)
