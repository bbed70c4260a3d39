"""Losses of targets among distinct shared negatives, with their gradients.

They are those of `segue.nn.losses.GRADIENTS`, where a negative that was drawn w times is one column with the weight w:

    loss, gradient (n, S) = loss(score (n, S), negatives)

A loss may overwrite the scores; `top1` and `bpr_max` keep those that have a gradient. Exponentials and sigmoids stay in
torch, whose kernels use the processor's vector instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from torch import Tensor

from segue.nn.compiled.jit import Array, Loop, arrays, compile_loop
from segue.nn.losses import LOW, TINY

LOG2_E = 1 / math.log(2)


class Negatives(NamedTuple):
    """The distinct items that are scored.

    Attributes:
        drawn: (S,) how often each is among the shared negatives; 0 for the last columns, which are padding.
        column: (n,) the column of each target, which is no negative of its row; -1 for a row without a target.
        log_expected_count: (S,) what sampled cross-entropy subtracts from the scores of negatives; None for nothing.
    """

    drawn: Tensor
    column: Tensor
    log_expected_count: Tensor | None = None


WeightedLoss = Callable[[Tensor, Negatives], tuple[float, Tensor]]


def top1(score: Tensor, negatives: Negatives) -> tuple[float, Tensor]:
    """TOP1 loss; see `segue.nn.losses.top1`."""
    _, positive = _positive(score, negatives.column)
    above = (score - positive.unsqueeze(1)).sigmoid_()
    large = score.square().sigmoid_()
    return for_dtype(score.dtype).top1(*arrays(score, *negatives[:2], above, large)), above


def bpr_max(score: Tensor, negatives: Negatives, bpreg: float = 1.0) -> tuple[float, Tensor]:
    """BPR-max loss; see `segue.nn.losses.bpr_max_with_grad`, which has its gradient."""
    place, positive = _positive(score, negatives.column)
    score[:, int(negatives.drawn.count_nonzero()) :] = LOW
    score.scatter_(1, place, LOW)
    sigma = (positive.unsqueeze(1) - score).sigmoid_()
    weight = (score - score.amax(1, keepdim=True)).mul_(LOG2_E).exp2_()
    return for_dtype(score.dtype).bpr_max(*arrays(score, positive, *negatives[:2], sigma, weight), bpreg), weight


def sampled_cross_entropy(score: Tensor, negatives: Negatives) -> tuple[float, Tensor]:
    """Sampled cross-entropy; see `segue.nn.losses.sampled_cross_entropy_with_grad`."""
    place, positive = _positive(score, negatives.column)
    offset = negatives.drawn.log()
    if negatives.log_expected_count is not None:
        offset -= negatives.log_expected_count
    score.add_(offset).scatter_(1, place, positive.unsqueeze(1))
    top = score.amax(1)
    score.sub_(top.unsqueeze(1)).mul_(LOG2_E).exp2_()  # torch's exp takes three times as long
    return for_dtype(score.dtype).cross_entropy(*arrays(score, negatives.column, top.sub_(positive))), score


def _positive(score: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """The columns (n, 1) and the scores (n,) of the targets; the first column for a row without one."""
    place = column.clamp(min=0).unsqueeze(1)
    return place, score.gather(1, place).squeeze(1)


@no_type_check
def _cross_entropy(score: Array, column: Array, above: Array) -> float:
    """From e^(score - maximum), and the maxima minus the scores of the targets."""
    loss = 0.0
    for b in range(score.shape[0]):
        if column[b] < 0:
            score[b] = 0
            continue
        total = score.dtype.type(0)
        for j in range(score.shape[1]):
            total += score[b, j]
        loss += np.log(total) + above[b]
        factor = score.dtype.type(1) / total
        for j in range(score.shape[1]):
            score[b, j] *= factor
        score[b, column[b]] = np.expm1(-(np.log(total) + above[b]))
    return loss


@no_type_check
def _top1(score: Array, drawn: Array, column: Array, above: Array, large: Array) -> float:
    """From sigma(score - score of the target) and sigma(score^2)."""
    one, loss = score.dtype.type(1), 0.0
    count = drawn.sum()
    for b in range(score.shape[0]):
        c = column[b]
        if c < 0:
            above[b] = 0
            continue
        above[b, c] = large[b, c] = 0
        factor = one / max(count - drawn[c], one)
        total = of_target = score.dtype.type(0)
        for j in range(score.shape[1]):
            total += drawn[j] * (above[b, j] + large[b, j])
        for j in range(score.shape[1]):
            grad = drawn[j] * factor * above[b, j] * (one - above[b, j])
            of_target -= grad
            above[b, j] = grad + 2 * drawn[j] * factor * score[b, j] * large[b, j] * (one - large[b, j])
        above[b, c] = of_target
        loss += total * factor
    return loss


@no_type_check
def _bpr_max(
    score: Array, positive: Array, drawn: Array, column: Array, sigma: Array, weight: Array, bpreg: float
) -> float:
    """From sigma(score of the target - score) and e^(score - maximum); LOW is the score at targets and padding."""
    kind, loss = score.dtype.type, 0.0
    one, two, penalty = kind(1), kind(2), kind(bpreg)
    for b in range(score.shape[0]):
        c = column[b]
        total = product = squared = square = kind(0)
        if c >= 0:
            weight[b, c] = 0
            for j in range(score.shape[1]):
                weight[b, j] *= drawn[j]
                total += weight[b, j]
                product += weight[b, j] * sigma[b, j]
                squared += weight[b, j] * sigma[b, j] * sigma[b, j]
                square += weight[b, j] * score[b, j] * score[b, j]
            score[b, c] = positive[b]
        if total == 0:
            weight[b] = 0
            continue
        product, squared, square = product / total + kind(TINY), squared / total, square / total
        loss += bpreg * square - np.log(product)
        constant, share, factor = one - penalty * square, one / product, one / total
        for j in range(score.shape[1]):
            r = score[b, j]
            gradient = constant - share * sigma[b, j] * sigma[b, j] + penalty * (r + two) * r
            weight[b, j] *= factor * gradient
        weight[b, c] = squared / product - one
    return loss


class LossLoops(NamedTuple):
    """The loops for arrays of one type."""

    cross_entropy: Loop
    top1: Loop
    bpr_max: Loop


@cache
def for_dtype(dtype: torch.dtype) -> LossLoops:
    """The loops for arrays of `dtype`."""
    rows, weights, column = "F[:, ::1]", "F[::1]", "i8[::1]"
    return LossLoops(
        compile_loop(_cross_entropy, f"f8({rows}, {column}, {weights})", dtype),
        compile_loop(_top1, f"f8({rows}, {weights}, {column}, {rows}, {rows})", dtype),
        compile_loop(_bpr_max, f"f8({rows}, {weights}, {weights}, {column}, {rows}, {rows}, f8)", dtype),
    )


for_dtype(torch.float32)
