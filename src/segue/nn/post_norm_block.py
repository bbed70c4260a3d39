"""`PostNormBlock`: the transformer block of BERT, in which each sum is normalised."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from segue.nn.dropout import dropout
from segue.nn.self_attention import SelfAttention

EPS = 1e-12


class PostNormBlock(nn.Module):
    """Self-attention and a feed-forward network; each adds to its input, and the sum is normalised.

        a = LN(x + attention(x))
        y = LN(a + W2 gelu(W1 a + b1) + b2)

    Source: Devlin, Chang, Lee and Toutanova, "BERT: pre-training of deep bidirectional transformers for language
    understanding", NAACL 2019.

    Args:
        dim: size d of the vectors.
        num_heads: number of attention heads; it divides d.
        ffn_dim: size of the hidden layer of the feed-forward network.
        dropout_rate: dropout rate of the attention weights and of what each part adds, in training.
    """

    def __init__(self, dim: int, *, num_heads: int, ffn_dim: int, dropout_rate: float) -> None:
        super().__init__()
        self.dropout = dropout_rate
        self.attention = SelfAttention(dim, num_heads, dropout_rate)
        self.attention_norm, self.ffn_norm = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.ffn_in = nn.Linear(dim, ffn_dim)
        self.ffn_out = nn.Linear(ffn_dim, dim)

    def forward(self, x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B 1 C P"]) -> Float[Tensor, "B C d"]:
        """The output at the last C positions, where the mask has a row for each of them."""
        attended = self.attention(x, mask)  # (B, C, d)
        x = x[:, -mask.shape[2] :].contiguous()
        a = self.attention_norm(x + dropout(attended, self.dropout, self.training))
        output = self.ffn_out(nn.functional.gelu(self.ffn_in(a)))
        return self.ffn_norm(a + dropout(output, self.dropout, self.training))
