"""The loss of targets and their own negatives, with its gradients.

`target_loss` computes what `segue.models.base.ranking` writes in torch for BPR and binary cross-entropy. Its loop looks
up the vectors of the targets and negatives of one query, and uses them for scores and gradients while they are in the
cache. torch first copies the vectors of all targets and negatives, and later adds up a gradient for each: a training
step takes 1.7 times as long (benchmark row `handwritten`, part `target-loss`).
"""

from __future__ import annotations

from functools import cache
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.compiled.jit import Array, Loop, add, arrays, compile_loop, dot, inner_loop

BLOCK = 64  # queries at a time, whose items stay in the cache


def target_loss(
    query: Float[Tensor, "B C d"],
    table: Float[Tensor, "I d"],
    target: Int[Tensor, "B C T"],
    negatives: Int[Tensor, "B C T G"],
    *,
    pairwise: bool,
    beta: float = 1.0,
) -> Float[Tensor, ""]:
    """The loss summed over all targets; the gradient of `table` is added in place.

    Args:
        query: the query vectors.
        table: the item vectors, a leaf; row 0 is padding.
        target: the targets of each query; 0 where there is none.
        negatives: the negatives of each target; 0 where there is none.
        pairwise: whether the loss is BPR, averaged over the negatives, or binary cross-entropy.
        beta: the weight of the target in binary cross-entropy; see `segue.nn.losses.bce`.
    """
    item = torch.cat([target.unsqueeze(3), negatives], 3).flatten(0, 1)  # (B C, T, 1 + G)
    loss: Tensor = _TargetLoss.apply(query.flatten(0, 1), table, item, pairwise, beta)
    return loss


class _TargetLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, item: Tensor, pairwise: bool, beta: float) -> Tensor:
        query = query.contiguous()
        grad_query, grad_score = torch.empty_like(query), query.new_empty(item.shape)
        scores_and_loss, _ = for_dtype(query.dtype)
        loss = scores_and_loss(*arrays(query, table, item, grad_query, grad_score), pairwise, beta)
        ctx.kept = query, table, item, grad_query, grad_score
        return query.new_tensor(loss)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, table, item, grad_query, grad_score = ctx.kept
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        _, add_gradients = for_dtype(query.dtype)
        add_gradients(*arrays(query, item, grad_score, table.grad), float(grad))
        return grad_query * grad, None, None, None, None


@no_type_check
def _log_loss(x: float) -> tuple[float, float]:
    """-log sigma(-x) and its derivative."""
    small = np.exp(-abs(x))
    return max(x, 0.0) + np.log1p(small), (1.0 if x > 0 else small) / (1.0 + small)


log_loss = inner_loop(_log_loss)


@no_type_check
def _losses(item: Array, score: Array, pairwise: bool, beta: float) -> float:
    """The sum of the losses of some targets with their negatives; their scores (n, T, 1 + G) become the gradients."""
    loss = 0.0
    for n in range(item.shape[0]):
        for t in range(item.shape[1]):
            is_target, positive, count = item[n, t, 0] > 0, score[n, t, 0], 0
            score[n, t, 0] = 0
            for g in range(1, item.shape[2]):
                count += item[n, t, g] > 0
            if is_target and not pairwise:
                value, grad = log_loss(-positive)
                loss += beta * value
                score[n, t, 0] = -beta * grad
            for g in range(1, item.shape[2]):
                if not (is_target and item[n, t, g]):
                    score[n, t, g] = 0
                elif pairwise:
                    value, grad = log_loss(score[n, t, g] - positive)
                    loss += value / count
                    score[n, t, g] = grad / count
                    score[n, t, 0] -= grad / count
                else:
                    value, score[n, t, g] = log_loss(score[n, t, g])
                    loss += value
    return loss


losses = inner_loop(_losses)


@no_type_check
def _scores_and_loss(
    query: Array, table: Array, item: Array, grad_query: Array, grad_score: Array, pairwise: bool, beta: float
) -> float:
    """The loss; `grad_query` (n, d) and `grad_score` (n, T, 1 + G) become its gradients."""
    (count, num_targets, width), loss = item.shape, 0.0
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        for n in range(first, last):
            for t in range(num_targets):
                for g in range(width):
                    grad_score[n, t, g] = dot(query, n, table, np.uint64(item[n, t, g]))  # the score for now
        loss += losses(item[first:last], grad_score[first:last], pairwise, beta)
        grad_query[first:last] = 0
        for n in range(first, last):
            for t in range(num_targets):
                for g in range(width):
                    add(grad_query, n, grad_score[n, t, g], table, np.uint64(item[n, t, g]))
    return loss


@no_type_check
def _add_gradients(query: Array, item: Array, grad_score: Array, grad: Array, scale: float) -> None:
    """Add to the rows of `grad` the gradients of the items of each query; padding has none."""
    count, num_targets, width = item.shape
    for n in range(count):
        for t in range(num_targets):
            for g in range(width):
                of_score = query.dtype.type(grad_score[n, t, g] * scale)
                if of_score:
                    add(grad, np.uint64(item[n, t, g]), of_score, query, n)


@cache
def for_dtype(dtype: torch.dtype) -> tuple[Loop, Loop]:
    """The two loops for arrays of `dtype`."""
    rows, item, score = "F[:, ::1]", "i8[:, :, ::1]", "F[:, :, ::1]"
    return (
        compile_loop(_scores_and_loss, f"f8({rows}, {rows}, {item}, {rows}, {score}, b1, f8)", dtype),
        compile_loop(_add_gradients, f"void({rows}, {item}, {score}, {rows}, f8)", dtype),
    )


for_dtype(torch.float32)
