"""SASRec: self-attentive sequential recommendation.

A causal transformer reads the last `window` items of a history and predicts the next item after each position. The
item embeddings are shared by input and output. The embedding s_i of an item, times sqrt(d), plus that of its position
is the input x_t of the first block. Each block computes, from all x_s with s <= t:

    q_t = LN(x_t)
    a_t = q_t + sum over s <= t of  softmax_s(Q q_t . K x_s / sqrt(d)) V x_s     self-attention with `num_heads` heads
    f_t = LN(a_t)
    x_t = f_t + W2 act(W1 f_t + b1) + b2                                         feed-forward network
    score of item i after position t = LN(x_t of the last block) . s_i

Source: Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018.

Like the authors' program (github.com/kang205/SASRec), residual connections add the normalised input, and keys and
values are computed from the input that is not normalised. Differs from the authors' program in:
  * positions are counted from the newest item, so padding changes nothing;
  * there are as many position embeddings as the window has items;
  * sampled negatives are items that the user has no event with.

The paper's loss, with one negative per target, limits its quality (Klenitskiy and Vasilev, RecSys 2023). The default is
cross-entropy over all items. The preset `paper` has the paper's loss and settings. The preset `sampled` is a sampled
softmax of cosine similarities, for catalogues of tens of thousands of items.
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
from segue.models.base.causal import CausalModel
from segue.models.base.model import Sizes
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.base.transformer import TransformerConfig
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.optim import Adam, Optimizer, halving_lr
from segue.nn.recorder import record

_EPS = 1e-8


class SASRecConfig(TransformerConfig):
    """Settings of SASRec."""

    renamed: ClassVar[dict[str, str]] = {
        "cover": "coverage",
        "blocks": "num_blocks",
        "heads": "num_heads",
        "inner": "ffn_dim",
        "steady": "constant_lr_steps",
    }
    coverage: Literal["last", "all"] = Field(
        "all",
        description=(
            "Which items of a user are trained on: the last window alone, as in the paper, or all, in one "
            "subsequence of window items after another."
        ),
    )
    ffn_dim: int = Field(0, ge=0, description="Hidden size of the feed-forward network; 0 for embedding_dim.")
    activation: Literal["relu", "gelu"] = Field("relu", description="Activation of the feed-forward network.")
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate of the input embeddings, the attention weights and the feed-forward network.",
    )
    constant_lr_steps: int = Field(
        0,
        ge=0,
        description=(
            "Number of steps at the full learning rate. Afterwards it is halved every constant_lr_steps / 10 steps. "
            "0 keeps it constant."
        ),
    )


class SASRec(CausalModel):
    """A causal transformer over the item sequence."""

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
    skips_padding = "inside"

    def __init__(self, config: SASRecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(0.02))
        zero_padding(self.item_embedding)
        self.position_embedding = nn.Parameter(torch.randn(config.window, dim).mul_(0.02))
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_blocks))
        self.final_norm = nn.LayerNorm(dim, eps=_EPS)
        self.micro_batch_size = max(8, 2**19 // (config.num_heads * config.window**2))

    def optimizer(self) -> Optimizer:
        config = self.config
        return Adam(
            self.parameters(),
            lr=halving_lr(config.lr, config.constant_lr_steps) if config.constant_lr_steps else config.schedule,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
        )

    def training_sequences(self, log: Log) -> CausalSequences:
        return replace(super().training_sequences(log), coverage=self.config.coverage)

    @property
    def item_embeddings(self) -> Float[Tensor, "I d"]:
        return self.item_embedding

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query after every item, or after the newest one alone in a batch that is only scored."""
        last_only = batch.num_queries == 1
        history = batch.trimmed().history if last_only else batch.history  # (B, P)
        valid = history > 0  # (B, P)
        x = embedding(self.item_embedding, history) * math.sqrt(self.config.embedding_dim)  # (B, P, d)
        x = x + self.position_embedding[-history.shape[1] :]
        x = dropout(x, self.config.dropout, self.training) * valid.unsqueeze(2)
        mask = causal_mask(valid)
        for number, block in enumerate(self.blocks, 1):
            newest = last_only and number == len(self.blocks)  # the last block computes what is used alone
            x = block(x, mask, last_only=newest) * (valid[:, -1:] if newest else valid).unsqueeze(2)  # (B, C, d)
        return self.final_norm(x)


def causal_mask(valid: Bool[Tensor, "B P"]) -> Float[Tensor, "#B 1 P P"]:
    """An additive attention mask: -inf at later positions and at padding, 0 elsewhere.

    A padded position attends to itself, so that no row of the softmax is empty.
    """
    length = valid.shape[1]
    future = torch.ones(length, length, dtype=torch.bool, device=valid.device).triu_(1)
    mask = torch.zeros(length, length, device=valid.device).masked_fill_(future, -torch.inf)  # (P, P)
    if not torch.compiler.is_exporting() and valid.all():
        return mask.view(1, 1, length, length)
    diagonal = torch.eye(length, dtype=torch.bool, device=valid.device)
    return mask.where(valid.unsqueeze(1) | diagonal, -torch.inf).unsqueeze(1)  # (B, 1, P, P)


class TransformerBlock(nn.Module):
    """Causal multi-head self-attention followed by a position-wise feed-forward network.

    Residual connections add the normalised input, as in the authors' program; the paper adds the input itself.
    """

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        dim, ffn_dim = config.embedding_dim, config.ffn_dim or config.embedding_dim
        self.num_heads, self.dropout, self.activation = config.num_heads, config.dropout, config.activation
        self.attention_norm = nn.LayerNorm(dim, eps=_EPS)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.ffn_norm = nn.LayerNorm(dim, eps=_EPS)
        self.ffn_in = nn.Linear(dim, ffn_dim)
        self.ffn_out = nn.Linear(ffn_dim, dim)

    def forward(
        self, x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B 1 P P"], *, last_only: bool = False
    ) -> Float[Tensor, "B C d"]:
        """The output at every position (C = P), or with `last_only` at the newest position (C = 1)."""
        q = self.attention_norm(x[:, -1:] if last_only else x)  # (B, C, d)
        a = q + self.self_attention(q, x, mask[:, :, -q.shape[1] :])
        f = self.ffn_norm(a)
        hidden = self.ffn_in(f)  # (B, C, f)
        hidden = nn.functional.gelu(hidden) if self.activation == "gelu" else nn.functional.relu(hidden)
        output = self.ffn_out(dropout(hidden, self.dropout, self.training))  # (B, C, d)
        return f + dropout(output, self.dropout, self.training)

    def self_attention(
        self, q: Float[Tensor, "B C d"], x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B 1 C P"]
    ) -> Float[Tensor, "B C d"]:
        """Attention of the last C positions to all positions that the mask allows."""
        head_dim = q.shape[2] // self.num_heads
        query = (
            self.query(q).mul(head_dim**-0.5).unflatten(2, (self.num_heads, head_dim)).transpose(1, 2)
        )  # (B, h, C, e)
        key_value = self.key_value(x).unflatten(2, (2, self.num_heads, head_dim))  # (B, P, 2, h, e)
        key, value = key_value.permute(2, 0, 3, 1, 4)  # (B, h, P, e) each
        weights = torch.softmax(query @ key.transpose(2, 3) + mask, -1)  # (B, h, C, P)
        record("attention", weights[:, :, -1])  # of the newest position
        output = dropout(weights, self.dropout, self.training) @ value  # (B, h, C, e)
        return output.transpose(1, 2).flatten(2)  # (B, C, d)
