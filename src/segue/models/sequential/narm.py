"""NARM: neural attentive recommendation machine.

A gated recurrent unit (GRU) reads the session. An attention layer compares its last state with all states, and the last
state together with the attention summary is decoded into a query. The item embeddings are shared by input and output.
With x the embedding of item t and h_t the state after it (zero before the first):

    r = sigma(W_r x + U_r h_(t-1)),  z = sigma(W_z x + U_z h_(t-1))
    n = tanh(W_n x + U_n (r * h_(t-1)))
    h_t = (1 - z) * h_(t-1) + z * n
    alpha_tj = v . sigma(A1 h_t + A2 h_j)                       for j up to t
    c_t = [h_t ; sum over j of alpha_tj h_j]
    score of item i = x_i . B c_t

The loss is cross-entropy over all items, with dropout on x and on c_t. The attention weights alpha are not normalised.

Source: Li, Ren, Chen, Ren, Lian and Ma, "Neural attentive session-based recommendation", CIKM 2017.

The paper trains on each prefix of a session as an example of its own. Here one pass over a subsequence gives the query
after every item, since h_t and alpha_tj do not depend on later items.

Differs from the authors' program (github.com/lijingsdu/sessionRec_NARM) in:
  * the program normalises alpha by a softmax, uses Theano's hard sigmoid in gates and attention, and adds biases to
    the GRU; the preset `author` does so too;
  * the program does not scale dropped inputs in training, but when scoring;
  * of a long session the program keeps the first 19 items, with the last item as the target.
The preset `hcrnn` is the baseline of HCRNN's program (Song et al., AAAI 2019): attention softmax, plain sigmoids, and
initial biases of the gates (1 for r, -1 for z) that let h pass.
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
from segue.models.base.causal import CausalModel, history_and_query_count
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.recorder import record
from segue.nn.recurrent.gru import ResetBeforeGRUCell
from segue.nn.recurrent.packing import run_recurrence


class NARMConfig(RankingConfig):
    """Settings of NARM."""

    renamed: ClassVar[dict[str, str]] = {
        "units": "hidden_dim",
        "attention": "attention_softmax",
        "gates": "gate_activation",
        "bias": "gru_bias",
        "keep": "gate_bias_init",
    }
    renamed_values: ClassVar[dict[str, dict[str, str]]] = {"gate_activation": {"hard": "hard_sigmoid"}}
    embedding_dim: int = 50
    hidden_dim: int = Field(100, ge=1, description="Size of the state h of the GRU.")
    window: int = Field(50, ge=1, description="Number of most recent items that are read.")
    attention_softmax: bool = Field(False, description="Whether a softmax normalises the attention weights.")
    gate_activation: Literal["sigmoid", "hard_sigmoid"] = Field(
        "sigmoid", description="Activation of the gates and of the attention layer."
    )
    gru_bias: bool = Field(False, description="Whether the GRU has biases.")
    gate_bias_init: float = Field(
        0.0,
        description=(
            "Initial bias of the reset gate; that of the update gate is its negative. Positive values let the state "
            "pass. Needs gru_bias."
        ),
    )
    dropout: float = Field(0.25, ge=0, lt=1, description="Dropout rate of the input embeddings.")
    hidden_dropout: float = Field(0.5, ge=0, lt=1, description="Dropout rate of the session representation c_t.")
    batch_size: int = Field(128, description="Number of subsequences in one optimisation step.")
    epochs: int = 30

    def check(self) -> None:
        super().check()
        require(self.gru_bias or not self.gate_bias_init, f"gate_bias_init={self.gate_bias_init}: needs gru_bias=true")


class NARM(CausalModel):
    """A GRU over the session with attention over its states."""

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
        dim, hidden_dim, self.window = config.embedding_dim, config.hidden_dim, config.window
        self.micro_batch_size = max(8, 2**21 // config.window**2)
        self.hard_sigmoid = config.gate_activation == "hard_sigmoid"
        item_std = math.sqrt(2 / (sizes.num_items + 1))
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(item_std))
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.gru = ResetBeforeGRUCell(dim, hidden_dim, bias=config.gru_bias, hard_sigmoid=self.hard_sigmoid)
        for weight in self.gru.u.chunk(3):
            nn.init.orthogonal_(weight)
        if self.gru.b is not None:
            bias = torch.tensor([config.gate_bias_init, -config.gate_bias_init, 0.0])
            with torch.no_grad():
                self.gru.b.copy_(bias.repeat_interleave(hidden_dim))
        self.attention_query = nn.Linear(hidden_dim, hidden_dim, bias=False)  # A1
        self.attention_key = nn.Linear(hidden_dim, hidden_dim, bias=False)  # A2
        self.attention_vector = nn.Parameter(torch.randn(hidden_dim).mul_(math.sqrt(2 / hidden_dim)))  # v
        self.decoder = nn.Linear(2 * hidden_dim, dim, bias=False)  # B
        nn.init.normal_(self.gru.w, std=math.sqrt(2 / dim))
        nn.init.normal_(self.attention_query.weight, std=math.sqrt(2 / hidden_dim))
        nn.init.normal_(self.attention_key.weight, std=math.sqrt(2 / hidden_dim))
        nn.init.normal_(self.decoder.weight, std=math.sqrt(2 / dim))

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """B c_t after every item, or after the newest one alone in a batch that is only scored."""
        history, count = history_and_query_count(batch)  # (B, P)
        states = run_recurrence(history, self.input_vectors, self.gru)  # (B, P, h)
        record("reset gate", lambda: self.reset_gate(history, states))
        return self.attend(states, history > 0, count)

    def attend(self, states: Float[Tensor, "B P h"], valid: Bool[Tensor, "B P"], count: int) -> Float[Tensor, "B C d"]:
        """B c_t of the last `count` positions, from the GRU's states at all positions."""
        last, mask = states[:, states.shape[1] - count :], causal_attention_mask(valid, count)  # (B, C, h), (B, C, P)
        query, key = linear_2d(self.attention_query, last), linear_2d(self.attention_key, states)
        alpha = additive_attention(query, key, self.attention_vector, mask, hard=self.hard_sigmoid)  # (B, C, P)
        if self.config.attention_softmax:
            alpha = torch.softmax(alpha.masked_fill(~mask, torch.finfo(alpha.dtype).min), 2) * mask
        record("attention", alpha)
        session = torch.cat([last, alpha @ states], 2)  # (B, C, 2 h)
        return linear_2d(self.decoder, dropout(session, self.config.hidden_dropout, self.training))

    def input_vectors(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """The embeddings of items, with dropout during training."""
        return dropout(self.encoded("item_embedding", item), self.config.dropout, self.training)

    def reset_gate(self, history: Int[Tensor, "B P"], states: Float[Tensor, "B P h"]) -> Float[Tensor, "B h P"]:
        """The reset gate r at each position, computed again from the state before it."""
        before = nn.functional.pad(states[:, :-1], (0, 0, 1, 0))  # (B, P, h)
        return self.gru.gates(self.encoded("item_embedding", history), before)[0].transpose(1, 2)
