"""NARM: a recurrent unit, and attention over what it remembered at each item.

Li, Ren, Chen, Ren, Lian and Ma, CIKM 2017. An item has one vector x, read and recommended; h_t is the state after item
t, zero before the first:

    r = sigma(W_r x + U_r h_(t-1)),  z = sigma(W_z x + U_z h_(t-1))
    n = tanh(W_n x + U_n (r * h_(t-1)))
    h_t = (1 - z) * h_(t-1) + z * n
    alpha_tj = v . sigma(A1 h_t + A2 h_j)                       j up to t
    c_t = [h_t ; sum over j of alpha_tj h_j]
    score of item i = x_i . B c_t

trained by cross-entropy over all items, with dropout on x and on c_t. The weights alpha are not normalised. The paper
trains on every prefix of a session as an example of its own; here one pass over a stretch answers at every item, as h_t
and alpha_tj know nothing of what follows: the walk is made once, and only alpha costs more for a later item.

Differs from the authors' program (github.com/lijingsdu/sessionRec_NARM), which the preset `author` follows where it
says so: it takes alpha through a softmax, has Theano's hard sigmoid in gates and attention, and adds biases to the
unit; it leaves dropped inputs unscaled in training and scales them in use instead; of a long session it keeps the first
19 items, with the label of the last. The preset `hcrnn` is the baseline of HCRNN's program (Song et al., AAAI 2019),
with softmax, plain sigmoids, and biases that at the start let h pass (1 for r, -1 for z).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.errors import require
from segue.models.base.causal import CausalModel, asked_of
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.recorder import record
from segue.nn.recurrent.gru import ResetBeforeGRUCell
from segue.nn.recurrent.packing import run


class NARMConfig(RankingConfig):
    """Settings of NARM."""

    embedding_dim: int = 50
    hidden_dim: int = Field(100, ge=1, description="Size of the state h.")
    window: int = Field(50, ge=1, description="How many of the last items are read.")
    attention_softmax: bool = Field(False, description="Whether a softmax normalises the attention weights.")
    gate_activation: Literal["sigmoid", "hard_sigmoid"] = Field(
        "sigmoid", description="Sigma in gates and attention: 'sigmoid', or its broken line ('hard')."
    )
    gru_bias: bool = Field(False, description="Whether the unit has biases.")
    gate_bias_init: float = Field(
        0.0,
        description=(
            "How far the biases lean towards keeping h at the start: that of r by as much above 0, that of z below."
        ),
    )
    dropout: float = Field(0.25, ge=0, lt=1, description="Share of the entries of x that training leaves out.")
    hidden_dropout: float = Field(0.5, ge=0, lt=1, description="The same of c_t.")
    batch_size: int = Field(128, description="Stretches of a batch.")
    epochs: int = 30

    def check(self) -> None:
        super().check()
        require(self.gru_bias or not self.gate_bias_init, f"gate_bias_init={self.gate_bias_init}: needs gru_bias=true")


class NARM(CausalModel):
    """A walk through the history, and attention over its states."""

    name = "narm"
    Config = NARMConfig
    config: NARMConfig
    presets: ClassVar = {
        "paper": {},
        "author": {"attention_softmax": True, "gate_activation": "hard_sigmoid", "gru_bias": True, "window": 19},
        "hcrnn": {
            "attention_softmax": True,
            "gru_bias": True,
            "gate_bias_init": 1.0,
            "embedding_dim": 100,
            "window": 100,
            "epochs": 200,
        },
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(50, 100, 150),
        "hidden_dim": Choice(50, 100, 200),
        "attention_softmax": Choice(False, True),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.0, 0.6),
        "lr": LogUniform(5e-4, 5e-3),
        "batch_size": Choice(64, 128, 256),
    }

    def __init__(self, config: NARMConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, units, self.window = config.embedding_dim, config.hidden_dim, config.window
        self.rows_at_once = max(8, 2**21 // config.window**2)
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * math.sqrt(2 / (sizes.num_items + 1)))
        zero_padding(self.item)
        self.unit = ResetBeforeGRUCell(
            dim, units, bias=config.gru_bias, hard_sigmoid=config.gate_activation == "hard_sigmoid"
        )
        for weight in self.unit.u.chunk(3):
            nn.init.orthogonal_(weight)
        if self.unit.b is not None:
            with torch.no_grad():
                self.unit.b.copy_(
                    torch.tensor([config.gate_bias_init, -config.gate_bias_init, 0.0]).repeat_interleave(units)
                )
        self.now = nn.Linear(units, units, bias=False)  # A1
        self.past = nn.Linear(units, units, bias=False)  # A2
        self.attention = nn.Parameter(torch.randn(units) * math.sqrt(2 / units))  # v
        self.decode = nn.Linear(2 * units, dim, bias=False)  # B
        for weight, ends in ((self.unit.w, dim), (self.now.weight, units), (self.past.weight, units)):
            nn.init.normal_(weight, std=math.sqrt(2 / ends))
        nn.init.normal_(self.decode.weight, std=math.sqrt(2 / dim))

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After every item, or, where no question is asked, after the newest alone."""
        history, asked = asked_of(batch)
        state = run(history, self._read, self.unit)
        record("reset gate", lambda: self._reset(history, state))
        return self.look_back(state, history > 0, asked)

    def look_back(self, state: Float[Tensor, "B P h"], real: Bool[Tensor, "B P"], last: int) -> Float[Tensor, "B C d"]:
        """B c_t of the `last` positions, from the states at all of them."""
        now, seen = state[:, state.shape[1] - last :], causal_attention_mask(real, last)
        query, key = linear_2d(self.now, now), linear_2d(self.past, state)
        alpha = additive_attention(query, key, self.attention, seen, hard=self.config.gate_activation == "hard_sigmoid")
        if self.config.attention_softmax:
            alpha = torch.softmax(alpha.masked_fill(~seen, torch.finfo(alpha.dtype).min), 2) * seen
        record("attention", alpha)
        context = torch.cat([now, alpha @ state], 2)
        return linear_2d(self.decode, dropout(context, self.config.hidden_dropout, self.training))

    def _read(self, item: Tensor) -> Tensor:
        return dropout(embedding(self.item, item), self.config.dropout, self.training)

    def _reset(self, history: Int[Tensor, "B P"], state: Float[Tensor, "B P h"]) -> Float[Tensor, "B h P"]:
        """r at each item, from the states before and after it."""
        before = nn.functional.pad(state[:, :-1], (0, 0, 1, 0))
        return self.unit.gates(embedding(self.item, history), before)[0].transpose(1, 2)
