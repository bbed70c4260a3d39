"""`additive_attention`: how much each position makes of each of those up to it, by a small net, for all positions in one pass.

    alpha_tj = v . sigma(query_t + key_j)        for j up to t, both of them items; 0 elsewhere

Bahdanau et al., ICLR 2015. A batch of 41 stretches of 50 items has five million of these sigmas at 100 units: autograd
would keep them and write them several times over. Here they are made a tile at a time, small enough for the
processor's cache, and made again on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.nn.hard_sigmoid import sigmoid_, slope

QUESTIONS = 8  # of a tile; those near the diagonal are made for nothing
TILE = {"cpu": 2**17, "cuda": 2**25}  # numbers

Tile = tuple[slice, slice, slice]
"""Rows, questions, positions."""


def additive_attention(
    query: Float[Tensor, "B C h"],
    key: Float[Tensor, "B P h"],
    v: Float[Tensor, "h"],
    seen: Bool[Tensor, "B C P"],
    *,
    hard: bool = False,
) -> Float[Tensor, "B C P"]:
    """alpha where `seen`, else 0; with `hard`, sigma is the broken line of `layers.sigmoid`."""
    alpha: Tensor = _Additive.apply(query, key, v, seen, hard)
    return alpha


def causal_attention_mask(real: Bool[Tensor, "B P"], questions: int) -> Bool[Tensor, "B C P"]:
    """What each of the last positions of left-padded histories sees: the items up to its own; padding sees nothing.

    >>> causal_attention_mask(torch.tensor([[False, True, True]]), 2).int()
    tensor([[[0, 1, 0],
             [0, 1, 1]]], dtype=torch.int32)
    """
    places = real.shape[1]
    behind = torch.ones(questions, places, dtype=torch.bool, device=real.device).tril_(places - questions)
    return behind & real.unsqueeze(1) & real[:, places - questions :].unsqueeze(2)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, v: Tensor, seen: Tensor, hard: bool) -> Tensor:
        ctx.save_for_backward(query, key, v, seen)
        ctx.hard = hard
        alpha = query.new_zeros(seen.shape)
        for tile in _tiles(seen, len(v)):
            alpha[tile] = _sigmas(query, key, tile, hard) @ v
        return alpha.mul_(seen)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, v, seen = ctx.saved_tensors
        gradient = gradient * seen
        by_query, by_key, by_v = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(v)
        for tile in _tiles(seen, len(v)):
            rows, questions, positions = tile
            sigma, by_alpha = _sigmas(query, key, tile, ctx.hard), gradient[tile]
            by_v += by_alpha.flatten() @ sigma.flatten(0, 2)
            steep = slope(sigma, ctx.hard).mul_(by_alpha.unsqueeze(3))  # v itself is left for the end
            by_query[rows, questions] = steep.sum(2)
            by_key[rows, positions] += steep.sum(1)
        return by_query.mul_(v), by_key.mul_(v), by_v, None, None


def _sigmas(query: Tensor, key: Tensor, tile: Tile, hard: bool) -> Float[Tensor, "b c p h"]:
    rows, questions, positions = tile
    return sigmoid_(query[rows, questions].unsqueeze(2) + key[rows, positions].unsqueeze(1), hard)


def _tiles(seen: Bool[Tensor, "B C P"], width: int) -> Iterator[Tile]:
    """Pieces that hold all that is seen; where neighbouring rows are of like length, little else."""
    batch, questions, places = seen.shape
    if 0 in seen.shape:
        return
    first = seen[:, -1].to(torch.uint8).argmax(1).tolist()  # of each row, where its history begins
    rows = max(1, TILE["cpu" if seen.device.type == "cpu" else "cuda"] // (min(QUESTIONS, questions) * places * width))
    for row in range(0, batch, rows):
        begin = min(first[row : row + rows])
        for question in range(max(0, begin - (places - questions)), questions, QUESTIONS):
            stop = min(question + QUESTIONS, questions)
            yield slice(row, row + rows), slice(question, stop), slice(begin, places - questions + stop)
