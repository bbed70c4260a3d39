"""MF: biased matrix factorisation, solved for one side at a time.

    r~_ui = mu + b_u + b_i + p_u . q_i
    minimise  sum (r_ui - r~_ui)^2  +  l2 (sum |p_u|^2 + sum |q_i|^2)  +  l2_bias (sum b_u^2 + sum b_i^2)

With q_i and b_i held, (p_u, b_u) is the ridge regression of the user's r - mu - b_i on the vectors (q_i, 1), and so in
turns: each sweep lowers the objective, with no learning rate to choose. Who has no rating stays at zero.
Source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 2009, (5) and
alternating least squares. IARN's paper trains the same model by stochastic gradients.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Config, Field
from segue.data.log import Ids, Log
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.rating import DotProductRating
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import zero_padding

Floats = np.ndarray[Any, np.dtype[np.float64]]


class MFConfig(Config):
    """Settings of MF."""

    dim: int = Field(20, ge=1, description="Size d of the vectors.")
    l2: float = Field(20.0, gt=0, description="Weight of the squared length of the vectors.")
    l2_bias: float = Field(5.0, gt=0, description="Weight of the squared biases.")
    bias: bool = Field(True, description="Whether there are a mean and biases at all.")
    sweeps: int = Field(20, ge=1, description="How often each side is solved for.")


class MF(DotProductRating, DirectModel):
    """Vectors and biases of users and items; the last column of a table is the bias."""

    name = "mf"
    Config = MFConfig
    config: MFConfig
    space: ClassVar[Space] = {
        "dim": Choice(10, 20, 50),
        "l2": LogUniform(2.0, 100.0),
        "l2_bias": LogUniform(1.0, 30.0),
    }
    window = 0
    mean: Tensor
    user: Tensor
    item: Tensor

    def __init__(self, config: MFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("user", torch.zeros(sizes.num_users + 1, config.dim + 1))
        self.register_buffer("item", torch.randn(sizes.num_items + 1, config.dim + 1) * 0.1)
        self.item[:, -1] = 0
        zero_padding(self.item)

    def fit(self, log: Log) -> None:
        pairs, config = RatedEvents.of(log), self.config
        rating = pairs.rating.astype(np.float64)
        mean = rating.mean() if config.bias else 0.0
        user, item = (table.double().numpy().copy() for table in (self.user, self.item))
        of_user, of_item = _Side(pairs.user, pairs.item, rating - mean), _Side(pairs.item, pairs.user, rating - mean)
        for _ in range(config.sweeps):
            of_user.solve(user, item, config)
            of_item.solve(item, user, config)
        self.mean.fill_(mean)
        self.user.copy_(torch.from_numpy(user))
        self.item.copy_(torch.from_numpy(item))

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        own = self.user[batch.user]
        return torch.cat([own[:, :-1], torch.ones_like(own[:, :1]), own[:, -1:] + self.mean], 1)

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return torch.cat([self.item, torch.ones_like(self.item[:, :1])], 1)


class _Side:
    """The ratings of each user, or of each item, side by side."""

    def __init__(self, key: Ids, other: Ids, rating: Floats) -> None:
        order = np.argsort(key, kind="stable")
        self.key, self.start = np.unique(key[order], return_index=True)
        self.stop = np.append(self.start[1:], len(order))
        self.other, self.rating = other[order], rating[order]

    def solve(self, own: Floats, others: Floats, config: MFConfig) -> None:
        """Put into `own` the vectors and biases that fit best to those of the others."""
        wide = config.dim + config.bias
        penalty = np.diag([config.l2] * config.dim + [config.l2_bias] * config.bias)
        for key, start, stop in zip(self.key, self.start, self.stop, strict=True):
            met = others[self.other[start:stop]]
            left = self.rating[start:stop] - met[:, -1]
            met[:, -1] = 1  # it takes the place of the bias, which is accounted for
            read = met[:, :wide]
            own[key, :wide] = np.linalg.solve(read.T @ read + penalty, read.T @ left)
