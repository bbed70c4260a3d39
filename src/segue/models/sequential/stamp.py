"""STAMP: short-term attention and memory priority.

An attention layer, directed by the last item and by the mean of the session, summarises the items of the session. The
summary and the last item pass through one hidden layer each, and their product is the query. The item embeddings are
shared by input and output. With x_i the embedding of item i and x_t that of the last item:

    m_s = mean of x_1 .. x_t
    alpha_i = w_0 . sigma(W_1 x_i + W_2 x_t + W_3 m_s + b_a)
    m_a = sum over i of alpha_i x_i
    h_s = tanh(W_s m_a + b_s),  h_t = tanh(W_t x_t + b_t)
    score of item i = sigma(sum over k of h_s,k h_t,k x_i,k)

The paper's loss is cross-entropy over all items of the softmax of these scores. Since each score lies between 0 and 1,
no item can have more than e times the probability of another. `sigmoid_scores=false`, the default, leaves sigma out, as
the authors' program does. Losses with negatives take scores without sigma; the ranking is the same.

Source: Liu, Zeng, Mokhosi and Zhang, "STAMP: Short-term attention/memory priority model for session-based
recommendation", KDD 2018.

The paper trains on each prefix of a session as an example of its own. Here one pass over a subsequence gives the query
after every item: means are running sums, and the attention is causal.

Differs from the authors' program (github.com/uestcnlp/STAMP) in:
  * the program adds m_s to m_a, has neither sigma nor the biases b_s and b_t, and uses another learning rate; the
    preset `author` does so too;
  * the program scales the input embeddings to length 1, and its batches hold sessions of equal length.
The preset `hcrnn` is the baseline of HCRNN's program (Song et al., AAAI 2019): the paper's equations with a lower
learning rate.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.models.base.causal import CausalModel, history_and_query_count
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.recorder import record
from segue.nn.softmax_loss import all_items_cross_entropy


class STAMPConfig(RankingConfig):
    """Settings of STAMP."""

    renamed: ClassVar[dict[str, str]] = {"mean": "add_mean", "squash": "sigmoid_scores", "bias": "mlp_bias"}
    embedding_dim: int = 100
    window: int = Field(20, ge=1, description="Number of most recent items that are read.")
    add_mean: bool = Field(False, description="Whether the session mean m_s is added to the attention summary m_a.")
    sigmoid_scores: bool = Field(
        False, description="Whether cross-entropy over all items takes sigmoid(score) instead of the score."
    )
    mlp_bias: bool = Field(True, description="Whether the hidden layers h_s and h_t have biases.")
    dropout: float = Field(0.25, ge=0, lt=1, description="Dropout rate of the input embeddings.")
    lr: float = 3e-3
    batch_size: int = Field(32, description="Number of subsequences in one optimisation step.")
    epochs: int = 30


_PAPER: dict[str, Any] = {"window": 50, "sigmoid_scores": True, "dropout": 0.0, "lr": 5e-3, "batch_size": 128}


class STAMP(CausalModel):
    """Attention over the session, directed by the last item and by the session mean."""

    name = "stamp"
    Config = STAMPConfig
    config: STAMPConfig
    presets: ClassVar = {
        "paper": _PAPER,
        "author": {**_PAPER, "add_mean": True, "sigmoid_scores": False, "mlp_bias": False, "lr": 3e-3},
        "hcrnn": {**_PAPER, "window": 100, "lr": 1e-3, "epochs": 200},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(50, 100, 150),
        "add_mean": Choice(False, True),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(5e-4, 1e-2),
        "batch_size": Choice(16, 32, 64),
    }
    skips_padding = "inside"

    def __init__(self, config: STAMPConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.micro_batch_size = max(8, 2**21 // config.window**2)
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(0.002))
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.attention_item = _linear(dim, bias=False)  # W_1
        self.attention_last = _linear(dim, bias=False)  # W_2
        self.attention_mean = _linear(dim, bias=True)  # W_3, b_a
        self.attention_vector = nn.Parameter(torch.randn(dim).mul_(0.05))  # w_0
        self.session_mlp = _linear(dim, bias=config.mlp_bias)  # W_s, b_s
        self.last_mlp = _linear(dim, bias=config.mlp_bias)  # W_t, b_t

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """h_s * h_t after every item, or after the newest one alone in a batch that is only scored."""
        history, count = history_and_query_count(batch)  # (B, P)
        valid = history > 0
        x = dropout(self.encoded("item_embedding", history), self.config.dropout, self.training)  # (B, P, d)
        last = x[:, x.shape[1] - count :]  # (B, C, d)
        mean = (x.cumsum(1) / valid.cumsum(1)[:, :, None].clamp(min=1))[:, -count:]  # (B, C, d); padding is zeros
        query = linear_2d(self.attention_last, last) + linear_2d(self.attention_mean, mean)
        key = linear_2d(self.attention_item, x)  # (B, P, d)
        weights = additive_attention(
            query, key, self.attention_vector, causal_attention_mask(valid, count)
        )  # (B, C, P)
        record("attention", weights)
        summary = weights @ x + mean if self.config.add_mean else weights @ x  # (B, C, d)
        return torch.tanh(linear_2d(self.session_mlp, summary)) * torch.tanh(linear_2d(self.last_mlp, last))

    def _all_items_loss(
        self, query: Float[Tensor, "n d"], vectors: Float[Tensor, "I d"], target: Int[Tensor, "n"]
    ) -> Float[Tensor, ""]:
        return all_items_cross_entropy(query, vectors, target, sigmoid_scores=self.config.sigmoid_scores)


def _linear(dim: int, *, bias: bool) -> nn.Linear:
    """A linear layer with the initial weights of the authors' program: N(0, 0.05^2), and biases of zero."""
    layer = nn.Linear(dim, dim, bias=bias)
    nn.init.normal_(layer.weight, std=0.05)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
