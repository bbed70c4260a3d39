"""`SASRecNetwork`: the causal transformer of SASRec, which `sasrec` and `gsasrec` train with different losses.

The item embeddings are shared by input and output. The embedding s_i of an item, times sqrt(d), plus that of its
position is the input x_t of the first block. Each block computes, from all x_s with s <= t:

    q_t = LN(x_t)
    a_t = q_t + sum over s <= t of  softmax_s(Q q_t . K x_s / sqrt(d)) V x_s     self-attention with `num_heads` heads
    f_t = LN(a_t)
    x_t = f_t + W2 act(W1 f_t + b1) + b2                                         feed-forward network
    score of item i after position t = LN(x_t of the last block) . s_i

Positions may be read in another way, and times may be read too (`segue.nn.positions`).

Source: Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018.
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
    """Settings of SASRec's network."""

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


class SASRecNetwork(CausalTransformer):
    """Base class of models with the network of SASRec."""

    config: SASRecConfig

    def __init__(self, config: SASRecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes, input_scale=math.sqrt(config.embedding_dim))
        self.final_norm = nn.LayerNorm(config.embedding_dim, eps=_EPS)

    def block(self) -> SASRecBlock:
        return SASRecBlock(self.config)

    def optimizer(self) -> Optimizer:
        config = self.config
        if not config.constant_lr_steps:
            return super().optimizer()
        lr = halving_lr(config.lr, config.constant_lr_steps)
        return Adam(self.parameters(), lr=lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))


class SASRecBlock(nn.Module):
    """Causal multi-head self-attention followed by a position-wise feed-forward network.

    Residual connections add the normalised input, as in the authors' program; the paper adds the input itself.
    """

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        dim, ffn_dim = config.embedding_dim, config.ffn_dim or config.embedding_dim
        self.num_heads, self.dropout, self.activation = config.num_heads, config.dropout, config.activation
        self.rotary = config.positions == "rotary"
        self.attention_norm = nn.LayerNorm(dim, eps=_EPS)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.ffn_norm = nn.LayerNorm(dim, eps=_EPS)
        self.ffn_in = nn.Linear(dim, ffn_dim)
        self.ffn_out = nn.Linear(ffn_dim, dim)

    def forward(
        self, x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B #h P P"], *, last_only: bool = False
    ) -> Float[Tensor, "B C d"]:
        """The output at every position (C = P), or with `last_only` at the newest position (C = 1)."""
        q = self.attention_norm(x[:, -1:] if last_only else x)  # (B, C, d)
        a = q + multi_head_attention(
            self.query(q),
            self.key_value(x),
            mask[:, :, -q.shape[1] :],
            num_heads=self.num_heads,
            dropout_rate=self.dropout if self.training else 0.0,
            rotary=self.rotary,
        )
        f = self.ffn_norm(a)
        hidden = self.ffn_in(f)  # (B, C, f)
        hidden = nn.functional.gelu(hidden) if self.activation == "gelu" else nn.functional.relu(hidden)
        output = self.ffn_out(dropout(hidden, self.dropout, self.training))  # (B, C, d)
        return f + dropout(output, self.dropout, self.training)
