"""NeuMF: neural matrix factorisation (neural collaborative filtering, NCF).

Two halves score a user and an item: generalised matrix factorisation (GMF) weighs the product of two embeddings, and a
multi-layer perceptron (MLP) reads two other embeddings. Their logits are added. Equation numbers are the paper's:

    z_G = h_G . (p_u * q_i)                                                                        (9), without sigma
    z_M = h_M . a_L(W_L (... a_1(W_1 [p'_u; q'_i] + b_1) ...) + b_L)      a = ReLU                 (10)
    y   = sigma(z_G + z_M + b)                                                                     (12)
    loss = - sum over (u, i) of  ln y_ui  -  sum over their negatives j of  ln(1 - y_uj)           (7)

Negatives are items without an event of the user, drawn anew in each epoch.

Pre-training: in the first `pretrain_epochs` epochs each half is trained separately, with the loss (7) of sigma(z_G)
and of sigma(z_M). Then both are trained together:

    y   = sigma(alpha z_G + (1 - alpha) z_M),  alpha = 1/2                                         (13)

This equals training two models and joining them with halved output weights. Adam continues with its moments; the paper
switches to SGD, because its joined model starts without them. Without pre-training the sum (12) is used.

Source: He, Liao, Zhang, Nie, Hu and Chua, "Neural collaborative filtering", WWW 2017, sections 3.3 and 3.4. Differs
from the authors' program in: it shuffles positives and negatives, here a positive stays with its negatives. A step of
256 instances is therefore `batch_size` 51.
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
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.model import GradientModel, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.losses import bce

PAIRS_PER_CHUNK = 1 << 13  # pairs that pass the MLP at a time when all items are scored, so that they fit in the cache


class NeuMFConfig(EventWeightsConfig, GradientModelConfig):
    """Settings of NeuMF."""

    renamed: ClassVar[dict[str, str]] = {
        "negatives": "num_negatives",
        "tower_dim": "mlp_embedding_dim",
        "tower": "mlp_hidden_dims",
        "pretrain": "pretrain_epochs",
    }
    embedding_dim: int = Field(8, ge=1, description="Size of the embeddings of the matrix factorisation half.")
    mlp_embedding_dim: int = Field(32, ge=1, description="Size of the embeddings of the MLP half.")
    mlp_hidden_dims: tuple[int, ...] = Field(
        (32, 16, 8), description="Sizes of the layers of the MLP, from the first on."
    )
    num_negatives: int = Field(4, ge=1, description="Number of sampled negatives of each positive.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the inputs of each layer of the MLP.")
    pretrain_epochs: int = Field(
        10, ge=0, description="Number of epochs that train the two halves separately, before both together; 0 for none."
    )
    batch_size: int = 51

    def check(self) -> None:
        super().check()
        valid = len(self.mlp_hidden_dims) > 0 and min(self.mlp_hidden_dims) >= 1
        require(valid, f"mlp_hidden_dims={self.mlp_hidden_dims}: must be one size or more, each at least 1")


class NeuMF(GradientModel):
    """Matrix factorisation and an MLP, each with its own embeddings and its own logit.

    Attributes:
        finished_epochs: number of finished epochs.
        pretraining: whether this epoch trains the two halves separately.
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
    finished_epochs: Tensor

    def __init__(self, config: NeuMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, mlp_dim = config.embedding_dim, config.mlp_embedding_dim
        self.user_embedding = _embedding(sizes.num_users, dim)  # p
        self.item_embedding = _embedding(sizes.num_items, dim)  # q
        self.mlp_user_embedding = _embedding(sizes.num_users, mlp_dim)  # p'
        self.mlp_item_embedding = _embedding(sizes.num_items, mlp_dim)  # q'
        layer_sizes = (2 * mlp_dim, *config.mlp_hidden_dims)
        self.mlp = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(layer_sizes))
        self.gmf_logit = nn.Linear(dim, 1, bias=False)  # h_G
        self.mlp_logit = nn.Linear(layer_sizes[-1], 1)  # h_M, b
        self.register_buffer("finished_epochs", torch.zeros((), dtype=torch.int32))
        self.pretraining = config.pretrain_epochs > 0

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        self.pretraining = int(self.finished_epochs) < self.config.pretrain_epochs
        yield from user_item_pairs(log, self.config.batch_size, rng, num_negatives=self.config.num_negatives)
        self.finished_epochs += 1

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        item = torch.cat([batch.target, batch.negatives.flatten(1)], 1)  # (B, 1 + G)
        gmf, mlp = self.logits(batch.user, item)
        valid = item[:, 1:] > 0  # (B, G)
        outputs = (gmf, mlp) if self.pretraining else (self._joint_logit(gmf, mlp),)
        return torch.stack([bce(logit[:, 0], logit[:, 1:], valid).sum() for logit in outputs]).sum()

    def logits(self, user: Int[Tensor, "B"], item: Int[Tensor, "B K"]) -> tuple[Tensor, Tensor]:
        """z_G and z_M + b, each (B, K), of each user with the K items of its row."""
        user_vector = embedding(self.user_embedding, user).unsqueeze(1)  # (B, 1, d)
        gmf = self.gmf_logit(user_vector * embedding(self.item_embedding, item)).squeeze(2)
        user_vector = embedding(self.mlp_user_embedding, user).unsqueeze(1).expand(-1, item.shape[1], -1)
        x = torch.cat([user_vector, embedding(self.mlp_item_embedding, item)], 2)  # (B, K, 2 d')
        for layer in self.mlp:
            x = layer(dropout(x, self.config.dropout, self.training)).relu()
        return gmf, self.mlp_logit(x).squeeze(2)

    def _joint_logit(self, gmf: Tensor, mlp: Tensor) -> Tensor:
        """The logit of both halves together: (13) after pre-training, else (12)."""
        total = gmf + mlp
        return total / 2 if self.config.pretrain_epochs else total

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """The logits of both halves together.

        The first layer of the MLP is split into its user and its item part, each computed once for a user or an item.
        """
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        gmf = (self.user_embedding[batch.user] * self.gmf_logit.weight) @ self.item_embedding[items].T  # (B, K)
        first, *others = self.mlp
        assert isinstance(first, nn.Linear)
        dim = self.config.mlp_embedding_dim
        user_part = self.mlp_user_embedding[batch.user] @ first.weight[:, :dim].T + first.bias  # (B, h)
        item_part = self.mlp_item_embedding[items] @ first.weight[:, dim:].T  # (K, h)
        mlp = torch.empty_like(gmf)
        chunk_size = max(1, PAIRS_PER_CHUNK // max(len(batch), 1))
        for begin in range(0, len(items), chunk_size):
            chunk = slice(begin, begin + chunk_size)
            x = (user_part.unsqueeze(1) + item_part[chunk]).relu_()  # (B, chunk, h)
            for layer in others:
                x = layer(x).relu_()
            mlp[:, chunk] = self.mlp_logit(x).squeeze(2)
        scores = self._joint_logit(gmf, mlp)
        scores[:, items == 0] = -torch.inf
        return scores


def _embedding(count: int, dim: int) -> nn.Parameter:
    """A table of `count` embeddings, initialised by N(0, 0.01^2), after a row of zeros for padding."""
    table = nn.Parameter(torch.randn(count + 1, dim).mul_(0.01))
    zero_padding(table)
    return table
