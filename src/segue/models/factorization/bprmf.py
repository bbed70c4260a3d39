"""BPR-MF: matrix factorisation trained by Bayesian personalised ranking.

The score of an item is the dot product of a user and an item embedding, plus an item bias. Training raises the scores
of a user's items above those of sampled other items. Embeddings of item features may be added to those of the items:

    r_ui = p_u . q~_i + b~_i                                      (b_i with `item_bias`)
    q~_i = q_i + sum over the features f of i of  q_f             (with a `feature_column`), and b~_i likewise
    loss = sum over (u, i, j) of  -ln sigma(r_ui - r_uj) + l2 (|p_u|^2 + |q_i|^2 + |q_j|^2 + sum of |q_f|^2)

where i is an item of the user, j is a sampled item without an event of the user, and q_f are the features of both. An
item with few events is known by the features that it shares with others.

Source: Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit feedback",
UAI 2009, section 4. The paper's LearnBPR makes a step of SGD for each triple. So does `optimizer=sgd`, which the extra
`fast` compiles; by default, Adam makes a step for each batch. Differs from LearnBPR in: it draws triples at random,
here each event is used once per epoch with a new negative; features are an addition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue import distributed
from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import user_item_pairs, user_item_triples
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.gradient_config import FeaturedConfig
from segue.models.base.model import DotProductModel, GradientModel, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.compiled.loop import overrides
from segue.nn.embedding import embedding, zero_padding
from segue.nn.item_features import ItemFeatures
from segue.nn.losses import bpr, l2_penalty
from segue.nn.optim import Optimizer
from segue.nn.pairwise_sgd import NoOptimizer, sgd_epoch


class BPRMFConfig(EventWeightsConfig, FeaturedConfig):
    """Settings of BPR-MF."""

    renamed: ClassVar[dict[str, str]] = {"bias": "item_bias"}
    embedding_dim: int = Field(64, ge=1, description="Size d of the embeddings.")
    l2: float = Field(0.001, ge=0, description="Weight of the squared norms of the embeddings of each triple.")
    item_bias: bool = Field(True, description="Whether items have a bias, which can represent their popularity.")
    recency: float = Field(
        0.0,
        ge=0,
        description=(
            "Events are sampled in proportion to e^-(age / recency), where age is the share of all events that are "
            "later. 0 uses each event once per epoch."
        ),
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam",
        description=(
            "adam makes a step for each batch. sgd makes one for each event, as in the paper: it is faster and wants a "
            "larger lr; batch_size is not used."
        ),
    )
    num_threads: int = Field(
        1,
        ge=1,
        description=(
            "Number of threads; optimizer=sgd only. Several threads update the same embeddings at once (Hogwild), so "
            "the same seed gives other weights each time."
        ),
    )
    batch_size: int = 1024
    reduction: Literal["sum", "mean"] = "sum"
    lr: float = 5e-3

    def check(self) -> None:
        super().check()
        if self.optimizer == "sgd":
            for name in ("feature_column", "weight_decay", "lr_decay_steps"):
                value = getattr(self, name)
                require(not value, f"{name}={value}: is not available with optimizer=sgd; use optimizer=adam")
        else:
            require(self.num_threads == 1, f"num_threads={self.num_threads}: needs optimizer=sgd")


class BPRMF(GradientModel, DotProductModel):
    """User and item embeddings, trained pairwise."""

    name = "bprmf"
    training_cost = "low"
    Config = BPRMFConfig
    config: BPRMFConfig
    presets: ClassVar = {"learnbpr": {"optimizer": "sgd", "lr": 0.05}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "lr": LogUniform(1e-3, 2e-2),
        "l2": LogUniform(1e-4, 3e-2),
    }
    window = 0

    def __init__(self, config: BPRMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, width = config.embedding_dim, config.embedding_dim + config.item_bias  # a bias is the last column
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, dim).mul_(0.01))
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, width).mul_(0.01))
        zero_padding(self.user_embedding)
        zero_padding(self.item_embedding)
        if config.feature_column:
            self.features = ItemFeatures(sizes.num_items, sizes.num_features, config.max_features_per_item)
            self.feature_embedding = nn.Parameter(torch.randn(sizes.num_features + 1, width).mul_(0.01))
            zero_padding(self.feature_embedding)

    @classmethod
    def space_for(cls, config: BPRMFConfig) -> Space:
        return cls.space if config.optimizer == "adam" else {**cls.space, "lr": LogUniform(1e-2, 2e-1)}

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        if self.config.feature_column:
            self.features.set_features(*self.config.item_features(log))
        return user_item_pairs(log, self.config.batch_size, rng, recency=self.config.recency)

    def optimizer(self) -> Optimizer:
        return NoOptimizer() if self.config.optimizer == "sgd" else super().optimizer()

    def own_epoch(self) -> Callable[[Log, np.random.Generator], Float[Tensor, "n"]] | None:
        if self.config.optimizer == "adam":
            return None
        is_changed = overrides(self, BPRMF, "forward", "batches")
        require(not is_changed, f"optimizer=sgd: would not use forward and batches of {type(self).__name__}; use adam")
        return self._sgd_epoch

    @torch.no_grad()
    def _sgd_epoch(self, log: Log, rng: np.random.Generator) -> Float[Tensor, "n"]:
        config = self.config
        alone = config.num_threads == 1 or distributed.world_size() == 1  # or the weights of the processes would differ
        require(alone, f"num_threads={config.num_threads}: several processes need num_threads=1")
        triples = user_item_triples(log, rng, recency=config.recency)
        users, items = self.user_embedding.cpu(), self.item_embedding.cpu()
        losses = sgd_epoch(
            triples, users.numpy(), items.numpy(), lr=config.lr, l2=config.l2, num_threads=config.num_threads
        )
        if users.data_ptr() != self.user_embedding.data_ptr():  # the weights are on another device
            self.user_embedding.copy_(users)
            self.item_embedding.copy_(items)
        return torch.from_numpy(losses)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        target, negative = batch.target.flatten(), batch.negatives.flatten()  # (B,) each
        rows = (negative > 0).nonzero().flatten()  # without users who have every item
        user = embedding(self.user_embedding, batch.user[rows])  # (n, d)
        positive, negative_parts = self._parts(target[rows]), self._parts(negative[rows])
        difference = sum(part.sum(1) for part in positive) - sum(part.sum(1) for part in negative_parts)  # (n, d)
        loss = bpr((self._with_bias(user) * difference).sum(-1)).sum()
        return loss + l2_penalty((user, *positive, *negative_parts), self.config.l2)

    def _parts(self, item: Int[Tensor, "B"]) -> list[Float[Tensor, "B F d"]]:
        """The embeddings whose sum is the vector of an item: its own and those of its features."""
        own = embedding(self.item_embedding, item.unsqueeze(1))  # (B, 1, d)
        if not self.config.feature_column:
            return [own]
        return [own, embedding(self.feature_embedding, self.features.lookup(item))]

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        return self._with_bias(embedding(self.user_embedding, batch.user))

    def _with_bias(self, user: Float[Tensor, "B d"]) -> Float[Tensor, "B d2"]:
        """User vectors with a 1 appended if items have a bias."""
        return torch.cat([user, user.new_ones(len(user), 1)], 1) if self.config.item_bias else user

    def item_vectors(self) -> Float[Tensor, "I d"]:
        if not self.config.feature_column:
            return self.item_embedding
        of_features = nn.functional.embedding_bag(self.features.feature, self.feature_embedding, mode="sum")
        return self.item_embedding + of_features
