"""GRU4Rec and GRU4Rec+: recurrent networks for session-based recommendation.

A gated recurrent unit (GRU) reads a session item by item, and its state predicts the next item. With x the input vector
of the current item, h the state after the items before it (zero where a session begins), and W_o and b_o the output
embeddings and biases of items:

    r = sigma(W_r x + b_r + U_r h + c_r)
    z = sigma(W_z x + b_z + U_z h + c_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n))
    h <- (1 - z) * n + z * h
    score of item j = act(h . W_o[j] + b_o[j])

With `bptt="one"`, as in the papers, a batch holds one step of each of `batch_size` sessions (see `SessionParallel`).
The targets of the other sessions are negatives of each target, together with `num_negatives` items sampled by
popularity for the whole batch (GRU4Rec+). The gradient goes back through that one step; the state before it is a
constant. `bptt="full"`, the default, instead trains on subsequences of `window` items with back-propagation through all
of them, and with the sampled negatives alone.

Sources: Hidasi, Karatzoglou, Baltrunas and Tikk, "Session-based recommendations with recurrent neural networks", ICLR
2016. Hidasi and Karatzoglou, "Recurrent neural networks with top-k gains for session-based recommendations", CIKM 2018.

Differs from the authors' program (github.com/hidasib/GRU4Rec) in:
  * a sampled negative that equals a target is not a negative of it (there, only the target's own column is not);
  * rows without a next session stay in the batch, masked out; the program makes the batch smaller. Both divide the sum
    of the losses by the number of slots, so the last sessions of an epoch weigh no more than the others;
  * the reset gate is applied after the matrix product, as in the program's PyTorch version; the Theano version
    multiplies r * h;
  * items are ranked by their scores before `act`, which gives the same order;
  * the logQ correction of sampled-ce is by the expected count of an item in the batch, among the targets of other
    sessions and the sampled items together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

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
from segue.nn.compiled.loop import overrides
from segue.nn.compiled.loops import session_step
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.losses import GRADIENTS
from segue.nn.optim import Adagrad, Optimizer
from segue.nn.recurrent.gru import GRUCell
from segue.nn.recurrent.packing import step
from segue.nn.sampled_loss import FalseNegatives, LossWithGrad

ScoreActivation = Literal["linear", "tanh", "elu"]
InputEmbedding = Literal["one-hot", "separate", "tied"]
ELU_ALPHA = 0.5
LOG2_E = 1 / math.log(2)
STEP = (
    "forward",
    "ranking_loss",
    "queries",
    "embed_input",
    "project",
    "item_embeddings",
    "_item_vectors_of",
    "_scaled",
    "_loss_with_grad",
    "_log_expected_count",
    "loss_divisor",
)
"""The methods of GRU4Rec whose work its compiled step does."""
STEP_LOSSES = ("top1", "bpr-max", "sampled-ce")  # that have a compiled loop


class GRU4RecConfig(RecurrentConfig):
    """Settings of GRU4Rec."""

    renamed: ClassVar[dict[str, str]] = {"reads": "input_embedding"}
    renamed_values: ClassVar[dict[str, dict[str, str]]] = {"input_embedding": {"own": "separate"}}
    min_num_negatives: ClassVar[int] = 0
    loss: Loss = "sampled-ce"
    num_negatives: int = 1024
    negative_sampling: Literal["per_target", "shared"] = Field(
        "shared",
        description=(
            "How negatives are sampled. per_target: for each target, uniformly from the items without an event of its "
            "user. shared: once for each batch, by popularity, for all of its targets."
        ),
    )
    input_embedding: InputEmbedding = Field(
        "one-hot",
        description=(
            "Input vectors of items. one-hot: the products of W with one-hot vectors, so each item has its own column "
            "of W. separate: an embedding of its own. tied: the output embedding (constrained embedding)."
        ),
    )
    activation: ScoreActivation = Field(
        "tanh",
        description=(
            "Activation of the scores in training: linear, tanh, or elu, which is (e^score - 1) / 2 below zero. ce and "
            "sampled-ce take scores without it."
        ),
    )
    item_bias: bool = Field(True, description="Whether items have a bias.")
    bptt: Literal["one", "full"] = Field(
        "full",
        description="Back-propagation through time: through one step, or through the full subsequence of window items.",
    )
    window: int | None = Field(
        50, description="Number of most recent items that are read; none reads the whole history. bptt=full needs it."
    )
    optimizer: Literal["adagrad", "adam"] = Field("adam", description="Optimiser; the papers use Adagrad.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum of Adagrad.")
    batch_size: int = Field(
        50, description="Number of sessions that are trained in parallel; with bptt=full, of subsequences in one step."
    )
    lr: float = 3e-3
    epochs: int = 20

    def check(self) -> None:
        super().check()
        require(
            self.bptt == "one" or self.window is not None,
            "bptt=full needs a window, such as window=50",
        )
        others = self.loss == "ce" or (self.bptt == "one" and self.negative_sampling == "shared")
        require(
            others or self.num_negatives >= 1,
            f"num_negatives={self.num_negatives}: must be at least 1, because this setting has no in-batch negatives",
        )
        require(
            not (self.item_bias and self.temperature),
            "item_bias=true cannot be combined with temperature above 0; set item_bias=false",
        )


_SESSION_PARALLEL: dict[str, Any] = {"bptt": "one", "window": None, "optimizer": "adagrad", "epochs": 10}


class GRU4Rec(RecurrentModel):
    """A gated recurrent unit over sessions."""

    name = "gru4rec"
    Config = GRU4RecConfig
    config: GRU4RecConfig
    presets: ClassVar = {
        "paper": {**_SESSION_PARALLEL, "loss": "top1", "num_negatives": 0, "lr": 0.01, "hidden_dropout": 0.5}
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(64, 128),
        "batch_size": Choice(64, 128),
        "lr": LogUniform(1e-3, 1e-2),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.0, 0.5),
        "num_negatives": Choice(512, 1024, 2048),
        "sample_alpha": Uniform(0.0, 1.0),
        "input_embedding": Choice("separate", "tied"),
    }
    session_state: Tensor
    output_table = "output_embedding"

    def __init__(self, config: GRU4RecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.micro_batch_size = config.batch_size  # each row of the batch continues its own session state
        fan_in_out = sizes.num_items + dim
        self.output_embedding = nn.Parameter(_uniform((sizes.num_items + 1, dim + config.item_bias), fan_in_out))
        if config.item_bias:
            nn.init.zeros_(self.output_embedding[:, dim])
        input_dim = {"one-hot": 3 * dim, "separate": dim}.get(config.input_embedding)
        if input_dim is not None:
            self.input_embedding = nn.Parameter(_uniform((sizes.num_items + 1, input_dim), fan_in_out))
            zero_padding(self.input_embedding)
            self.encode("input_embedding")
        zero_padding(self.output_embedding)
        self.encode("output_embedding")
        if config.input_embedding != "one-hot":
            self.weight_ih = nn.Parameter(_uniform((3 * dim, dim), 2 * dim))  # W
        self.bias_ih = nn.Parameter(torch.zeros(3 * dim))  # b
        self.weight_hh = nn.Parameter(_uniform((3 * dim, dim), 2 * dim))  # U
        self.bias_hh = nn.Parameter(torch.zeros(3 * dim))  # c
        self.register_buffer("session_state", torch.zeros(0, dim), persistent=False)

    def optimizer(self) -> Optimizer:
        config = self.config
        if config.optimizer == "adam":
            return super().optimizer()
        tables = [self.output_embedding] if self._sparse_output else []
        if config.input_embedding != "tied" and self.features is None:
            tables.append(self.input_embedding)
        return Adagrad(
            self.parameters(),
            lr=config.schedule,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            sparse=tables,
        )

    def compiled_step(self, optimizer: Optimizer) -> Callable[[Any], Tensor] | None:
        """For bptt=one with Adagrad, shared negatives, and a loss that has a compiled loop."""
        config = self.config
        is_shared = config.bptt == "one" and config.negative_sampling == "shared"
        has_loop = is_shared and config.loss in STEP_LOSSES
        if not has_loop or config.temperature or overrides(self, GRU4Rec, *STEP) or type(optimizer) is not Adagrad:
            return None
        if self.features is not None:
            return None  # the loop looks up the embeddings alone
        step = session_step.for_training(self.output_embedding)
        if step is None or not all(weight.requires_grad for weight in self.parameters()):
            return None
        is_tied = config.input_embedding == "tied"
        found: Callable[[Any], Tensor] = step(
            (self.output_embedding, self.output_embedding if is_tied else self.input_embedding),
            self.cell,
            optimizer,
            loss=config.loss,
            bpreg=config.bpreg,
            logq_correction=config.logq_correction,
            activation=None if self._activation == "linear" else (self.activate, self.activation_grad),
            dropout=(config.dropout, config.hidden_dropout),
            mean=config.reduction == "mean",
        )
        return found

    def loss_divisor(self, batch: SequenceBatch) -> Int[Tensor, ""] | int:
        # at the end of an epoch few sessions are left, whose steps would be as large as those of all slots together
        return len(batch) if self.config.bptt == "one" else super().loss_divisor(batch)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        if config.bptt == "full":
            return super().batches(log, rng)
        shared = None if config.loss == "ce" or config.negative_sampling == "per_target" else config.num_negatives
        self.read_features(log)
        sessions = SessionParallel(
            num_negatives=config.negatives_per_target, num_shared=shared, sample_alpha=config.sample_alpha
        )
        return sessions.batches(log, config.batch_size, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return super().forward(batch) if self.config.bptt == "full" else RankingModel.forward(self, batch)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query after the current item of each session, or with bptt=full after every item."""
        if self.config.bptt == "full":
            return super().queries(batch)
        previous, current = batch.history.unbind(1)  # (B,) each; previous is 0 where a session begins
        state = self.session_state  # (B, d)
        if len(state) != len(current):
            state = state.new_zeros(len(current), self.config.embedding_dim)
        state = step(self.embed_input(current), state * (previous > 0).unsqueeze(1), self.cell)
        state = dropout(state, self.config.hidden_dropout, self.training)
        self.session_state = state.detach()
        return self.project(state.unsqueeze(1))  # (B, 1, d)

    def embed_input(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n x"]:
        """The input vectors of items, with dropout during training; W x already with one-hot inputs."""
        is_tied = self.config.input_embedding == "tied"
        table = "output_embedding" if is_tied else "input_embedding"
        if self.features is None:
            sparse = self._sparse_output if is_tied else self.config.optimizer == "adagrad"
            vectors = embedding(self.get_parameter(table), item, sparse=sparse)
        else:
            vectors = self.encoded(table, item)
        if is_tied:
            vectors = vectors[..., : self.config.embedding_dim]  # without the bias
        return dropout(vectors, self.config.dropout, self.training)

    @property
    def _sparse_output(self) -> bool:
        """Whether the gradient of the output embeddings is zero but for the rows that a batch looks up.

        Cross-entropy over all items, and normalisation for cosines, give every row a gradient.
        """
        config = self.config
        return (
            config.optimizer == "adagrad" and config.loss != "ce" and not config.temperature and self.features is None
        )

    def _item_vectors_of(self, ids: Tensor) -> Tensor:
        return (
            embedding(self.output_embedding, ids, sparse=True) if self._sparse_output else super()._item_vectors_of(ids)
        )

    @property
    def cell(self) -> GRUCell:
        weight_ih = None if self.config.input_embedding == "one-hot" else self.weight_ih
        return GRUCell(weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def project(self, hidden: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """The state as a query, with a 1 appended if items have a bias."""
        return torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1) if self.config.item_bias else hidden

    def _loss(self, positive: Tensor, negative: Tensor, negative_mask: Tensor, batch: SequenceBatch) -> Tensor:
        return super()._loss(self.activate(positive), self.activate(negative), negative_mask, batch)

    def _loss_with_grad(self, batch: SequenceBatch) -> LossWithGrad:
        loss_with_grad = super()._loss_with_grad(batch)
        if self._activation == "linear" or self.config.loss not in GRADIENTS:
            return loss_with_grad

        def of_activated(
            positive: Tensor, negative: Tensor, false_negatives: FalseNegatives
        ) -> tuple[Tensor, Tensor, Tensor]:
            positive, negative = self.activate(positive), self.activate(negative)
            loss, grad_positive, grad_negative = loss_with_grad(positive, negative, false_negatives)
            return loss, self.activation_grad(positive, grad_positive), self.activation_grad(negative, grad_negative)

        return of_activated

    @property
    def _activation(self) -> ScoreActivation:
        return "linear" if self.config.loss in ("ce", "sampled-ce") else self.config.activation

    def activate(self, scores: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The activation of scores."""
        if self._activation == "tanh":
            return torch.sigmoid(2 * scores).mul(2).sub_(1)  # torch.tanh takes four times as long
        if self._activation == "elu":
            below = torch.clamp(scores, max=0).mul_(LOG2_E).exp2_()  # torch's elu takes twice as long
            return torch.clamp(scores, min=0).add_(below, alpha=ELU_ALPHA).sub_(ELU_ALPHA)
        return scores

    def activation_grad(self, activated: Float[Tensor, "*n"], grad: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The gradient by the scores, from the gradient by the activated scores."""
        if self._activation == "tanh":
            return grad * (1 - activated.square())
        grad_scores: Tensor = torch.ops.aten.elu_backward(grad, ELU_ALPHA, 1.0, 1.0, True, activated)
        return grad_scores


class GRU4RecPlusConfig(GRU4RecConfig):
    """Settings of GRU4Rec+: those of GRU4Rec with other defaults."""

    loss: Loss = "bpr-max"
    num_negatives: int = 2048
    sample_alpha: float = 0.2
    bpreg: float = 0.5
    input_embedding: InputEmbedding = "tied"
    activation: ScoreActivation = "elu"
    hidden_dropout: float = 0.2
    momentum: float = 0.2
    batch_size: int = 64


class GRU4RecPlus(GRU4Rec):
    """GRU4Rec with BPR-max, sampled negatives for each batch, and tied embeddings."""

    name = "gru4rec+"
    training_cost = "high"
    Config = GRU4RecPlusConfig
    presets: ClassVar = {
        "paper": {**_SESSION_PARALLEL, "lr": 0.05},
        "author": {
            **_SESSION_PARALLEL,
            "batch_size": 32,
            "lr": 0.2,
            "momentum": 0.1,
            "sample_alpha": 0.0,
            "bpreg": 0.5,
            "hidden_dropout": 0.0,
        },
    }
    space: ClassVar[Space] = {
        **{key: domain for key, domain in GRU4Rec.space.items() if key != "input_embedding"},
        "bpreg": Uniform(0.0, 2.0),
    }


def _uniform(shape: tuple[int, int], fan_in_out: int) -> Tensor:
    """Initial weights as in the authors' program: uniform, with the bound of Glorot's rule for fan in + fan out."""
    bound = math.sqrt(6 / fan_in_out)
    return torch.empty(shape).uniform_(-bound, bound)
