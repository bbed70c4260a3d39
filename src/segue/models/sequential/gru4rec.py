"""GRU4Rec and GRU4Rec+: a recurrent unit that walks through sessions side by side.

Hidasi, Karatzoglou, Baltrunas and Tikk, ICLR 2016; Hidasi and Karatzoglou, CIKM 2018. x is the vector of the item now,
h what is remembered of those before it, zero where a session begins; W_o and b_o are the output vectors and biases:

    r = sigma(W_r x + b_r + U_r h + c_r)
    z = sigma(W_z x + b_z + U_z h + c_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n))
    h <- (1 - z) * n + z * h
    score of item j = act(h . W_o[j] + b_o[j])

A batch holds one step of each of `batch_size` sessions (`data.parallel`): the items that others of them came to are
negatives of each, and so are, in GRU4Rec+, `num_negatives` items drawn by popularity for the whole batch. The error travels
back through that one step; h stays as it was. `bptt="full"` instead reads stretches of `window` items whole, back to
the first of them, with the drawn items alone as negatives.

This is the authors' program (github.com/hidasib/GRU4Rec). Departures: a negative that happens to be a row's own target
does not count for it (there: only the target itself does not); rows that have run out of sessions stay, unasked, where
the program makes the batch smaller; the reset gate follows the product, as in its PyTorch version (in the first: r * h
is multiplied); scores are ranked before `act`, which changes no order; the correction of sampled-ce is by how often an
item is expected in the batch, for targets of others and drawn items together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.session_parallel import SessionParallel
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss, RankingModel
from segue.models.base.recurrent import RecurrentConfig, RecurrentModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.losses import GRADIENTS
from segue.nn.optim import Adagrad, Optimizer
from segue.nn.recurrent.gru import GRUCell
from segue.nn.recurrent.packing import step
from segue.nn.sampled_loss import FalseNegatives, LossWithGrad

Activation = Literal["linear", "tanh", "elu"]
ELU = 0.5
LOG2E = 1 / math.log(2)


class GRU4RecConfig(RecurrentConfig):
    """Settings of GRU4Rec."""

    min_num_negatives: ClassVar[int] = 0
    loss: Loss = "top1"
    num_negatives: int = 0
    negative_sampling: Literal["per_target", "shared"] = "shared"
    input_embedding: Literal["one-hot", "separate", "tied"] = Field(
        "one-hot",
        description=(
            'What the unit reads of an item: a vector that holds the products with all W ("one-hot": what W '
            'makes of a vector that is 1 at the item and 0 elsewhere), a vector of its "own", or the "tied" '
            "output vector (constrained embedding)."
        ),
    )
    activation: Activation = Field(
        "tanh",
        description=(
            "Act, of scores in training: linear, tanh, or elu, below zero (e^score - 1) / 2. Cross-entropy "
            "takes scores as they are."
        ),
    )
    item_bias: bool = Field(True, description="Whether items have a bias.")
    bptt: Literal["one", "full"] = Field(
        "one", description="How far errors travel back: 'one' step, or the 'full' stretch of `window` items."
    )
    window: int | None = Field(
        None, description="How many of the last items are read; none reads all. Full back-propagation needs it."
    )
    optimizer: Literal["adagrad", "adam"] = Field("adagrad", description="Adagrad, as in the papers, or adam.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Of adagrad.")
    batch_size: int = Field(50, description="Sessions side by side; with full back-propagation, stretches of a batch.")
    lr: float = 0.05
    epochs: int = 10

    def check(self) -> None:
        super().check()
        require(
            self.bptt == "one" or self.window is not None,
            "bptt=full goes back through the last `window` items: say how many, such as window=50",
        )
        drawn = self.loss == "ce" or (self.bptt == "one" and self.negative_sampling == "shared")
        require(
            drawn or self.num_negatives >= 1,
            f"num_negatives={self.num_negatives}: must be at least 1, as there are no others",
        )
        require(
            not (self.item_bias and self.temperature),
            "item_bias=true is one more column of item vectors: not with cosines (temperature)",
        )


class GRU4Rec(RecurrentModel):
    """A gated recurrent unit."""

    name = "gru4rec"
    Config = GRU4RecConfig
    config: GRU4RecConfig
    presets: ClassVar = {"paper": {}}
    # full back-propagation: an epoch takes a fraction of the time, and long histories are learnt better
    space: ClassVar[Space] = {
        "bptt": Choice("full"),
        "optimizer": Choice("adam"),
        "window": Choice(50),
        "embedding_dim": Choice(64, 128),
        "batch_size": Choice(64, 128),
        "lr": LogUniform(1e-3, 1e-2),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.0, 0.5),
        "num_negatives": Choice(512, 1024, 2048),
        "sample_alpha": Uniform(0.0, 1.0),
        "input_embedding": Choice("separate", "tied"),
        "activation": Choice("linear", "tanh"),
    }
    state: Tensor

    def __init__(self, config: GRU4RecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.rows_at_once = config.batch_size  # a slot's place in the batch is where its state is found
        self.item_out = nn.Parameter(_uniform((sizes.num_items + 1, dim + config.item_bias), sizes.num_items + dim))
        if config.item_bias:
            nn.init.zeros_(self.item_out[:, dim])
        width = {"one-hot": 3 * dim, "separate": dim}.get(config.input_embedding)
        if width is not None:
            self.item_in = nn.Parameter(_uniform((sizes.num_items + 1, width), sizes.num_items + dim))
            zero_padding(self.item_in)
        zero_padding(self.item_out)
        if config.input_embedding != "one-hot":
            self.input_weight = nn.Parameter(_uniform((3 * dim, dim), 2 * dim))
        self.input_bias = nn.Parameter(torch.zeros(3 * dim))
        self.state_weight = nn.Parameter(_uniform((3 * dim, dim), 2 * dim))
        self.state_bias = nn.Parameter(torch.zeros(3 * dim))
        self.register_buffer("state", torch.zeros(0, dim), persistent=False)

    def optimizer(self) -> Optimizer:
        config = self.config
        if config.optimizer == "adam":
            return super().optimizer()
        tables = [self.item_out] if self._sparse_output else []
        if config.input_embedding != "tied":
            tables.append(self.item_in)
        return Adagrad(
            self.parameters(),
            lr=config.schedule,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            sparse=tables,
        )

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        if config.bptt == "full":
            return super().batches(log, rng)
        shared = None if config.loss == "ce" or config.negative_sampling == "per_target" else config.num_negatives
        parallel = SessionParallel(num_negatives=config.own, num_shared=shared, sample_alpha=config.sample_alpha)
        return parallel.batches(log, config.batch_size, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return super().forward(batch) if self.config.bptt == "full" else RankingModel.forward(self, batch)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After the item now, or, with full back-propagation, after every item."""
        if self.config.bptt == "full":
            return super().queries(batch)
        before, now = batch.history.unbind(1)
        state = self.state if len(self.state) == len(now) else self.state.new_zeros(len(now), self.config.embedding_dim)
        state = step(self.read(now), state * (before > 0).unsqueeze(1), self.cell)
        state = dropout(state, self.config.hidden_dropout, self.training)
        self.state = state.detach()
        return self.tell(state.unsqueeze(1))

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    def read(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n x"]:
        tied = self.config.input_embedding == "tied"
        if tied:
            vectors = embedding(self.item_out, item, sparse=self._sparse_output)
        else:
            vectors = embedding(self.item_in, item, sparse=self.config.optimizer == "adagrad")
        return dropout(
            vectors[..., : self.config.embedding_dim] if tied else vectors, self.config.dropout, self.training
        )

    @property
    def _sparse_output(self) -> bool:
        """Whether only the rows of `item_out` that a batch looked up have a gradient.

        Cross-entropy over all items, and normalisation for cosines, give every row a gradient.
        """
        config = self.config
        return config.optimizer == "adagrad" and config.loss != "ce" and not config.temperature

    def _items(self, ids: Tensor) -> Tensor:
        return embedding(self.item_out, ids, sparse=True) if self._sparse_output else super()._items(ids)

    @property
    def cell(self) -> GRUCell:
        first = None if self.config.input_embedding == "one-hot" else self.input_weight
        return GRUCell(first, self.state_weight, self.input_bias, self.state_bias)

    def tell(self, told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """With a 1 on top where items have a bias."""
        return torch.cat([told, torch.ones_like(told[..., :1])], -1) if self.config.item_bias else told

    def _loss(self, positive: Tensor, negative: Tensor, known: Tensor, batch: SequenceBatch) -> Tensor:
        return super()._loss(self._activated(positive), self._activated(negative), known, batch)

    def _loss_with_grad(self, batch: SequenceBatch) -> LossWithGrad:
        loss_with_grad = super()._loss_with_grad(batch)
        if self._activation == "linear" or self.config.loss not in GRADIENTS:
            return loss_with_grad

        def activated(
            positive: Tensor, negative: Tensor, false_negatives: FalseNegatives
        ) -> tuple[Tensor, Tensor, Tensor]:
            high, low = self._activated(positive), self._activated(negative)
            loss, by_high, by_low = loss_with_grad(high, low, false_negatives)
            return loss, self._steep(high, by_high), self._steep(low, by_low)

        return activated

    @property
    def _activation(self) -> Activation:
        return "linear" if self.config.loss in ("ce", "sampled-ce") else self.config.activation

    def _activated(self, scores: Tensor) -> Tensor:
        if self._activation == "tanh":
            return torch.sigmoid(2 * scores).mul(2).sub_(1)  # torch's own takes four times as long
        if self._activation == "elu":
            below = torch.clamp(scores, max=0).mul_(LOG2E).exp2_()  # torch's own takes twice as long
            return torch.clamp(scores, min=0).add_(below, alpha=ELU).sub_(ELU)
        return scores

    def _steep(self, activated: Tensor, gradient: Tensor) -> Tensor:
        """What `gradient` by activated scores is by the scores themselves."""
        if self._activation == "tanh":
            return gradient * (1 - activated.square())
        slope: Tensor = torch.ops.aten.elu_backward(gradient, ELU, 1.0, 1.0, True, activated)
        return slope


class GRU4RecPlusConfig(GRU4RecConfig):
    """Settings of GRU4Rec+: those of GRU4Rec, with others as their defaults."""

    loss: Loss = "bpr-max"
    num_negatives: int = 2048
    sample_alpha: float = 0.2
    bpreg: float = 0.5
    input_embedding: Literal["one-hot", "separate", "tied"] = "tied"
    activation: Activation = "elu"
    hidden_dropout: float = 0.2
    momentum: float = 0.2
    batch_size: int = 64
    lr: float = 0.15


class GRU4RecPlus(GRU4Rec):
    """The same unit, with BPR-max, items drawn by popularity for each batch, and one vector an item."""

    name = "gru4rec+"
    Config = GRU4RecPlusConfig
    presets: ClassVar = {
        "paper": {},
        "author": {
            "batch_size": 32,
            "lr": 0.2,
            "momentum": 0.1,
            "sample_alpha": 0.0,
            "bpreg": 0.5,
            "hidden_dropout": 0.0,
        },
    }
    space: ClassVar[Space] = {
        **{key: domain for key, domain in GRU4Rec.space.items() if key not in ("input_embedding", "activation")},
        "bpreg": Uniform(0.0, 2.0),
    }


def _uniform(shape: tuple[int, int], ends: int) -> Tensor:
    """Weights drawn as in the authors' program, for a matrix that joins so many inputs and outputs."""
    bound = math.sqrt(6 / ends)
    return torch.empty(shape).uniform_(-bound, bound)
