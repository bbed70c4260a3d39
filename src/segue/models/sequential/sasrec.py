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
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from segue.config import Field
from segue.models.base.model import Sizes
from segue.models.base.transformer import CausalTransformer, CausalTransformerConfig
from segue.nn.dropout import dropout
from segue.nn.optim import Adam, Optimizer, halving_lr
from segue.nn.self_attention import multi_head_attention

_EPS = 1e-8


class SASRecConfig(CausalTransformerConfig):
    """Settings of SASRec."""

    renamed: ClassVar[dict[str, str]] = {
        "blocks": "num_blocks",
        "heads": "num_heads",
        "inner": "ffn_dim",
        "steady": "constant_lr_steps",
    }
    ffn_dim: int = Field(0, ge=0, description="Hidden size of the feed-forward network; 0 for embedding_dim.")
    activation: Literal["relu", "gelu"] = Field("relu", description="Activation of the feed-forward network.")
    constant_lr_steps: int = Field(
        0,
        ge=0,
        description=(
            "Number of steps at the full learning rate. Afterwards it is halved every constant_lr_steps / 10 steps. "
            "0 keeps it constant."
        ),
    )


class SASRec(CausalTransformer):
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

    def __init__(self, config: SASRecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes, input_scale=math.sqrt(config.embedding_dim))
        self.final_norm = nn.LayerNorm(config.embedding_dim, eps=_EPS)

    def block(self) -> TransformerBlock:
        return TransformerBlock(self.config)

    def optimizer(self) -> Optimizer:
        config = self.config
        if not config.constant_lr_steps:
            return super().optimizer()
        lr = halving_lr(config.lr, config.constant_lr_steps)
        return Adam(self.parameters(), lr=lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))


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
        a = q + multi_head_attention(
            self.query(q),
            self.key_value(x),
            mask[:, :, -q.shape[1] :],
            num_heads=self.num_heads,
            dropout_rate=self.dropout if self.training else 0.0,
        )
        f = self.ffn_norm(a)
        hidden = self.ffn_in(f)  # (B, C, f)
        hidden = nn.functional.gelu(hidden) if self.activation == "gelu" else nn.functional.relu(hidden)
        output = self.ffn_out(dropout(hidden, self.dropout, self.training))  # (B, C, d)
        return f + dropout(output, self.dropout, self.training)
