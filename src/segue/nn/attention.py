"""`additive_attention`: the scores of additive attention, for all queries of a batch in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.nn.hard_sigmoid import sigmoid_, sigmoid_grad

QUERIES = 8  # of a tile; those near the diagonal are computed for nothing
TILE = {"cpu": 2**17, "cuda": 2**25}  # numbers in a tile

Tile = tuple[slice, slice, slice]
"""Rows, queries, positions."""


def additive_attention(
    query: Float[Tensor, "B C h"],
    key: Float[Tensor, "B P h"],
    v: Float[Tensor, "h"],
    mask: Bool[Tensor, "B C P"],
    *,
    hard: bool = False,
) -> Float[Tensor, "B C P"]:
    """The scores  alpha_tj = v . sigma(query_t + key_j)  of additive attention, without a softmax.

    A batch of 41 rows of 50 items needs five million sigmoids with 100 hidden units. Plain torch stores them and writes
    them several times. This function replaces `sigmoid(query[:, :, None] + key[:, None]) @ v`: it computes a tile at a
    time, small enough for the processor's cache, and computes it again in the backward pass. A training step of NARM
    takes 2.4 times as long the plain way (benchmark row `handwritten`, part `additive-attention`).

    Source: Bahdanau et al., ICLR 2015.

    Args:
        query: the C queries of each row.
        key: the P keys of each row.
        v: the weight vector.
        mask: which positions each query attends to; the scores of the others are 0.
        hard: whether sigma is the hard sigmoid of `segue.nn.hard_sigmoid`.
    """
    if torch.compiler.is_exporting():
        return (sigmoid_(query.unsqueeze(2) + key.unsqueeze(1), hard) @ v) * mask
    alpha: Tensor = _AdditiveAttention.apply(query, key, v, mask, hard)
    return alpha


def causal_attention_mask(valid: Bool[Tensor, "B P"], num_queries: int) -> Bool[Tensor, "B C P"]:
    """Which positions each of the last positions of left-padded histories attends to: the items up to its own.

    Padding attends to nothing.

    >>> causal_attention_mask(torch.tensor([[False, True, True]]), 2).int()
    tensor([[[0, 1, 0],
             [0, 1, 1]]], dtype=torch.int32)
    """
    positions = valid.shape[1]
    offset = positions - num_queries
    causal = torch.ones(num_queries, positions, dtype=torch.bool, device=valid.device).tril_(offset)  # (C, P)
    return causal & valid.unsqueeze(1) & valid[:, offset:].unsqueeze(2)


class _AdditiveAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, v: Tensor, mask: Tensor, hard: bool) -> Tensor:
        ctx.save_for_backward(query, key, v, mask)
        ctx.hard = hard
        alpha = query.new_zeros(mask.shape)  # (B, C, P)
        for tile in _tiles(mask, len(v)):
            alpha[tile] = _sigmoids(query, key, tile, hard) @ v
        return alpha.mul_(mask)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, v, mask = ctx.saved_tensors
        grad = grad * mask
        grad_query, grad_key, grad_v = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(v)
        for tile in _tiles(mask, len(v)):
            rows, queries, positions = tile
            sigma, grad_alpha = _sigmoids(query, key, tile, ctx.hard), grad[tile]  # (b, c, p, h), (b, c, p)
            grad_v += grad_alpha.flatten() @ sigma.flatten(0, 2)
            grad_sum = sigmoid_grad(sigma, ctx.hard).mul_(grad_alpha.unsqueeze(3))  # multiplied by v at the end
            grad_query[rows, queries] = grad_sum.sum(2)
            grad_key[rows, positions] += grad_sum.sum(1)
        return grad_query.mul_(v), grad_key.mul_(v), grad_v, None, None


def _sigmoids(query: Tensor, key: Tensor, tile: Tile, hard: bool) -> Float[Tensor, "b c p h"]:
    rows, queries, positions = tile
    return sigmoid_(query[rows, queries].unsqueeze(2) + key[rows, positions].unsqueeze(1), hard)


def _tiles(mask: Bool[Tensor, "B C P"], hidden_dim: int) -> Iterator[Tile]:
    """Tiles that cover all entries of a causal mask; where neighbouring rows have similar lengths, few others."""
    batch, num_queries, positions = mask.shape
    if 0 in mask.shape:
        return
    first = mask[:, -1].to(torch.uint8).argmax(1).tolist()  # where the history of each row begins
    tile = TILE["cpu" if mask.device.type == "cpu" else "cuda"]
    rows = max(1, tile // (min(QUERIES, num_queries) * positions * hidden_dim))
    for row in range(0, batch, rows):
        begin = min(first[row : row + rows])
        for query in range(max(0, begin - (positions - num_queries)), num_queries, QUERIES):
            stop = min(query + QUERIES, num_queries)
            yield slice(row, row + rows), slice(query, stop), slice(begin, positions - num_queries + stop)
