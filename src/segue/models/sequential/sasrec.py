"""SASRec: self-attentive sequential recommendation.

Kang and McAuley, ICDM 2018. An item has one vector, read and recommended; x_t is that of the item at position t, times
sqrt(d), plus the vector of the position. Each of the blocks makes of all x_t up to position t:

    q_t = LN(x_t)
    a_t = q_t + sum over s <= t of  softmax_s(Q q_t . K x_s / sqrt(d)) V x_s     attention, cut into `num_heads` slices of d
    f_t = LN(a_t)
    x_t = f_t + W2 act(W1 f_t + b1) + b2                                         feed-forward net

and the query after position t is LN(x_t) of the last block. One pass answers at all positions, as nothing looks ahead.

This is the authors' program (github.com/kang205/SASRec), whose residual connections add what was normalised, and whose
keys and values are made of what was not. Departures: positions are counted from the newest item, so that padding
changes nothing; position vectors are learnt for as many as the window has; negatives are none of the user's own items.

The paper's loss, a single negative a target, is what holds it back (Klenitskiy and Vasilev, RecSys 2023): the default
is cross-entropy over all items. The preset `paper` has the paper's loss and settings; `sampled`, a sampled softmax of
cosines, is for catalogues of tens of thousands of items.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.sequences import CausalSequences
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.causal import CausalModel
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.optim import Adam, Optimizer, halving_lr
from segue.nn.recorder import record

EPS = 1e-8


class SASRecConfig(RankingConfig):
    """Settings of SASRec."""

    window: int = Field(50, ge=1, description="How many of the last items are read.")
    coverage: Literal["last", "all"] = Field(
        "all",
        description=(
            'Train on the "last" stretch of `window` items of each user, as the paper does, or on "all" of them.'
        ),
    )
    num_blocks: int = Field(2, ge=1, description="Layers of attention.")
    num_heads: int = Field(1, ge=1, description="Slices of the vectors that attend by themselves; they divide dim.")
    ffn_dim: int = Field(0, ge=0, description="Width of the feed-forward net; 0 for dim.")
    activation: Literal["relu", "gelu"] = Field("relu", description="Of the feed-forward net.")
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description=(
            "Share of the entries that training leaves out of what is read, of attention weights and of the "
            "feed-forward net."
        ),
    )
    constant_lr_steps: int = Field(
        0,
        ge=0,
        description="Steps at the full learning rate, which then halves every tenth as many; 0 for all of them.",
    )
    batch_size: int = 128

    def check(self) -> None:
        super().check()
        require(
            self.embedding_dim % self.num_heads == 0,
            f"num_heads={self.num_heads}: must divide embedding_dim={self.embedding_dim}",
        )


class SASRec(CausalModel):
    """Attention over the items so far."""

    name = "sasrec"
    Config = SASRecConfig
    config: SASRecConfig
    presets: ClassVar = {
        "paper": {"embedding_dim": 50, "loss": "bce", "coverage": "last", "dropout": 0.5, "epochs": 200},
        "sampled": {
            "loss": "sampled-ce",
            "negative_sampling": "shared",
            "num_negatives": 1024,
            "temperature": 0.08,
            "dropout": 0.3,
            "batch_size": 256,
            "lr": 5e-3,
        },
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "num_blocks": Choice(1, 2, 3),
        "num_heads": Choice(1, 2, 4),
        "dropout": Uniform(0.1, 0.6),
        "lr": LogUniform(5e-4, 5e-3),
        "batch_size": Choice(64, 128, 256),
    }

    def __init__(self, config: SASRecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * 0.02)
        zero_padding(self.item)
        self.place = nn.Parameter(torch.randn(config.window, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.rows_at_once = max(8, 2**19 // (config.num_heads * config.window**2))

    def optimizer(self) -> Optimizer:
        config = self.config
        return Adam(
            self.parameters(),
            lr=halving_lr(config.lr, config.constant_lr_steps) if config.constant_lr_steps else config.schedule,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
        )

    def stretches(self, log: Log) -> CausalSequences:
        return replace(super().stretches(log), coverage=self.config.coverage)

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After every item, or, where no question is asked, after the newest alone."""
        alone = batch.num_queries == 1
        history = batch.trimmed().history if alone else batch.history
        real = history > 0  # B P
        x = embedding(self.item, history) * math.sqrt(self.config.embedding_dim) + self.place[-history.shape[1] :]
        x = dropout(x, self.config.dropout, self.training) * real.unsqueeze(2)
        hidden = unseen(real)
        for number, block in enumerate(self.blocks, 1):
            newest = alone and number == len(self.blocks)
            x = block(x, hidden, newest=newest) * (real[:, -1:] if newest else real).unsqueeze(2)
        return self.norm(x)


def unseen(real: Bool[Tensor, "B P"]) -> Float[Tensor, "#B 1 P P"]:
    """-inf where the position of a row does not look: ahead, and at padding other than itself; 0 where it does."""
    places = real.shape[1]
    ahead = torch.ones(places, places, dtype=torch.bool, device=real.device).triu_(1)
    hidden = torch.zeros(places, places, device=real.device).masked_fill_(ahead, -torch.inf)
    if real.all():
        return hidden.view(1, 1, places, places)
    itself = torch.eye(places, dtype=torch.bool, device=real.device)
    return hidden.where(real.unsqueeze(1) | itself, -torch.inf).unsqueeze(1)


class Block(nn.Module):
    """Attention, then a feed-forward net."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        dim, inner = config.embedding_dim, config.ffn_dim or config.embedding_dim
        self.heads, self.dropout, self.activation = config.num_heads, config.dropout, config.activation
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.norm_inner = nn.LayerNorm(dim, eps=EPS)
        self.widen = nn.Linear(dim, inner)
        self.narrow = nn.Linear(inner, dim)

    def forward(
        self, x: Float[Tensor, "B P d"], hidden: Float[Tensor, "#B 1 P P"], *, newest: bool = False
    ) -> Float[Tensor, "B C d"]:
        """At every position, C = P, or at the newest alone, C = 1."""
        q = self.norm(x[:, -1:] if newest else x)
        a = q + self.attend(q, x, hidden[:, :, -q.shape[1] :])
        f = self.norm_inner(a)
        inner = self.widen(f)
        inner = nn.functional.gelu(inner) if self.activation == "gelu" else nn.functional.relu(inner)
        narrow = self.narrow(dropout(inner, self.dropout, self.training))
        return f + dropout(narrow, self.dropout, self.training)

    def attend(
        self, q: Float[Tensor, "B C d"], x: Float[Tensor, "B P d"], hidden: Float[Tensor, "#B 1 C P"]
    ) -> Float[Tensor, "B C d"]:
        """What each of the last C positions takes from those up to it."""
        size = q.shape[2] // self.heads
        query = self.query(q).mul(size**-0.5).unflatten(2, (self.heads, size)).transpose(1, 2)  # B h C e
        key, value = self.key_value(x).unflatten(2, (2, self.heads, size)).permute(2, 0, 3, 1, 4)  # B h P e
        weight = torch.softmax(query @ key.transpose(2, 3) + hidden, -1)
        record("attention", weight[:, :, -1])  # of the newest position
        return (dropout(weight, self.dropout, self.training) @ value).transpose(1, 2).flatten(2)
