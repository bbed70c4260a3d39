"""`sampled_loss`: the loss of targets against negatives that they share, and its gradient, in one pass over the scores.

                  shared negatives S
    targets n   [ scores = query . vector ]  ->  loss (n,)  ->  slopes of the scores  ->  gradients, at once

Autograd would keep and revisit a score matrix for each step of the formula. Here a block of targets is scored into
one buffer, `loss_with_grad` makes of them the derivatives of the loss, and two matrix products gradients of these while they
are still in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_BYTES = 1_000_000
LOW_BITS = 2**14 - 1

FalseNegatives = tuple[Tensor, Tensor]
"""(row, column) of the negatives that are their row's own target, and count for nothing."""

LossWithGrad = Callable[[Tensor, Tensor, FalseNegatives], tuple[Tensor, Tensor, Tensor]]
"""(positive (n,), negative (n, S), clash) -> loss (n,), its derivatives by either; `negative` may change at `false_negatives`."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(positive (n,), negative (n, S), known (n, S)) -> loss (n,)."""


def sampled_loss(
    query: Float[Tensor, "n d"],
    own: Float[Tensor, "n d"] | None,
    vectors: Float[Tensor, "S d"],
    ids: tuple[Int[Tensor, "n"], Int[Tensor, "S"]],
    loss_with_grad: LossWithGrad,
) -> Float[Tensor, ""]:
    """The sum of the losses of targets with vectors `own` among negatives with `vectors`; `ids` are those of both.

    Without `own`, the targets are the first n of the negatives, in order.
    """
    loss: Tensor = _Contrast.apply(query, own, vectors, ids, loss_with_grad)
    return loss


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        own: Tensor | None,
        vectors: Tensor,
        ids: tuple[Tensor, Tensor],
        loss_with_grad: LossWithGrad,
    ) -> Tensor:
        among, own = own is None, vectors[: len(query)] if own is None else own
        block = max(1, BLOCK_BYTES // (vectors.element_size() * max(len(vectors), 1)))
        buffer = query.new_empty(min(block, len(query)), len(vectors))
        loss = query.new_zeros(())
        by_query, by_own, by_vectors = torch.empty_like(query), torch.empty_like(own), None
        for begin in range(0, len(query), block):
            part = slice(begin, begin + block)
            some, right = query[part], own[part]
            negative = torch.mm(some, vectors.T, out=buffer[: len(some)])
            value, by_positive, by_negative = loss_with_grad(
                (some * right).sum(1), negative, false_negatives(ids[0][part], ids[1])
            )
            loss += value.sum()
            by_positive = by_positive.unsqueeze(1)
            torch.mul(by_positive, some, out=by_own[part])
            torch.addmm(by_positive * right, by_negative, vectors, out=by_query[part])
            if by_vectors is None:
                by_vectors = by_negative.T @ some
            else:
                by_vectors.addmm_(by_negative.T, some)
        by_vectors = torch.zeros_like(vectors) if by_vectors is None else by_vectors
        if among:
            by_vectors[: len(query)] += by_own
        ctx.among = among
        ctx.save_for_backward(by_query, by_own, by_vectors)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None]:
        by_query, by_own, by_vectors = ctx.saved_tensors
        own = None if ctx.among else by_own * gradient
        return by_query * gradient, own, by_vectors * gradient, None, None


def false_negatives(target: Int[Tensor, "n"], shared: Int[Tensor, "S"]) -> FalseNegatives:
    """Where a shared negative is the row's own target.

    >>> [each.tolist() for each in false_negatives(torch.tensor([4, 7]), torch.tensor([7, 2, 7]))]
    [[1, 1], [0, 2]]
    """
    # most negatives are nobody's target: the few that may be are found by the low bits of their ids
    seen = torch.zeros(LOW_BITS + 1, dtype=torch.bool, device=target.device)
    seen[target & LOW_BITS] = True
    maybe = seen[shared & LOW_BITS].nonzero().squeeze(1)
    row, column = (target.unsqueeze(1) == shared[maybe]).nonzero().unbind(1)
    return row, maybe[column]


def loss_with_autograd(loss: Loss) -> LossWithGrad:
    """The slopes of any loss."""

    def loss_with_grad(
        positive: Tensor, negative: Tensor, false_negatives: FalseNegatives
    ) -> tuple[Tensor, Tensor, Tensor]:
        known = torch.ones_like(negative, dtype=torch.bool)
        known[false_negatives] = False
        with torch.enable_grad():
            leaves = positive.detach().requires_grad_(), negative.detach().requires_grad_()
            value = loss(*leaves, known)
            by_positive, by_negative = torch.autograd.grad(value.sum(), leaves)
        return value.detach(), by_positive, by_negative

    return loss_with_grad
