"""Self-attention with several heads: the attention itself, the causal mask, and the layer with its projections."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from segue.nn.dropout import dropout
from segue.nn.matmul import linear_2d
from segue.nn.positions import rotate
from segue.nn.recorder import record


def multi_head_attention(
    query: Float[Tensor, "B C d"],
    key_value: Float[Tensor, "B P k"],
    mask: Float[Tensor, "#B #h #C P"],
    *,
    num_heads: int,
    dropout_rate: float = 0.0,
    rotary: bool = False,
) -> Float[Tensor, "B C d"]:
    """Scaled dot-product attention of the last C positions to all P positions, in `num_heads` parts of the vectors.

        output_t = sum over s of  softmax_s(query_t . key_s / sqrt(size of a head) + mask_ts) value_s

    The softmax of the newest position is recorded as "attention" (`segue.nn.recorder`).

    Source: Vaswani et al., "Attention is all you need", NIPS 2017, section 3.2.

    Args:
        query: the query of each of the last C positions.
        key_value: the key of each position, followed by its value (k = 2 d).
        mask: added to the scores of all heads, or of each; -inf where a position is not seen.
        num_heads: number of heads; it divides d.
        dropout_rate: the share of the weights that is dropped; 0 in evaluation.
        rotary: whether queries and keys are turned by their positions first (`segue.nn.positions`).
    """
    head_dim = query.shape[2] // num_heads
    query = query.mul(head_dim**-0.5).unflatten(2, (num_heads, head_dim)).transpose(1, 2)  # (B, h, C, e)
    key, value = key_value.unflatten(2, (2, num_heads, head_dim)).permute(2, 0, 3, 1, 4)  # (B, h, P, e) each
    if rotary:
        query, key = rotate(query), rotate(key)
    weights = torch.softmax(query @ key.transpose(2, 3) + mask, -1)  # (B, h, C, P)
    record("attention", weights[:, :, -1])  # of the newest position
    output = dropout(weights, dropout_rate, training=True) @ value  # (B, h, C, e)
    return output.transpose(1, 2).flatten(2)  # (B, C, d)


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


class SelfAttention(nn.Module):
    """Attention of the positions of a sequence to each other, with a projection before and after it.

    Args:
        dim: size d of the vectors.
        num_heads: number of heads; it divides d.
        dropout_rate: dropout rate of the attention weights in training.
        rotary: whether queries and keys are turned by their positions.
    """

    def __init__(self, dim: int, num_heads: int, dropout_rate: float, *, rotary: bool = False) -> None:
        super().__init__()
        self.num_heads, self.dropout_rate, self.rotary = num_heads, dropout_rate, rotary
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "B P d"], mask: Float[Tensor, "#B #h C P"]) -> Float[Tensor, "B C d"]:
        """The output at the last C positions, where the mask has a row for each of them."""
        num_queries = mask.shape[2]
        attended = multi_head_attention(
            linear_2d(self.query, x[:, -num_queries:]),
            self.key_value(x),
            mask,
            num_heads=self.num_heads,
            dropout_rate=self.dropout_rate if self.training else 0.0,
            rotary=self.rotary,
        )
        return self.output(attended)
