"""Cross-entropy over all items, without ever holding the scores of all targets.

A batch of 4,096 targets and 35,000 items has 143 million scores: half a gigabyte, written and read several times over
by a loss and its gradient. Here a few hundred targets at a time are scored into a buffer that stays in the cache, and
their share of the gradient is taken before the next are.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_BYTES = 6_000_000


def all_items_cross_entropy(
    query: Float[Tensor, "n d"], table: Float[Tensor, "I d"], target: Int[Tensor, "n"], *, sigmoid_scores: bool = False
) -> Float[Tensor, ""]:
    """Sum over targets of  -log softmax(query . item)[target]  over items 1..I; row 0 of `table` is padding.

    With `sigmoid_scores` it is the softmax of sigma(query . item).
    """
    loss: Tensor = _CrossEntropy.apply(query, table, target, sigmoid_scores)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, target: Tensor, sigmoid_scores: bool) -> Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        items = table[1:]
        block = max(1, BLOCK_BYTES // (items.element_size() * max(len(items), 1)))
        buffer = query.new_empty(min(block, len(query)), len(items))
        loss = query.new_zeros(())
        by_query = torch.empty_like(query) if wanted else None
        by_table = torch.zeros_like(table) if wanted else None
        for begin in range(0, len(query), block):
            some, right = query[begin : begin + block], target[begin : begin + block, None] - 1
            scores = torch.mm(some, items.T, out=buffer[: len(some)])
            steep = scores.sigmoid_() * (1 - scores) if sigmoid_scores else None
            own = scores.gather(1, right)
            top = scores.amax(1, keepdim=True)
            total = scores.sub_(top).exp_().sum(1, keepdim=True)
            loss += (total.log() + top - own).sum()
            if by_query is not None and by_table is not None:
                scores.div_(total).scatter_add_(1, right, -torch.ones_like(own))
                if steep is not None:
                    scores.mul_(steep)
                torch.mm(scores, items, out=by_query[begin : begin + block])
                by_table[1:].addmm_(scores.T, some)
        if wanted:
            ctx.save_for_backward(by_query, by_table)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        by_query, by_table = ctx.saved_tensors
        return by_query * gradient, by_table * gradient, None, None
