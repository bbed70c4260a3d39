"""Sums of many sigmoids, as attention of the additive kind takes them at every step of a walk, and their gradient.

    score of k = v . sigma(a + b_k)             a: H numbers of a row, anew at each step;  b_k: H numbers of a row and k

b stays through a row, so that e^-b is taken once: a step then needs a product, a sum and a reciprocal of each of the
K x H sigmoids, 1 / (1 + e^-a e^-b), and no exponential. They are laid out K H B, in blocks that stay in the cache.
Arguments beyond half of what an exponential can hold (43 in 32 bits) count as that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 160_000  # sigmoids at once: with what is made of them they fill a cache of 2 MB


def exp_neg(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """e^-values, such that a product of two is finite."""
    most = math.log(torch.finfo(values.dtype).max) / 2 - 1
    return values.contiguous().neg().clamp_(-most, most).exp_()


def attention_scores(
    ours: Float[Tensor, "H B"], held: Float[Tensor, "K H R"], attention: Float[Tensor, "H"]
) -> Float[Tensor, "K B"]:
    """The scores of the first B of R rows, from e^-a and e^-b."""
    found = ours.new_empty(len(held), ours.shape[1])
    for some, sigmoids in _blocks(ours, held):
        torch.sum(sigmoids.mul_(attention[:, None]), 1, out=found[some])
    return found


def scores_grad(
    ours: Float[Tensor, "H B"], held: Float[Tensor, "K H R"], by_scores: Float[Tensor, "K B"], steep: Tensor
) -> tuple[Float[Tensor, "H B"], Float[Tensor, "H B"]]:
    """What the gradient `by_scores` is by v, still to be summed over rows, and by a, still to be multiplied by v.

    What it is by b, still to be multiplied by v, is added to `steep` (K H R).
    """
    by_attention, by_ours = torch.zeros_like(ours), torch.zeros_like(ours)
    shares = ours.new_empty(_at_once(ours, held), *ours.shape)
    for some, sigmoids in _blocks(ours, held):
        share = torch.mul(sigmoids, by_scores[some, None], out=shares[: len(sigmoids)])
        by_attention += share.sum(0)
        share.addcmul_(share, sigmoids, value=-1)
        by_ours += share.sum(0)
        steep[some, :, : ours.shape[1]].add_(share)
    return by_attention, by_ours


def _blocks(ours: Tensor, held: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The sigmoids, some k at a time: a buffer that the next overwrites."""
    size = _at_once(ours, held)
    one, buffer = ours.new_ones(()), ours.new_empty(size, *ours.shape)
    for begin in range(0, len(held), size):
        some = slice(begin, min(begin + size, len(held)))
        block = held[some, :, : ours.shape[1]]
        yield some, torch.addcmul(one, ours, block, out=buffer[: len(block)]).reciprocal_()


def _at_once(ours: Tensor, held: Tensor) -> int:
    """How many k fill a block."""
    return max(1, min(len(held), BLOCK // max(1, ours.numel())))
