"""NeuMF: a product of vectors and a tower of layers, side by side. The NCF of IARN's comparison.

    z_G = h_G . (p_u * q_i)                                                                        (9), without sigma
    z_M = h_M . a_L(W_L (... a_1(W_1 [p'_u; q'_i] + b_1) ...) + b_L)      a = ReLU                 (10)
    y   = sigma(z_G + z_M + b)                                                                     (12)
    loss = - sum over (u, i) of  ln y_ui  -  sum over their negatives j of  ln(1 - y_uj)           (7)

The two halves have vectors of their own. Negatives are items that the user never touched, drawn anew each epoch.

Pre-training: for the first `pretrain_epochs` epochs each half is taught by itself, with the loss (7) of sigma(z_G) and of
sigma(z_M). Both then go on together as  y = sigma(alpha z_G + (1 - alpha) z_M),  alpha = 1/2                    (13)
which is what one has who trains two models and joins them with their output weights halved. Adam goes on; the paper
turns to SGD, since its joined model begins without Adam's moments. The sum at (12) is where there is no pre-training.

Source: He, Liao, Zhang, Nie, Hu and Chua, "Neural collaborative filtering", WWW 2017, sections 3.3 and 3.4. The
authors' program shuffles the instances of positives and negatives; here a positive stays with its negatives, so a step
of 256 instances is `batch_size` 51.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import user_item_pairs
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.model import GradientModel, GradientModelConfig, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.losses import bce

TOGETHER = 1 << 13  # pairs that pass the tower at a time where all items are asked about: they stay in the cache


class NeuMFConfig(GradientModelConfig):
    """Settings of NeuMF."""

    embedding_dim: int = Field(8, ge=1, description="Size of the vectors that are multiplied.")
    mlp_embedding_dim: int = Field(32, ge=1, description="Size of those that enter the tower.")
    mlp_hidden_dims: tuple[int, ...] = Field((32, 16, 8), description="Sizes of its layers, from the first on.")
    num_negatives: int = Field(4, ge=1, description="Of each positive.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of what enters each layer of the tower that training leaves out."
    )
    pretrain_epochs: int = Field(
        10, ge=0, description="Epochs in which each half is taught by itself, before both are; 0 for none."
    )
    batch_size: int = 51

    def check(self) -> None:
        super().check()
        layers = len(self.mlp_hidden_dims) > 0 and min(self.mlp_hidden_dims) >= 1
        require(layers, f"mlp_hidden_dims={self.mlp_hidden_dims}: must be one size or more, each at least 1")


class NeuMF(GradientModel):
    """Two halves, each with vectors and a logit of its own.

    Attributes:
        taught: whole epochs so far.
        apart: whether this epoch teaches each half by itself.
    """

    name = "neumf"
    Config = NeuMFConfig
    config: NeuMFConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "recbole": {
            "embedding_dim": 64,
            "mlp_embedding_dim": 64,
            "mlp_hidden_dims": (128, 64),
            "dropout": 0.1,
            "num_negatives": 1,
            "pretrain_epochs": 0,
            "batch_size": 2048,
        },
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(8, 16, 32, 64),
        "lr": LogUniform(3e-4, 1e-2),
        "weight_decay": LogUniform(1e-7, 1e-4),
        "dropout": Choice(0.0, 0.1, 0.3),
    }
    window = 0
    taught: Tensor

    def __init__(self, config: NeuMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        tables = []
        for count, dim in (
            (sizes.num_users, config.embedding_dim),
            (sizes.num_items, config.embedding_dim),
            (sizes.num_users, config.mlp_embedding_dim),
            (sizes.num_items, config.mlp_embedding_dim),
        ):
            tables.append(nn.Parameter(torch.randn(count + 1, dim) * 0.01))
            zero_padding(tables[-1])
        self.user, self.item, self.tower_user, self.tower_item = tables
        widths = (2 * config.mlp_embedding_dim, *config.mlp_hidden_dims)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        self.product_logit = nn.Linear(config.embedding_dim, 1, bias=False)
        self.tower_logit = nn.Linear(widths[-1], 1)
        self.register_buffer("taught", torch.zeros((), dtype=torch.int32))
        self.apart = config.pretrain_epochs > 0

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        self.apart = int(self.taught) < self.config.pretrain_epochs
        yield from user_item_pairs(log, self.config.batch_size, rng, num_negatives=self.config.num_negatives)
        self.taught += 1

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        item = torch.cat([batch.target, batch.negatives.flatten(1)], 1)  # B 1 + G
        product, tower = self.halves(batch.user, item)
        known = item[:, 1:] > 0
        logits = (product, tower) if self.apart else (self._joined(product, tower),)
        return torch.stack([bce(z[:, 0], z[:, 1:], known).sum() for z in logits]).sum()

    def halves(self, user: Int[Tensor, "B"], item: Int[Tensor, "B K"]) -> tuple[Tensor, Tensor]:
        """z_G and z_M + b, each (B, K), of each user and the items beside it."""
        mine = embedding(self.user, user).unsqueeze(1)
        product = self.product_logit(mine * embedding(self.item, item)).squeeze(2)
        mine = embedding(self.tower_user, user).unsqueeze(1).expand(-1, item.shape[1], -1)
        state = torch.cat([mine, embedding(self.tower_item, item)], 2)
        for layer in self.layers:
            state = layer(dropout(state, self.config.dropout, self.training)).relu()
        return product, self.tower_logit(state).squeeze(2)

    def _joined(self, product: Tensor, tower: Tensor) -> Tensor:
        total = product + tower
        return total / 2 if self.config.pretrain_epochs else total

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """z: the first layer is taken apart, so that it is computed once a user and once an item."""
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        product = (self.user[batch.user] * self.product_logit.weight) @ self.item[items].T
        first, *others = self.layers
        assert isinstance(first, nn.Linear)
        half = self.config.mlp_embedding_dim
        mine = self.tower_user[batch.user] @ first.weight[:, :half].T + first.bias
        theirs = self.tower_item[items] @ first.weight[:, half:].T
        tower = torch.empty_like(product)
        several = max(1, TOGETHER // max(len(batch), 1))
        for begin in range(0, len(items), several):
            some = slice(begin, begin + several)
            state = (mine.unsqueeze(1) + theirs[some]).relu_()
            for layer in others:
                state = layer(state).relu_()
            tower[:, some] = self.tower_logit(state).squeeze(2)
        scores = self._joined(product, tower)
        scores[:, items == 0] = -torch.inf
        return scores
