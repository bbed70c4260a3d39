"""The scores of HCRNN's attention over global contexts at one step, and their gradient.

    score of k = v . sigma(a + b_k)             a: H numbers of a row, new at each step;  b_k: H numbers of a row and k

b is constant in a sequence, so that e^-b is computed once: a step then needs a product, a sum and a reciprocal for each
of the K x H sigmoids, 1 / (1 + e^-a e^-b), and no exponential. This replaces `sigmoid(a + b) @ v` under autograd
(benchmark row `handwritten`, part `hcrnn-cell`). Sigmoids are computed in the layout K, H, B, in blocks that stay in
the cache. Arguments are limited to half of what an exponential can hold (43 with 32 bits).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 160_000  # sigmoids computed at once: with their intermediate results they fill a cache of 2 MB


def exp_neg(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """e^-values, limited so that a product of two is finite."""
    limit = math.log(torch.finfo(values.dtype).max) / 2 - 1
    return values.contiguous().neg().clamp_(-limit, limit).exp_()


def attention_scores(
    exp_query: Float[Tensor, "H B"], exp_theta: Float[Tensor, "K H R"], attention: Float[Tensor, "H"]
) -> Float[Tensor, "K B"]:
    """The scores of the first B of R rows, from e^-a and e^-b."""
    scores = exp_query.new_empty(len(exp_theta), exp_query.shape[1])
    for part, sigmoids in _blocks(exp_query, exp_theta):
        torch.sum(sigmoids.mul_(attention[:, None]), 1, out=scores[part])
    return scores


def attention_scores_grad(
    exp_query: Float[Tensor, "H B"],
    exp_theta: Float[Tensor, "K H R"],
    grad_scores: Float[Tensor, "K B"],
    theta_grad: Float[Tensor, "K H R"],
) -> tuple[Float[Tensor, "H B"], Float[Tensor, "H B"]]:
    """The gradients of v, still to be summed over rows, and of a, still to be multiplied by v.

    The gradient of b, still to be multiplied by v, is added to `theta_grad`.
    """
    grad_attention, grad_query = torch.zeros_like(exp_query), torch.zeros_like(exp_query)
    buffer = exp_query.new_empty(_block_size(exp_query, exp_theta), *exp_query.shape)
    for part, sigmoids in _blocks(exp_query, exp_theta):
        grad = torch.mul(sigmoids, grad_scores[part, None], out=buffer[: len(sigmoids)])  # (k, H, B)
        grad_attention += grad.sum(0)
        grad.addcmul_(grad, sigmoids, value=-1)
        grad_query += grad.sum(0)
        theta_grad[part, :, : exp_query.shape[1]].add_(grad)
    return grad_attention, grad_query


def _blocks(exp_query: Tensor, exp_theta: Tensor) -> Iterator[tuple[slice, Float[Tensor, "k H B"]]]:
    """The sigmoids of some k at a time, in a buffer that the next block overwrites."""
    size = _block_size(exp_query, exp_theta)
    one, buffer = exp_query.new_ones(()), exp_query.new_empty(size, *exp_query.shape)
    for begin in range(0, len(exp_theta), size):
        part = slice(begin, min(begin + size, len(exp_theta)))
        block = exp_theta[part, :, : exp_query.shape[1]]
        yield part, torch.addcmul(one, exp_query, block, out=buffer[: len(block)]).reciprocal_()


def _block_size(exp_query: Tensor, exp_theta: Tensor) -> int:
    """How many k make a block."""
    return max(1, min(len(exp_theta), BLOCK // max(1, exp_query.numel())))
