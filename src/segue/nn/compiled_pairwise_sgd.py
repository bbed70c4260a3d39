"""Pairwise stochastic gradient descent as a loop that numba compiles (the extra `fast`).

As `segue.nn.compiled_row_sums`: importing this module compiles the loop or loads it from numba's cache. Its plain form
is `segue.nn.pairwise_sgd.plain_descent`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@no_type_check  # a function that numba can compile has no other decorator; the signatures below check
def _descend(triples: Array, user_vectors: Array, item_vectors: Array, lr: float, l2: float) -> float:
    """Make one step for each triple, in order; return the sum of the losses before each step.

    The plain form makes the same steps and takes 180 times as long: it calls numpy two dozen times for each (benchmark
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


descend: Callable[..., float] = numba.njit(
    [f"f8(i4[:, ::1], {kind}[:, ::1], {kind}[:, ::1], f8, f8)" for kind in ("f4", "f8")],
    cache=True,
    nogil=True,
    fastmath={"reassoc", "contract"},  # lets it add several entries at a time
)(_descend)
