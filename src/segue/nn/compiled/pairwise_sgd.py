"""Stochastic gradient descent on the BPR loss; `segue.nn.pairwise_sgd` has its equations and its plain form."""

from __future__ import annotations

import math
from typing import no_type_check

import torch

from segue.nn.compiled.jit import Array, compile_loop


@no_type_check
def _sgd_steps(triples: Array, user_vectors: Array, item_vectors: Array, lr: float, l2: float) -> float:
    """Make one step for each triple, in order; return the sum of the losses before each step.

    The plain form makes the same steps and takes 100 times as long: it calls numpy two dozen times for each (benchmark
    row `handwritten`, part `pairwise-sgd`). Sums over a vector are added in another order, so weights may differ in the
    last bits.

    Args:
        triples: (n, 3) user, item and negative item; one with negative item 0 is left out.
        user_vectors: (U + 1, d), which are updated.
        item_vectors: (I + 1, d) or, with a bias in the last column, (I + 1, d + 1), which are updated.
        lr: learning rate.
        l2: weight of the squared norms of the three vectors.
    """
    dim, width = user_vectors.shape[1], item_vectors.shape[1]
    number = user_vectors.dtype.type
    decay, loss = number(2 * lr * l2), 0.0
    for place in range(len(triples)):
        u, i, j = triples[place, 0], triples[place, 1], triples[place, 2]
        if j == 0:
            continue
        difference, norms = number(0), number(0)
        for k in range(dim):
            p, q, r = user_vectors[u, k], item_vectors[i, k], item_vectors[j, k]
            difference += p * (q - r)
            norms += p * p + q * q + r * r
        for k in range(dim, width):
            q, r = item_vectors[i, k], item_vectors[j, k]
            difference += q - r
            norms += q * q + r * r
        small = math.exp(-abs(difference))  # never overflows
        loss += math.log1p(small) + max(-difference, 0.0) + l2 * norms
        step = number(lr * (small if difference > 0 else 1.0) / (1.0 + small))  # lr times sigma(-difference)
        for k in range(dim):
            p, q, r = user_vectors[u, k], item_vectors[i, k], item_vectors[j, k]
            user_vectors[u, k] = p + step * (q - r) - decay * p
            item_vectors[i, k] = q + step * p - decay * q
            item_vectors[j, k] = r - step * p - decay * r
        for k in range(dim, width):
            item_vectors[i, k] += step - decay * item_vectors[i, k]
            item_vectors[j, k] -= step + decay * item_vectors[j, k]
    return loss


sgd_steps = compile_loop(_sgd_steps, "f8(i4[:, ::1], F[:, ::1], F[:, ::1], f8, f8)", torch.float32, torch.float64)
