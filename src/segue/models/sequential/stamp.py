"""STAMP: the last item, and attention to all of them that it and their mean direct.

Liu, Zeng, Mokhosi and Zhang, KDD 2018. An item has one vector x, read and recommended; x_t is that of the last:

    m_s = mean of x_1 .. x_t
    alpha_i = w_0 . sigma(W_1 x_i + W_2 x_t + W_3 m_s + b_a)
    m_a = sum over i of alpha_i x_i
    h_s = tanh(W_s m_a + b_s),  h_t = tanh(W_t x_t + b_t)
    score of item i = sigma(sum over k of h_s,k h_t,k x_i,k)

trained by cross-entropy over all items of the softmax of these scores. As a score lies between 0 and 1, no item is ever
given more than e times the chance of another: `sigmoid_scores=false` leaves sigma out, as others and the authors' program do.
Losses against negatives take scores without sigma; it changes no order. The paper trains on every prefix as an example
of its own; here one pass over a stretch answers at every item: means are running sums, and attention is causal.

Differs from the authors' program (github.com/uestcnlp/STAMP), which the preset `author` follows where it says so: it
adds m_s to m_a, has no sigma and no biases b_s, b_t, and another learning rate; it cuts vectors that it reads to length
1, and batches hold sessions of equal length. The preset `hcrnn` is the baseline of HCRNN's program (Song et al., AAAI
2019): the paper's equations, slower.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.models.base.causal import CausalModel, asked_of
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.recorder import record
from segue.nn.softmax_loss import all_items_cross_entropy


class STAMPConfig(RankingConfig):
    """Settings of STAMP."""

    embedding_dim: int = 100
    window: int = Field(50, ge=1, description="How many of the last items are read.")
    add_mean: bool = Field(False, description="Whether m_s is added to m_a.")
    sigmoid_scores: bool = Field(True, description="Whether cross-entropy over all items sees sigma(score).")
    mlp_bias: bool = Field(True, description="Whether h_s and h_t have biases.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the entries of x that training leaves out of what is read."
    )
    lr: float = 5e-3
    batch_size: int = Field(128, description="Stretches of a batch.")
    epochs: int = 30


class STAMP(CausalModel):
    """Attention without recurrence, met by the last item."""

    name = "stamp"
    Config = STAMPConfig
    config: STAMPConfig
    presets: ClassVar = {
        "paper": {},
        "author": {"add_mean": True, "sigmoid_scores": False, "mlp_bias": False, "lr": 3e-3},
        "hcrnn": {"window": 100, "lr": 1e-3, "epochs": 200},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(50, 100, 150),
        "add_mean": Choice(False, True),
        "sigmoid_scores": Choice(False),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(5e-4, 1e-2),
        "batch_size": Choice(64, 128, 256),
    }

    def __init__(self, config: STAMPConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.rows_at_once = max(8, 2**21 // config.window**2)
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * 0.002)
        zero_padding(self.item)
        self.past = _linear(dim, bias=False)  # W_1
        self.last = _linear(dim, bias=False)  # W_2
        self.whole = _linear(dim, bias=True)  # W_3, b_a
        self.attention = nn.Parameter(torch.randn(dim) * 0.05)  # w_0
        self.general = _linear(dim, bias=config.mlp_bias)  # W_s, b_s
        self.current = _linear(dim, bias=config.mlp_bias)  # W_t, b_t

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """h_s * h_t after every item, or, where no question is asked, after the newest alone."""
        history, last = asked_of(batch)
        real = history > 0
        x = dropout(embedding(self.item, history), self.config.dropout, self.training)  # padding is zeros
        now = x[:, x.shape[1] - last :]
        mean = (x.cumsum(1) / real.cumsum(1)[:, :, None].clamp(min=1))[:, -last:]
        query, key = linear_2d(self.last, now) + linear_2d(self.whole, mean), linear_2d(self.past, x)
        alpha = additive_attention(query, key, self.attention, causal_attention_mask(real, last))
        record("attention", alpha)
        general = alpha @ x + mean if self.config.add_mean else alpha @ x
        return torch.tanh(linear_2d(self.general, general)) * torch.tanh(linear_2d(self.current, now))

    def _among_all(self, query: Float[Tensor, "n d"], target: Int[Tensor, "n"]) -> Float[Tensor, ""]:
        return all_items_cross_entropy(query, self.item_vectors(), target, sigmoid_scores=self.config.sigmoid_scores)


def _linear(dim: int, *, bias: bool) -> nn.Linear:
    """Weights drawn as in the authors' program."""
    layer = nn.Linear(dim, dim, bias=bias)
    nn.init.normal_(layer.weight, std=0.05)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
