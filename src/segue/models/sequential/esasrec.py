"""eSASRec: SASRec with gated transformer layers (LiGR) and a sampled softmax.

The vector s_i of an item plus that of its position is the input x_t of the first block. Each block computes, from all
x_s with s <= t:

    n_t = LN(x_t)
    a_t = x_t + sigma(G x_t + g) * (O (sum over s <= t of  softmax_s(Q n_t . K n_s / sqrt(d)) V n_s) + o)
    f_t = LN(a_t)
    x_t = a_t + sigma(H a_t + h) * W3 (silu(W1 f_t) * W2 f_t)
    score of item i after position t = x_t of the last block . s_i

Q, K and V have a bias each, and the attention has `num_heads` heads. A gate sigma(...) decides for each number of a
vector how much of the attention, or of the feed-forward network (SwiGLU), is added to it. Positions may be read in
another way, and times may be read too (`segue.nn.positions`).

The loss of a target is that of a softmax over the target and sampled negatives.

Sources: Tikhonovich, Zelinskiy, Petrov, Spirin, Semenov, Savchenko and Kuliev, "eSASRec: enhancing transformer-based
recommendations in a modular fashion", RecSys 2025; for the layer, Borisyuk et al., "From features to transformers:
redefining ranking for scalable impact", arXiv:2502.03417, 2025.

Differs from the authors' program (github.com/blondered/transformer_benchmark) in:
  * the negatives are drawn once for a batch and shared by its targets, where the program draws them for each target;
  * all items of a user are trained on, where the program trains on the last window (`coverage`).
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from segue.config import Field
from segue.models.base.model import Sizes
from segue.models.base.transformer import CausalTransformer, CausalTransformerConfig
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.self_attention import SelfAttention


class ESASRecConfig(CausalTransformerConfig):
    """Settings of eSASRec."""

    lr: float = 4e-3
    ffn_factor: int = Field(
        4, ge=1, description="Hidden size of the feed-forward network, as a multiple of embedding_dim."
    )


class ESASRec(CausalTransformer):
    """A causal transformer of gated layers over the item sequence."""

    name = "esasrec"
    Config = ESASRecConfig
    config: ESASRecConfig
    training_cost = "high"
    presets: ClassVar = {
        "author": {
            "loss": "sampled-ce",
            "negative_sampling": "shared",
            "num_negatives": 256,
            "sample_alpha": 0.0,
            "logq_correction": False,
            "coverage": "last",
            "window": 200,
            "dropout": 0.1,
            "lr": 1e-3,
            "epochs": 100,
        },
    }

    def __init__(self, config: ESASRecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.final_norm = nn.Identity()
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.xavier_normal_(weight)
        for table in (self.item_embedding, *self.event_tables):
            zero_padding(table)
        self.encode("item_embedding")

    def block(self) -> LiGRBlock:
        return LiGRBlock(self.config)


class LiGRBlock(nn.Module):
    """Causal self-attention and a SwiGLU feed-forward network; a gate weighs what each of them adds."""

    def __init__(self, config: ESASRecConfig) -> None:
        super().__init__()
        dim, self.dropout = config.embedding_dim, config.dropout
        self.attention_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, config.num_heads, config.dropout, rotary=config.positions == "rotary")
        self.attention_gate, self.ffn_gate = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.feed_forward = SwiGLU(dim, config.ffn_factor * dim, config.dropout)

    def forward(
        self, x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B #h P P"], *, last_only: bool = False
    ) -> Float[Tensor, "B C d"]:
        """The output at every position (C = P), or with `last_only` at the newest position (C = 1)."""
        attended = self.attention(self.attention_norm(x), mask[:, :, -1:] if last_only else mask)  # (B, C, d)
        x = x[:, -1:].contiguous() if last_only else x
        x = x + self.attention_gate(x).sigmoid() * dropout(attended, self.dropout, self.training)
        output = self.feed_forward(self.ffn_norm(x))  # (B, C, d)
        return x + self.ffn_gate(x).sigmoid() * dropout(output, self.dropout, self.training)


class SwiGLU(nn.Module):
    """The feed-forward network  W3 (silu(W1 x) * W2 x)  (Shazeer, "GLU variants improve transformer", 2020).

    Args:
        dim: size d of the vectors.
        hidden_dim: size of the hidden layer.
        dropout_rate: dropout rate of the hidden layer in training.
    """

    def __init__(self, dim: int, hidden_dim: int, dropout_rate: float) -> None:
        super().__init__()
        self.dropout = dropout_rate
        self.input = nn.Linear(dim, 2 * hidden_dim, bias=False)  # W1, W2
        self.output = nn.Linear(hidden_dim, dim, bias=False)  # W3

    def forward(self, x: Float[Tensor, "B C d"]) -> Float[Tensor, "B C d"]:
        gate, value = linear_2d(self.input, x).chunk(2, -1)  # (B, C, f) each
        hidden = nn.functional.silu(gate) * value
        return linear_2d(self.output, dropout(hidden, self.dropout, self.training))
