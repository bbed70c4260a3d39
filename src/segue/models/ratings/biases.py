"""Mean and bias models of ratings: the baselines that know nothing of a user's taste.

    global-mean   r~ = mu
    user-mean     r~ = mu + b_u        b_u = mean of (r - mu) over the user's ratings
    item-mean     r~ = mu + b_i        likewise
    biases        r~ = mu + b_u + b_i, with b to minimise
                  sum (r - mu - b_u - b_i)^2  +  l2_user |b_u|^2 + l2_item |b_i|^2

The biases have a closed form (`bias_solver`). A user or an item without ratings has b = 0. A rating model that does
not beat tuned biases has learnt nothing about tastes.
Source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 2009, (3).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Config, Field
from segue.data.log import Log
from segue.models.base.bias_solver import solve_biases
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.rating import DotProductRating
from segue.models.base.search_space import LogUniform, Space


class BiasesConfig(Config):
    """Settings of biases."""

    l2_user: float = Field(5.0, ge=0, description="Weight of the L2 penalty on the user biases.")
    l2_item: float = Field(10.0, ge=0, description="Weight of the L2 penalty on the item biases.")


class Biases(DotProductRating, DirectModel):
    """Global mean plus a bias of each user and each item.

    Class attributes:
        sides: which biases the model has, in the order in which they are solved.
    """

    name = "biases"
    depends_on_seed = False
    Config: ClassVar[type[Config]] = BiasesConfig
    space: ClassVar[Space] = {"l2_user": LogUniform(0.5, 50.0), "l2_item": LogUniform(0.5, 50.0)}
    window = 0
    item_similarity = ""  # the item vectors hold biases alone
    sides: ClassVar[tuple[str, ...]] = ("item", "user")
    mean: Tensor
    user_bias: Tensor
    item_bias: Tensor

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("user_bias", torch.zeros(sizes.num_users + 1))
        self.register_buffer("item_bias", torch.zeros(sizes.num_items + 1))

    def fit(self, log: Log) -> None:
        l2 = {side: getattr(self.config, f"l2_{side}", 0.0) for side in self.sides}
        mean, user, item = solve_biases(RatedEvents.from_log(log), l2)
        self.mean.fill_(mean)
        self.user_bias.copy_(torch.from_numpy(user))
        self.item_bias.copy_(torch.from_numpy(item))

    def query(self, batch: Batch) -> Float[Tensor, "B 2"]:
        user_part = self.mean + self.user_bias[batch.user]  # (B,)
        return torch.stack([torch.ones_like(user_part), user_part], 1)

    def item_vectors(self) -> Float[Tensor, "I 2"]:
        return torch.stack([self.item_bias, torch.ones_like(self.item_bias)], 1)


class GlobalMean(Biases):
    """Predicts the mean of all ratings."""

    name = "global-mean"
    Config = Config
    space: ClassVar[Space] = {}
    sides = ()


class UserMean(Biases):
    """Predicts the mean of the user's ratings."""

    name = "user-mean"
    Config = Config
    space: ClassVar[Space] = {}
    sides = ("user",)


class ItemMean(Biases):
    """Predicts the mean of the item's ratings."""

    name = "item-mean"
    Config = Config
    space: ClassVar[Space] = {}
    sides = ("item",)
